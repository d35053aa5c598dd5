"""What the teacher hands over to each image: computed once and kept where it fits, anew each step where it does not."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kdcore.data import Images, ImageSet
from kdcore.knowledge import Taught, Term
from kdcore.randomness import Draws
from kdcore.response import Response

KEPT_BYTES = 2**30
CHUNK = 50


class Lessons:
    """What one teacher hands over for one term, by position among the run's training images.

    Kept answers are computed in index order at a fixed batch size, so that a continued run has the same ones to the
    last bit. They are kept up to `KEPT_BYTES`; a larger set, and images that are `varied` at every step, are answered
    anew each step.
    """

    def __init__(self, term: Term, teacher: nn.Module | None, images: ImageSet, varied: bool = False):
        self._term, self._teacher, self._images = term, teacher, images
        taught = teacher is not None and term.needs_teacher
        self._kept: Taught | None = (None if varied else self._keep()) if taught else {}

    def __call__(self, index: Tensor, student: Response) -> Taught:
        """What is handed over for the images at `index`, which the student sees as in its response."""
        if self._kept is None:
            return answer(self._term, self._teacher, Images(student.inputs, student.labels), student.draws)
        return {name: value[index] for name, value in self._kept.items()}

    @property
    def kept(self) -> bool:
        """Whether the teacher's answers are kept."""
        return self._kept is not None

    def _keep(self) -> Taught | None:
        chunks = range(0, len(self._images), CHUNK)
        first = answer(self._term, self._teacher, self._images[:CHUNK])
        if sum(value.nbytes for value in first.values()) * len(chunks) > KEPT_BYTES:
            return None
        kept = {name: value.new_empty(len(self._images), *value.shape[1:]) for name, value in first.items()}
        for start in chunks:
            part = self._images[start : start + CHUNK]
            for name, value in (first if start == 0 else answer(self._term, self._teacher, part)).items():
                kept[name][start : start + CHUNK] = value
        return kept


def answer(term: Term, teacher: nn.Module, images: Images, draws: Draws | None = None) -> Taught:
    """What the teacher, in evaluation mode, hands over for these images, without a graph."""
    with torch.no_grad():
        response = Response(teacher, images.pixels, images.labels, draws=draws, taps=intermediate(term),
                            differentiable=term.differentiates_input)
        return {name: value.detach() for name, value in term.teach(response).items()}


def intermediate(*terms: Term) -> tuple[str, ...]:
    """The taps that the terms read, besides the logits."""
    return tuple(sorted({tap for term in terms for tap in term.reads} - {"logits"}))
