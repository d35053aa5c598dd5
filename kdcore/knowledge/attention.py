"""Which places of the image a layer attends to.

Zagoruyko & Komodakis 2017, Paying More Attention to Attention; Srinivas & Fleuret 2018, Knowledge Transfer with
Jacobian Matching, eq. 8 to 10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from kdcore.derivatives import derivative
from kdcore.knowledge.layers import GroupTerm, pooled
from kdcore.knowledge.pair import Layer, Shape
from kdcore.knowledge.term import NOTHING, Bound, Taught

if TYPE_CHECKING:
    from kdcore.response import Response

Form = Literal["paper", "squared"]
Window = Literal["full", "third", "fifth", "seventh", "none"]
WINDOWS: dict[str, int] = {"full": 1, "third": 3, "fifth": 5, "seventh": 7}


def attention_map(features: Tensor) -> Tensor:
    """Σ over channels of Z², at unit length (Srinivas & Fleuret 2018, eq. 8): (N, C, H, W) -> (N, H·W).

    A map that is zero everywhere has no direction and stays zero.
    """
    return _unit(_energy(features))


def attention_error(student_features: Tensor, teacher_features: Tensor, form: Form = "paper") -> Tensor:
    """Distance of two attention maps, batch mean: (N, C, H, W), (N, C', H', W') -> ().

    "paper": ‖a_t − a_s‖₂, not squared (Srinivas & Fleuret 2018, eq. 9); "squared": ‖a_t − a_s‖²/(H·W), as in the code
    of Zagoruyko & Komodakis. The unnormalised map of the larger layer is average-pooled to the smaller.
    """
    size = tuple(map(min, student_features.shape[2:], teacher_features.shape[2:]))
    ours, theirs = (_unit(pooled(_energy(features), size)) for features in (student_features, teacher_features))
    return _errors(ours, theirs, form).mean()


def attention_gradient(features: Tensor, inputs: Tensor, window: int | tuple[int, ...] | None,
                       location: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Derivative of one value of the attention map with respect to the image (Srinivas & Fleuret 2018, Sec. 5.2.1).

    `features` (N, C, H, W) computed from `inputs` (N, *input). The map of eq. 8, not normalised, is average-pooled
    with a `window` at stride 1, one side or two (None: not at all); the value is the one at `location` (N,), a flat
    index into the pooled map, by default its maximum. Returns (gradient (N, *input), location (N,)).
    """
    return _gradient(features, features.shape[2:], inputs, window, location)


def _energy(features: Tensor) -> Tensor:
    return features.square().sum(1, keepdim=True)  # (N, 1, H, W)


def _unit(values: Tensor) -> Tensor:
    smallest = torch.finfo(values.dtype).tiny ** 0.5  # its reciprocal is what the gradient at zero is multiplied by
    return functional.normalize(values.flatten(1), dim=1, eps=smallest)


def _errors(ours: Tensor, theirs: Tensor, form: Form) -> Tensor:
    if form == "paper":
        return torch.linalg.vector_norm(theirs - ours, dim=1)
    return (theirs - ours).square().mean(1)


def _gradient(features: Tensor, size: tuple[int, ...], inputs: Tensor, window: int | tuple[int, ...] | None,
              location: Tensor | None) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        energy = pooled(_energy(features), size)
        values = (functional.avg_pool2d(energy, window, stride=1) if window else energy).flatten(1)
    location = values.argmax(1) if location is None else location
    return derivative(lambda: values.gather(1, location[:, None]).sum(), inputs), location


class AttentionMaps(GroupTerm):
    """Match attention maps (Srinivas & Fleuret 2018, eq. 9; Zagoruyko & Komodakis 2017)."""

    title = "Attention maps"
    sentence = "Where each layer of the teacher is active, whatever the channel."
    paper = "Srinivas & Fleuret 2018"
    equation = "8, 9"
    only_maps = True

    kind: Literal["attention_maps"] = "attention_maps"
    form: Form = Field("paper", description="The norm of the difference, as in the paper, or the mean of its square, as"
                       " in the code of Zagoruyko & Komodakis.")

    @property
    def formula(self) -> str:
        norm = r"\left\| \frac{A_t^k}{\|A_t^k\|} - \frac{A_s^k}{\|A_s^k\|} \right\|_2"
        return (rf"\sum_k {norm}" if self.form == "paper" else rf"\sum_k \frac{{1}}{{HW}} {norm}^2") + (
            r",\; A = \textstyle\sum_{c} Z_c^2")

    def teach(self, teacher: Response, bound: Bound = NOTHING) -> Taught:
        return {str(i): _unit(pooled(_energy(teacher.taps[layer.teacher]), layer.size))
                for i, layer in enumerate(bound.layers)}

    def offered(self, student: Response, bound: Bound) -> list[Tensor]:
        return [_unit(pooled(_energy(student.taps[layer.student]), layer.size)) for layer in bound.layers]

    def error(self, ours: Tensor, theirs: Tensor) -> Tensor:
        return _errors(ours, theirs, self.form)

    def drawn_as(self, layer: Layer, image: Shape) -> Shape:
        return layer.size


class AttentionJacobian(GroupTerm):
    """Match the derivatives of attention with respect to the image (Srinivas & Fleuret 2018, eq. 10).

    At the place where the teacher attends most, for both networks.
    """

    title = "Attention Jacobian"
    sentence = "Which pixels would draw the attention of each layer of the teacher to the place it attends to most."
    formula = (r"\sum_k \left\| \frac{g_t^k}{\|g_t^k\|} - \frac{g_s^k}{\|g_s^k\|} \right\|_2^2,\;"
               r" g = \frac{\partial A[i^*]}{\partial x},\; i^* = \arg\max A_t")
    paper = "Srinivas & Fleuret 2018"
    equation = "10"
    only_maps = True
    differentiates_input = True

    kind: Literal["attention_jacobian"] = "attention_jacobian"
    window: Window = Field("fifth", description="The attention is averaged over a window of this part of the map's "
                           "side before its maximum is taken (paper: a fifth is best).")

    def teach(self, teacher: Response, bound: Bound = NOTHING) -> Taught:
        taught = {}
        for i, layer in enumerate(bound.layers):
            gradient, location = _gradient(teacher.taps[layer.teacher], layer.size, teacher.inputs,
                                           self._pixels(layer.size), None)
            taught |= {f"{i}.direction": _unit(gradient), f"{i}.location": location}
        return taught

    def compared(self, student: Response, taught: Taught, bound: Bound) -> list[tuple[Tensor, Tensor]]:
        gradients = [_gradient(student.taps[layer.student], layer.size, student.inputs, self._pixels(layer.size),
                               taught[f"{i}.location"])[0]
                     for i, layer in enumerate(bound.layers)]
        return [(_unit(gradient), taught[f"{i}.direction"]) for i, gradient in enumerate(gradients)]

    def error(self, ours: Tensor, theirs: Tensor) -> Tensor:
        return (theirs - ours).square().sum(1)

    def drawn_as(self, layer: Layer, image: Shape) -> Shape:
        return image

    def marked(self, taught: Taught, number: int, layer: Layer) -> Tensor:
        height, width = layer.size
        window = self._pixels(layer.size) or (1, 1)
        row, column = (taught[f"{number}.location"] // (width - window[1] + 1),
                       taught[f"{number}.location"] % (width - window[1] + 1))
        return torch.stack([(row + window[0] / 2) / height, (column + window[1] / 2) / width], 1)

    def _pixels(self, size: tuple[int, ...]) -> tuple[int, ...] | None:
        if self.window not in WINDOWS:
            return None
        return tuple(max(1, round(side / WINDOWS[self.window])) for side in size)
