"""What the teacher hands over to each image: computed once and kept where it fits, anew each step where it does not."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from kdcore.data import Images, ImageSet
from kdcore.knowledge import NOTHING, Bound, Taught, Term
from kdcore.randomness import Draws
from kdcore.response import Response

KEPT_BYTES = 2**30
CHUNK = 50


class Lessons:
    """What one teacher hands over for the terms of a stage, by position among the run's training images.

    Kept answers are computed in index order at a fixed batch size, so that a continued run has the same ones to the
    last bit. They are kept term by term while `KEPT_BYTES` last; what is larger, depends on a step's draws, or comes
    from images that change (`keep` is False) is answered anew each step, by one response of the teacher for all terms.
    """

    def __init__(self, terms: dict[str, Term], bounds: dict[str, Bound], teacher: nn.Module | None, images: ImageSet,
                 *, keep: bool = True):
        asked = {key: (term, bounds[key]) for key, term in terms.items() if teacher is not None and term.needs_teacher}
        self._teacher = teacher
        self._kept: dict[str, Taught] = {}
        left = KEPT_BYTES
        for key, (term, bound) in asked.items():
            taught = _kept(term, teacher, images, bound, left) if keep and term.keepable else None
            if taught is not None:
                self._kept[key] = taught
                left -= sum(value.nbytes for value in taught.values())
        self._anew = {key: both for key, both in asked.items() if key not in self._kept}
        self._silent = [key for key in terms if key not in asked]
        self.too_large = [key for key, (term, _) in self._anew.items() if keep and term.keepable]

    def __call__(self, index: Tensor, batch: Images, draws: Draws) -> dict[str, Taught]:
        """What is handed over for `batch`, the images at `index`: {term's key: taught}."""
        kept = {key: {name: value[index] for name, value in taught.items()} for key, taught in self._kept.items()}
        anew = answers(self._anew, self._teacher, batch, draws) if self._anew else {}
        return {**dict.fromkeys(self._silent, {}), **kept, **anew}


def _kept(term: Term, teacher: nn.Module, images: ImageSet, bound: Bound, most: int) -> Taught | None:
    """What is taught for all images; None where it takes more than `most` bytes."""
    chunks = range(0, len(images), CHUNK)
    one = answer(term, teacher, images[:1], bound)
    if sum(value.nbytes for value in one.values()) * len(images) > most:
        return None
    first = answer(term, teacher, images[:CHUNK], bound)
    kept = {name: value.new_empty(len(images), *value.shape[1:]) for name, value in first.items()}
    for start in chunks:
        part = images[start : start + CHUNK]
        for name, value in (first if start == 0 else answer(term, teacher, part, bound)).items():
            kept[name][start : start + CHUNK] = value
    return kept


@torch.no_grad()
def answers(asked: dict[str, tuple[Term, Bound]], teacher: nn.Module, images: Images,
            draws: Draws | None = None) -> dict[str, Taught]:
    """What the teacher, in evaluation mode, hands over for these images to several terms, without a graph."""
    response = Response(teacher, images.pixels, images.labels, draws=draws,
                        taps=union(bound.teacher_taps for _, bound in asked.values()),
                        differentiable=any(term.differentiates_input for term, _ in asked.values()))
    return {key: {name: value.detach() for name, value in term.teach(response, bound).items()}
            for key, (term, bound) in asked.items()}


def answer(term: Term, teacher: nn.Module, images: Images, bound: Bound = NOTHING,
           draws: Draws | None = None) -> Taught:
    """The same for one term."""
    return answers({"": (term, bound)}, teacher, images, draws)[""]


def union(taps: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """All the taps but the logits, which every response has."""
    return tuple(sorted({tap for some in taps for tap in some} - {"logits"}))
