"""What each neuron answers: its activation boundary, and its value.

Heo et al. 2019, Knowledge Transfer via Distillation of Activation Boundaries Formed by Hidden Neurons; Romero et al.
2015, FitNets: Hints for Thin Deep Nets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from kdcore.knowledge.layers import ConnectedTerm, connector
from kdcore.knowledge.pair import Layer
from kdcore.knowledge.term import NOTHING, Bound, Taught

if TYPE_CHECKING:
    from kdcore.response import Response

SMOOTHING = 1e-6  # |d|^p has an infinite derivative at 0 for p < 1, where two inactive neurons meet


def agreement(student_pre: Tensor, teacher_pre: Tensor) -> Tensor:
    """Share of neurons with the same activation (Heo et al. 2019, eq. 2 and 3): (N, ...), (N, ...) -> (N,).

    Both are values before the activation function; a neuron is active above 0.
    """
    return _agreements(student_pre, teacher_pre > 0)


def boundary_error(student_pre: Tensor, teacher_pre: Tensor, margin: float) -> Tensor:
    """The differentiable form of activation transfer (Heo et al. 2019, eq. 4): (N, ...), (N, ...) -> ().

    Σ over neurons and places of ρ(T)·relu(μ − S)² + (1 − ρ(T))·relu(μ + S)², batch mean; both before the activation.
    """
    return _boundary_errors(student_pre, teacher_pre > 0, margin).mean()


def agreeing(student_pre: Tensor, active: Tensor) -> Tensor:
    """Which neurons have the same activation: the student's before its activation function, the teacher's as on or off.

    (N, ...), (N, ...) -> (N, ...), all booleans but the first.
    """
    return (student_pre > 0) == active


def _agreements(student_pre: Tensor, active: Tensor) -> Tensor:
    return agreeing(student_pre, active).flatten(1).float().mean(1)


def _boundary_errors(student_pre: Tensor, active: Tensor, margin: float) -> Tensor:
    sign = active.to(student_pre.dtype) * 2 - 1
    return functional.relu(margin - sign * student_pre).square().flatten(1).sum(1)


class ActivationBoundary(ConnectedTerm):
    """Match which neurons are active, with a margin (Heo et al. 2019, eq. 4, 6 and 7)."""

    title = "Activation boundaries"
    sentence = ("Which neurons of the teacher an image switches on, and not how strongly; in a residual net those at a "
                "group's end are switched after the shortcut is added.")
    paper = "Heo et al. 2019"
    equation = "4, 6, 7"
    role = ".pre"
    zero_at_equality = False  # the margin asks for more than agreement
    recorded: ClassVar[bool] = True

    kind: Literal["activation_boundary"] = "activation_boundary"
    margin: float = Field(1.0, ge=0, le=100, description="μ: how far beyond its boundary the student's neuron is to "
                          "respond.")
    weights: Literal["halved", "equal"] = Field("halved", title="Layer weights", description="Every layer counts the "
                                                "same, or half as much as the next one after it, as in the authors' "
                                                "code.")

    @property
    def formula(self) -> str:
        return (r"\sum_{k=1}^K " + (r"2^{k-K} " if self.weights == "halved" else "")
                + r"\left\| \rho(T^k) \odot \sigma(\mu - r(S^k))"
                r" + (1 - \rho(T^k)) \odot \sigma(\mu + r(S^k)) \right\|_2^2")

    def layer_weights(self, count: int) -> list[float]:
        return [0.5 ** (count - 1 - i) if self.weights == "halved" else 1.0 for i in range(count)]

    def handed(self, features: Tensor) -> Tensor:
        return features > 0

    def error(self, ours: Tensor, theirs: Tensor) -> Tensor:
        return _boundary_errors(ours, theirs, self.margin)

    def record(self, student: Response, taught: Taught, bound: Bound = NOTHING) -> dict[str, Tensor]:
        return {f"agreement.{layer.student.removesuffix(self.role)}":
                _agreements(ours, taught[str(i)])
                for i, (layer, ours) in enumerate(zip(bound.layers, self.offered(student, bound)))}


class ActivationValues(ConnectedTerm):
    """Match the values after the activation function, the l_p baselines (Heo et al. 2019, eq. 1 and Table 7)."""

    title = "Activation values"
    sentence = "How strongly each neuron of the teacher responds, as the l_p norm of the difference."
    paper = "Heo et al. 2019"
    equation = "1"
    role = ".pre"

    kind: Literal["activation_values"] = "activation_values"
    power: Literal[2.0, 1.0, 0.5] = Field(2.0, description="p of the norm: 2, 1 or 0.5.")

    @property
    def formula(self) -> str:
        return rf"\sum_k \sum_i \left| \sigma(T^k_i) - \sigma(r(S^k)_i) \right|^{{{self.power:g}}}"

    def handed(self, features: Tensor) -> Tensor:
        return functional.relu(features)

    def error(self, ours: Tensor, theirs: Tensor) -> Tensor:
        squares = (theirs - functional.relu(ours)).square()
        if self.power < 2:
            squares = (squares + SMOOTHING) ** (self.power / 2) - SMOOTHING ** (self.power / 2)
        return squares.flatten(1).sum(1)


class Hint(ConnectedTerm):
    """Match the features of a layer through a learnt connector, FitNet's hint (Romero et al. 2015)."""

    title = "FitNet hint"
    sentence = "The features of a layer of the teacher, all channels and places."
    paper = "Romero et al. 2015"
    equation = "3"

    kind: Literal["hint"] = "hint"
    batch_norm: bool = Field(False, title="Batch norm in the connector", description="As Heo et al. 2019 have it; "
                             "FitNet's own connector is linear.")
    form: Literal["mean", "sum"] = Field("mean", description="The mean of the squared differences over channels and "
                                         "places, or half of their sum, as Romero et al. 2015 print it.")

    @property
    def formula(self) -> str:
        scale = r"\frac{1}{CHW}" if self.form == "mean" else r"\frac{1}{2}"
        return rf"\sum_k {scale} \left\| T^k - r(S^k) \right\|_2^2"

    def connector(self, layer: Layer) -> nn.Module:
        return connector(layer, self.connectors, self.batch_norm)

    def error(self, ours: Tensor, theirs: Tensor) -> Tensor:
        squares = (theirs - ours).square().flatten(1)
        return squares.mean(1) if self.form == "mean" else squares.sum(1) / 2
