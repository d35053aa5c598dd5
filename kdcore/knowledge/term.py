"""What every term of a loss answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

if TYPE_CHECKING:
    from kdcore.response import Response

Taught = dict[str, Tensor]


SAME_QUESTION = "Any two networks that look at the same images and tell the same classes apart."


@dataclass(frozen=True)
class Pair:
    """The facts about a teacher (None: there is none) and a student that decide whether a term suits them."""

    student_images: tuple[int, ...]
    student_classes: int
    teacher_images: tuple[int, ...] | None = None
    teacher_classes: int | None = None

    def differs(self) -> str | None:
        """Why outputs and input gradients of the two networks cannot be compared, or None where they can."""
        if self.teacher_classes is None:
            return "it needs a teacher, and this run has none; choose one"
        if self.teacher_classes != self.student_classes:
            return (f"the teacher tells {self.teacher_classes} classes apart and the student {self.student_classes}; "
                    "choose a teacher trained on the student's classes")
        if self.teacher_images != self.student_images:
            return (f"the teacher looks at images of {_size(self.teacher_images)} and the student at "
                    f"{_size(self.student_images)}; choose a teacher trained on the student's images")
        return None


def _size(shape: tuple[int, ...]) -> str:
    channels, height, width = shape
    return f"{height}×{width}" + (f"×{channels}" if channels > 1 else "")


class Term(BaseModel, ABC):
    """One weighted part of a loss, as a validated record of its hyper-parameters.

    `kind` is its name in JSON. Every answer has one row or number an image; the mean over the batch is taken in one
    place, `loss`, so that the number under a picture is the number in the loss. A term that is zero where student and
    teacher are equal measures a kind of knowledge: every run's distance to its teacher is recorded in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    title: ClassVar[str]
    sentence: ClassVar[str]
    formula: ClassVar[str]
    paper: ClassVar[str]
    equation: ClassVar[str] = ""
    reads: ClassVar[tuple[str, ...]] = ("logits",)
    needs_teacher: ClassVar[bool] = True
    needs_labels: ClassVar[bool] = False
    differentiates_input: ClassVar[bool] = False
    zero_at_equality: ClassVar[bool] = True

    kind: str

    def unsuited(self, pair: Pair) -> str | None:
        """Why this term cannot train this pair, as the end of a sentence; None where it can."""
        return pair.differs() if self.needs_teacher else None

    @classmethod
    def suits(cls) -> str:
        """Which pairs the term suits, in a sentence: `unsuited` in advance."""
        return SAME_QUESTION if cls.needs_teacher else "Any network; no teacher is needed."

    @abstractmethod
    def teach(self, teacher: Response) -> Taught:
        """What the teacher hands over: tensors whose first dimension is the batch; may be computed once and kept."""

    @abstractmethod
    def distance(self, student: Response, taught: Taught) -> Tensor:
        """(N,): what the student pays for each image."""

    def loss(self, student: Response, taught: Taught) -> Tensor:
        """The term: the mean of `distance` over the batch; without unlabelled images, where the term needs labels."""
        distance = self.distance(student, taught)
        if not self.needs_labels:
            return distance.mean()
        labelled = student.labels >= 0
        return torch.where(labelled, distance, 0).sum() / labelled.sum().clamp(min=1)
