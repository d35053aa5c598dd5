"""What every term of a loss answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from kdcore.knowledge.pair import Layer, Pair

if TYPE_CHECKING:
    from kdcore.response import Response

Taught = dict[str, Tensor]


class Bound(nn.Module):
    """What a term settles once for a pair: the taps it matches, and the modules that learn beside the student.

    `layers` are the paired taps, `connectors` one module for each where the term has any. Its state belongs to the
    run as the student's does.
    """

    def __init__(self, layers: Iterable[Layer] = (), connectors: Iterable[nn.Module] = ()):
        super().__init__()
        self.layers = tuple(layers)
        self.connectors = nn.ModuleList(connectors)

    @property
    def teacher_taps(self) -> tuple[str, ...]:
        """What is read of the teacher besides its logits."""
        return tuple(dict.fromkeys(layer.teacher for layer in self.layers))

    @property
    def student_taps(self) -> tuple[str, ...]:
        """What is read of the student besides its logits."""
        return tuple(dict.fromkeys(layer.student for layer in self.layers))

    def learns_from_one(self) -> bool:
        """Whether a batch of one image can be trained on: batch normalisation cannot, where maps are 1×1."""
        return not any(layer.size == (1, 1) and any(isinstance(part, nn.BatchNorm2d) for part in module.modules())
                       for layer, module in zip(self.layers, self.connectors))


NOTHING = Bound()


class Term(BaseModel, ABC):
    """One weighted part of a loss, as a validated record of its hyper-parameters.

    `kind` is its name in JSON. Every answer has one row or number an image; the mean over the batch is taken in one
    place, `loss`, so that the number under a picture is the number in the loss. What depends on both networks is
    settled once by `bind` and passed to the others; terms that read outputs alone do without.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    title: ClassVar[str]
    sentence: ClassVar[str]
    formula: ClassVar[str]  # LaTeX; a property where settings change it
    paper: ClassVar[str]
    equation: ClassVar[str] = ""
    needs_teacher: ClassVar[bool] = True
    needs_labels: ClassVar[bool] = False
    differentiates_input: ClassVar[bool] = False
    zero_at_equality: ClassVar[bool] = True
    keepable: ClassVar[bool] = True  # False: what is taught depends on the step's draws

    kind: str

    def unsuited(self, pair: Pair) -> str | None:
        """Why this term cannot train this pair, as the end of a sentence; None where it can."""
        return pair.differs() if self.needs_teacher else None

    def asks(self) -> frozenset[str]:
        """What the term asks of any pair, in the words of `Method.suits`: `unsuited` in advance."""
        return frozenset({"classes"} if self.needs_teacher else ())

    def bind(self, pair: Pair, seed: int = 0) -> Bound:
        """What depends on both networks: paired taps, connectors with weights drawn from `seed`, permutations."""
        return NOTHING

    @abstractmethod
    def teach(self, teacher: Response, bound: Bound = NOTHING) -> Taught:
        """What the teacher hands over: tensors whose first dimension is the batch; may be computed once and kept."""

    @abstractmethod
    def distance(self, student: Response, taught: Taught, bound: Bound = NOTHING) -> Tensor:
        """(N,): what the student pays for each image."""

    def loss(self, student: Response, taught: Taught, bound: Bound = NOTHING) -> Tensor:
        """The term: the mean of `distance` over the batch, or over its labelled images where it needs labels."""
        paid, counted = self.distance(student, taught, bound), self.counted(student)
        return torch.where(counted, paid, 0).sum() / counted.sum().clamp(min=1)

    def counted(self, student: Response) -> Tensor:
        """(N,): whether each image is in the mean; a term that needs labels leaves out those without."""
        if self.needs_labels:
            return student.labels >= 0
        return torch.ones(len(student.inputs), dtype=torch.bool, device=student.inputs.device)

    @property
    def recorded(self) -> bool:
        """Whether every run's record has this kind of knowledge: where it measures how far two networks are apart."""
        return self.zero_at_equality

    def record(self, student: Response, taught: Taught, bound: Bound = NOTHING) -> dict[str, Tensor]:
        """What every run's record keeps of this kind of knowledge, whatever it trains on: {name: (N,)}."""
        return {f"knowledge.{self.kind}": self.distance(student, taught, bound)}
