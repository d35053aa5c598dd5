"""How much the student's features tell of the teacher's: a variational bound on their mutual information.

Ahn et al. 2018, the workshop form of Variational Information Distillation for Knowledge Transfer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from kdcore.knowledge.layers import GroupTerm, LayerTerm, at_one_size, least_squares, linear
from kdcore.knowledge.pair import Layer, Pair
from kdcore.knowledge.term import Bound

if TYPE_CHECKING:
    from kdcore.response import Response

SMALLEST_SCALE = 1e-5
FIRST_SCALE = math.sqrt(5)


def gaussian_cost(prediction: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    """−log q(t | s) up to a constant (Ahn et al. 2018, eq. 3 and 4): (N, C, ...), (N, C, ...), (C,) -> ().

    Σ over elements of log σ_c + (t − μ)²/2σ_c², with one σ a channel, batch mean. A sum, as printed: it grows with
    the layer.
    """
    return _gaussian_costs(prediction, target, scale).mean()


def _gaussian_costs(prediction: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    per_channel = _per_channel(scale, target)
    return (per_channel.log() + deviation(prediction, target, scale).square() / 2).flatten(1).sum(1)


def deviation(prediction: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    """(t − μ)/σ of eq. 3 and 4, what the student did not foresee: (N, C, ...), (N, C, ...), (C,) -> (N, C, ...)."""
    return (target - prediction) / _per_channel(scale, target)


def _per_channel(scale: Tensor, target: Tensor) -> Tensor:
    return scale.view(-1, *[1] * (target.dim() - 2))


def _before_softplus(values: Tensor) -> Tensor:
    return values + (-torch.expm1(-values)).log()  # log(eᵛ − 1), where eᵛ alone would overflow


class Gaussian(nn.Module):
    """q(t | s): a mean computed from the student's features, and one learnt σ for each of the teacher's channels."""

    def __init__(self, mean: nn.Module, channels: int):
        super().__init__()
        self.mean = mean
        self.raw = nn.Parameter(torch.full((channels,), math.log(math.expm1(FIRST_SCALE - SMALLEST_SCALE))))

    @property
    def scale(self) -> Tensor:
        """(C,): σ, kept positive by a softplus."""
        return functional.softplus(self.raw) + SMALLEST_SCALE

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and σ for the student's features (N, C', ...): (N, C, ...), (C,)."""
        return self.mean(features), self.scale


class _Information(LayerTerm):
    """Both forms: divided by the number of elements, so that λ means the same for every layer size.

    Never zero: the entropy of what the student cannot know remains.
    """

    paper = "Ahn et al. 2018"
    zero_at_equality = False
    recorded: ClassVar[bool] = True

    def error(self, ours: tuple[Tensor, Tensor], theirs: Tensor) -> Tensor:
        return _gaussian_costs(ours[0], theirs, ours[1]) / theirs[0].numel()

    def fitted(self, student: Response, teacher: Response, bound: Bound) -> Bound:
        found = []
        for layer in bound.layers:
            ours, theirs = at_one_size(layer, student, teacher)
            half = len(ours) // 2  # the mean from one half, its certainty from the other
            mean = least_squares(ours[:half], theirs[:half])
            residual = (theirs - mean(ours))[half:].square().transpose(0, 1).flatten(1).mean(1).sqrt().clamp(min=1e-3)
            gaussian = Gaussian(mean, len(residual)).to(residual)
            gaussian.raw.data.copy_(_before_softplus(residual - SMALLEST_SCALE))
            found.append(gaussian)
        return Bound(bound.layers, found)


class MapInformation(_Information, GroupTerm):
    """Information about maps, MI-I (Ahn et al. 2018, eq. 4)."""

    title = "Information of maps"
    sentence = "All that the student's maps can tell of the teacher's, as a code: a predicted mean and a certainty."
    formula = (r"\sum_k \frac{1}{CHW} \sum_{c,h,w} \log \sigma_c"
               r" + \frac{\left(t_{c,h,w} - \mu_{c,h,w}(s)\right)^2}{2 \sigma_c^2}")
    equation = "4"
    only_maps = True

    kind: Literal["map_information"] = "map_information"

    def connector(self, layer: Layer) -> nn.Module:
        ours, theirs = layer.student_shape[0], layer.teacher_shape[0]
        mean = nn.Sequential(nn.Conv2d(ours, theirs, 1), nn.BatchNorm2d(theirs), nn.ReLU(),
                             nn.Conv2d(theirs, theirs, 1))
        return Gaussian(mean, theirs)


class VectorInformation(_Information):
    """Information about vectors, MI-L: the teacher's logits from the student's embedding (Ahn et al. 2018, eq. 3)."""

    title = "Information of outputs"
    sentence = "What the student's last hidden layer can tell of the teacher's outputs, even of other classes."
    formula = (r"\frac{1}{D} \sum_d \log \sigma_d"
               r" + \frac{\left(t_d - \mu_d(s)\right)^2}{2 \sigma_d^2}")
    equation = "3"

    kind: Literal["vector_information"] = "vector_information"

    def layers(self, pair: Pair) -> tuple[Layer, ...]:
        return (pair.head(),)

    def asks(self) -> frozenset[str]:
        return frozenset()

    def connector(self, layer: Layer) -> nn.Module:
        ours, theirs = layer.student_shape[0], layer.teacher_shape[0]
        return Gaussian(linear(ours, theirs, maps=False), theirs)
