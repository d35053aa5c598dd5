"""What the teacher hands over to each image: computed once and kept where it fits, anew each step where it does not."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from kdcore import levers
from kdcore.data import Images, ImageSet
from kdcore.errors import UserError
from kdcore.knowledge import NOTHING, Bound, Taught, Term
from kdcore.places import cache_folder
from kdcore.randomness import Draws
from kdcore.response import Response

KEPT_BYTES = 2**30
"""What is kept on the device."""
DISK_BYTES = 2**33
"""What one run keeps in files beside the decoded images, where there is room for it."""
CHUNK = 50


class Lessons:
    """What one teacher hands over for the terms of a stage, by position among the run's training images.

    Kept answers are computed in index order at a fixed batch size and in float32, so that a continued run has the same
    ones to the last bit. They are kept term by term on the device while `KEPT_BYTES` last, then in a file while
    `DISK_BYTES` do; what is larger, depends on a step's draws, or comes from images that change (`keep` is False) is
    answered anew each step, in numbers of `dtype`, by one response of the teacher for all terms. A run that is
    continued keeps what it kept before, and nothing else, for sums differ in the last digit.

    Raises UserError where there is no room any more for what was kept before.
    """

    def __init__(self, terms: dict[str, Term], bounds: dict[str, Bound], teacher: nn.Module | None, images: ImageSet,
                 *, keep: bool = True, dtype: torch.dtype = torch.float32, kept_before: list[str] | None = None):
        asked = {key: (term, bounds[key]) for key, term in terms.items() if teacher is not None and term.needs_teacher}
        self._teacher, self._dtype = teacher, dtype
        self._kept: dict[str, Taught] = {}
        memory, disk = KEPT_BYTES, DISK_BYTES if levers.on("disk", images.labels.device) else 0
        for key, (term, bound) in asked.items():
            if not keep or not term.keepable or not (kept_before is None or key in kept_before):
                continue
            size = len(images) * sum(value.nbytes for value in answer(term, teacher, images[:1], bound).values())
            in_file = size > memory
            if size > (disk if in_file else memory):
                continue
            try:
                self._kept[key] = _kept(term, teacher, images, bound, in_file)
            except OSError as error:  # there is no room, or no folder that can be written to
                if kept_before is not None:
                    raise UserError(f"What the teacher hands over was kept in {cache_folder()}, {size / 1e9:.1f} GB, "
                                    "and there is no room for it any more; make room, and continue the run.") from error
                continue
            memory, disk = (memory, disk - size) if in_file else (memory - size, disk)
        self._anew = {key: both for key, both in asked.items() if key not in self._kept}
        self._silent = [key for key in terms if key not in asked]
        self.kept, self.anew = list(self._kept), list(self._anew)
        self.too_large = [key for key, (term, _) in self._anew.items() if keep and term.keepable]

    def __call__(self, index: Tensor | slice, batch: Images, draws: Draws) -> dict[str, Taught]:
        """What is handed over for `batch`, the images at `index`: {term's key: taught}."""
        kept = {key: {name: _at(value, index).to(batch.pixels.device) for name, value in taught.items()}
                for key, taught in self._kept.items()}
        anew = answers(self._anew, self._teacher, batch, draws, self._dtype) if self._anew else {}
        return {**dict.fromkeys(self._silent, {}), **kept, **anew}


def _at(kept: Tensor, index: Tensor | slice) -> Tensor:
    return kept[index.to(kept.device) if isinstance(index, Tensor) else index]


def _kept(term: Term, teacher: nn.Module, images: ImageSet, bound: Bound, in_file: bool) -> Taught:
    """What is taught for all images, on the device or in files that end with the process."""
    kept: Taught = {}
    for start in range(0, len(images), CHUNK):
        for name, value in answer(term, teacher, images[start : start + CHUNK], bound).items():
            if name not in kept:
                shape = len(images), *value.shape[1:]
                kept[name] = _in_file(shape, value.dtype) if in_file else value.new_empty(shape)
            kept[name][start : start + CHUNK] = value
    return kept


def _in_file(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A tensor that lies in a file of the cache folder; the room is free again when nothing reads it, or on a crash.

    Raises OSError where there is not as much room: the file has all of it from the start.
    """
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=cache_folder(), prefix="taught-") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, max(1, math.prod(shape) * dtype.itemsize))
        return torch.from_numpy(np.memmap(file, torch.empty(0, dtype=dtype).numpy().dtype, "r+", shape=shape))


@torch.no_grad()
def answers(asked: dict[str, tuple[Term, Bound]], teacher: nn.Module, images: Images,
            draws: Draws | None = None, dtype: torch.dtype = torch.float32) -> dict[str, Taught]:
    """What the teacher, in evaluation mode, hands over for these images to several terms, without a graph."""
    response = Response(teacher, images.pixels, images.labels, draws=draws, dtype=dtype,
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
