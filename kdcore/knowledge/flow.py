"""How features flow through a section of a network.

Yim et al. 2017, A Gift from Knowledge Distillation: Fast Optimization, Network Minimization and Transfer Learning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from kdcore.knowledge.layers import ConnectedTerm
from kdcore.knowledge.pair import Layer, Pair, Unsuited
from kdcore.knowledge.term import NOTHING, Bound, Taught

if TYPE_CHECKING:
    from kdcore.response import Response


def fsp_matrix(earlier: Tensor, later: Tensor) -> Tensor:
    """G_ij = Σ over places of F1_i·F2_j /(h·w) (Yim et al. 2017, eq. 1): (N, m, H, W), (N, n, H', W') -> (N, m, n).

    Where the sizes differ, the larger maps are max-pooled to the smaller.
    """
    size = tuple(map(min, earlier.shape[2:], later.shape[2:]))
    first, last = (maps if tuple(maps.shape[2:]) == size else functional.adaptive_max_pool2d(maps, size)
                   for maps in (earlier, later))
    return first.flatten(2) @ last.flatten(2).mT / (size[0] * size[1])


def fsp_error(student_matrix: Tensor, teacher_matrix: Tensor) -> Tensor:
    """‖G_t − G_s‖², batch mean (Yim et al. 2017, eq. 2 for one section): (N, m, n), (N, m, n) -> ()."""
    return _errors(student_matrix, teacher_matrix).mean()


def _errors(ours: Tensor, theirs: Tensor) -> Tensor:
    return (theirs - ours).square().sum((1, 2))


class FlowMatrices(ConnectedTerm):
    """Match FSP matrices, each between the first and the last layer of a section (Yim et al. 2017, eq. 1 and 2)."""

    title = "FSP matrices"
    sentence = "How the features at the end of a section of the teacher go with those at its beginning."
    paper = "Yim et al. 2017"
    equation = "1, 2"
    only_maps = True

    kind: Literal["flow_matrices"] = "flow_matrices"
    shuffled: bool = Field(False, description="Shuffle the teacher's channels, in another way for every student, so "
                           "that the students of an ensemble differ.")

    @property
    def formula(self) -> str:
        theirs = r"P_k G_t^k Q_k^\top" if self.shuffled else "G_t^k"
        return (rf"\sum_k \left\| {theirs} - G_s^k \right\|_2^2,"
                r"\; G_{ij} = \sum_{h,w} \frac{F^1_{h,w,i}\, F^2_{h,w,j}}{h\,w}"
                + (r",\; P_k, Q_k \text{ permutations}" if self.shuffled else ""))

    @property
    def zero_at_equality(self) -> bool:
        """A shuffled teacher is another network."""
        return not self.shuffled

    def layers(self, pair: Pair) -> tuple[Layer, ...]:
        """First and last layer of each section, in turn."""
        couples = []
        if any("." in tap for couple in self.groups if isinstance(couple, tuple) for tap in couple):
            raise Unsuited("FSP matrices go from the first layer of a section to its last; name sections, such as "
                           "group1")
        for last in super().layers(pair):
            names = f"{last.teacher}.first", f"{last.student}.first"
            for side, name, who in zip((pair.teacher, pair.student), names, ("teacher", "student")):
                if name not in side.measure():
                    raise Unsuited(f"a section of the {who} has a single layer, so that nothing flows from a first "
                                   "layer to a last; choose networks whose sections have several")
            couples += [pair.layers((names,))[0], last]
        return tuple(couples)

    def asks(self) -> frozenset[str]:
        return super().asks() | {"sections"}

    def bind(self, pair: Pair, seed: int = 0) -> Bound:
        bound = super().bind(pair, seed)
        generator = torch.Generator().manual_seed(seed)
        for i, layer in enumerate(bound.layers):
            channels = layer.teacher_shape[0]
            order = torch.randperm(channels, generator=generator, device=generator.device)
            bound.register_buffer(f"order{i}", order if self.shuffled else torch.arange(channels))
        return bound

    def teach(self, teacher: Response, bound: Bound = NOTHING) -> Taught:
        maps = [teacher.taps[layer.teacher] for layer in bound.layers]
        if self.shuffled:
            maps = [values[:, getattr(bound, f"order{i}")] for i, values in enumerate(maps)]
        return {str(k): fsp_matrix(*both) for k, both in enumerate(_couples(maps))}

    def offered(self, student: Response, bound: Bound) -> list[Tensor]:
        maps = [module(student.taps[layer.student]) for layer, module in zip(bound.layers, bound.connectors)]
        return [fsp_matrix(*both) for both in _couples(maps)]

    def error(self, ours: Tensor, theirs: Tensor) -> Tensor:
        return _errors(ours, theirs)


def _couples(maps: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    return list(zip(maps[::2], maps[1::2]))
