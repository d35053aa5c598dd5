"""Terms that match intermediate layers, and the connectors between layers of different width.

A connector is trained with the student: a 1×1 convolution, or a linear map of vectors (Romero et al. 2015; Heo et al.
2019, eq. 7). Where teacher's and student's maps differ in size, the larger one is average-pooled to the smaller.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional

from kdcore.knowledge.pair import Groups, Layer, Pair, Shape, Unsuited
from kdcore.knowledge.term import NOTHING, Bound, Taught, Term

if TYPE_CHECKING:
    from kdcore.response import Response

ConnectorChoice = Literal["where needed", "always", "never"]
RIDGE = 1e-3  # of the mean square: channels that are never active, and more channels than images


def pooled(features: Tensor, size: tuple[int, ...]) -> Tensor:
    """Average-pool maps (N, C, H, W) to `size`, or flatten them where it is (); what has that size is left as it is."""
    if not size:
        return features.flatten(1)
    return features if tuple(features.shape[2:]) == tuple(size) else functional.adaptive_avg_pool2d(features, size)


def linear(inputs: int, outputs: int, maps: bool) -> nn.Module:
    """A linear map of channels: a 1×1 convolution for maps, a fully connected layer for vectors."""
    return nn.Conv2d(inputs, outputs, 1) if maps else nn.Linear(inputs, outputs)


def connector(layer: Layer, choice: ConnectorChoice = "where needed", batch_norm: bool = False) -> nn.Module:
    """The student's channels as the teacher's: linear, followed by batch norm for maps if asked.

    Raises Unsuited where the widths differ and no connector is allowed.
    """
    ours, theirs, maps = layer.student_shape[0], layer.teacher_shape[0], len(layer.student_shape) > 1
    if choice == "never" and ours != theirs:
        raise Unsuited(f"{layer.teacher} has {theirs} channels in the teacher and {layer.student} {ours} in the "
                       "student; let a connector stand between them, or choose networks of one width")
    if choice == "never" or (choice == "where needed" and ours == theirs):
        return nn.Identity()
    return nn.Sequential(linear(ours, theirs, maps), *([nn.BatchNorm2d(theirs)] if batch_norm and maps else []))


def least_squares(inputs: Tensor, targets: Tensor) -> nn.Module:
    """The linear map of channels, with bias, that brings `inputs` (N, C, ...) closest to `targets` (N, C', ...).

    Slightly shrunk (a ridge regression), so that it also serves other images. Solved on the CPU: not every device has
    float64.
    """
    rows, wanted = (values.movedim(1, -1).flatten(0, -2).cpu().double() for values in (inputs, targets))
    rows = torch.cat([rows, rows.new_ones(len(rows), 1)], 1)
    wide = rows.shape[0] < rows.shape[1]  # the smaller of the two Gram matrices gives the same solution
    gram = rows @ rows.T if wide else rows.T @ rows
    ridge = RIDGE * rows.square().sum() / rows.shape[1] * torch.eye(len(gram)).to(gram)
    solution = rows.T @ torch.linalg.solve(gram + ridge, wanted) if wide else torch.linalg.solve(gram + ridge,
                                                                                               rows.T @ wanted)
    solution = solution.to(inputs)
    found = linear(inputs.shape[1], targets.shape[1], inputs.dim() > 2).to(inputs)
    with torch.no_grad():
        found.weight.copy_(solution[:-1].T.reshape_as(found.weight))
        found.bias.copy_(solution[-1])
    return found


class LayerTerm(Term):
    """A term over pairs of taps: the sum of what the student pays at each."""

    @abstractmethod
    def layers(self, pair: Pair) -> tuple[Layer, ...]:
        """The taps that are matched. Raises Unsuited where this pair has none."""

    def connector(self, layer: Layer) -> nn.Module:
        """The module between the student's tap and the teacher's, with fresh weights. Raises Unsuited."""
        return nn.Identity()

    def unsuited(self, pair: Pair) -> str | None:
        try:
            layers = self.layers(pair)
            with torch.device("meta"):  # nobody will see these weights
                for layer in layers:
                    self.connector(layer)
        except Unsuited as reason:
            return str(reason)
        return None

    def bind(self, pair: Pair, seed: int = 0) -> Bound:
        layers = self.layers(pair)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed notes where it was called: 4 ms
            return Bound(layers, [self.connector(layer) for layer in layers])

    def fitted(self, student: Response, teacher: Response, bound: Bound) -> Bound:
        """`bound` with every connector replaced by the least-squares map on these images, to measure with.

        So a run that trained no connectors is measured as one that did.
        """
        return Bound(bound.layers, [
            module if isinstance(module, nn.Identity) else least_squares(*at_one_size(layer, student, teacher))
            for layer, module in zip(bound.layers, bound.connectors)])

    def teach(self, teacher: Response, bound: Bound = NOTHING) -> Taught:
        return {str(i): self.handed(pooled(teacher.taps[layer.teacher], layer.size))
                for i, layer in enumerate(bound.layers)}

    def distance(self, student: Response, taught: Taught, bound: Bound = NOTHING) -> Tensor:
        paid = self.paid(student, taught, bound)
        return sum(weight * each for weight, each in zip(self.layer_weights(len(paid)), paid))

    def paid(self, student: Response, taught: Taught, bound: Bound) -> list[Tensor]:
        """What the student pays at each layer: one (N,) for each."""
        return [self.error(ours, theirs) for ours, theirs in self.compared(student, taught, bound)]

    def compared(self, student: Response, taught: Taught, bound: Bound) -> list[tuple[Any, Tensor]]:
        """What is compared at each layer: what the student offers, and what the teacher handed over."""
        return [(ours, taught[str(i)]) for i, ours in enumerate(self.offered(student, bound))]

    def layer_weights(self, count: int) -> list[float]:
        """What each layer counts, from the image to the outputs."""
        return [1.0] * count

    def drawn_as(self, layer: Layer, image: Shape) -> Shape | None:
        """The shape in which what is compared at a layer is drawn: of itself, where it has one."""
        return None

    def marked(self, taught: Taught, number: int, layer: Layer) -> Tensor | None:
        """(N, 2): the place that a layer's picture is about, as shares of the image's height and width, if any."""
        return None

    def handed(self, features: Tensor) -> Tensor:
        """What the teacher hands over of a layer (N, C, ...), first dimension the batch."""
        return features

    def offered(self, student: Response, bound: Bound) -> list[Tensor]:
        """The student's layers through their connectors, at the size at which they are compared."""
        return [module(pooled(student.taps[layer.student], layer.size))
                for layer, module in zip(bound.layers, bound.connectors)]

    @abstractmethod
    def error(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """(N,): what is paid for one layer, `ours` from `offered`, `theirs` from `teach`."""


def at_one_size(layer: Layer, student: Response, teacher: Response) -> tuple[Tensor, Tensor]:
    """Student's and teacher's values at a layer, the larger maps pooled to the size of the smaller."""
    return pooled(student.taps[layer.student], layer.size), pooled(teacher.taps[layer.teacher], layer.size)


class GroupTerm(LayerTerm):
    """A term over the groups that teacher and student have in common."""

    role: ClassVar[str] = ""
    only_maps: ClassVar[bool] = False

    groups: Groups = Field("all", title="Layers", description="Which layers are matched: all groups that teacher and "
                           "student have in common, the first, middle or last of them, or pairs of taps, the "
                           "teacher's with the student's.")

    @field_validator("groups", mode="before")
    @classmethod
    def _words_or_pairs(cls, groups: Any) -> Any:
        pairs = isinstance(groups, (list, tuple)) and groups and all(
            isinstance(couple, (list, tuple)) and [type(tap) for tap in couple] == [str, str] for couple in groups)
        if not pairs and groups not in ("all", "first", "middle", "last"):
            raise ValueError("Layers are all, first, middle or last, or at least one pair of taps, the teacher's with "
                             'the student\'s, such as [["group1", "group1"]].')
        return groups

    def layers(self, pair: Pair) -> tuple[Layer, ...]:
        layers = pair.layers(self.groups, self.role)
        flat = [layer.student for layer in layers if len(layer.student_shape) == 1]
        if self.only_maps and flat and isinstance(self.groups, tuple):
            raise Unsuited(f"{flat[0]} is a vector, whose neurons have no place in the image; choose layers that are "
                           "maps")
        if self.only_maps and flat:
            raise Unsuited("the layers of a fully connected network are vectors, whose neurons have no place in "
                           "the image; choose convolutional networks")
        return layers

    def asks(self) -> frozenset[str]:
        asked = {"maps" if self.only_maps else "one kind": True, "named layers": isinstance(self.groups, tuple)}
        return frozenset(what for what, holds in asked.items() if holds)


class ConnectedTerm(GroupTerm):
    """A term over groups whose channels are compared one by one, which asks for connectors between widths."""

    connectors: ConnectorChoice = Field("where needed", title="Connectors", description="Learnt maps from the "
                                        "student's channels to the teacher's: where the numbers of channels differ, "
                                        "at every layer, or never.")

    def connector(self, layer: Layer) -> nn.Module:
        return connector(layer, self.connectors, batch_norm=True)

    def asks(self) -> frozenset[str]:
        return super().asks() | ({"equal width"} if self.connectors == "never" else set())
