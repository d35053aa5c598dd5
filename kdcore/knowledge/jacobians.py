"""Slopes of the outputs, sums of squares instead of means.

Srinivas & Fleuret 2018, Knowledge Transfer with Jacobian Matching. Matching outputs under input noise is matching
outputs and Jacobians (Prop. 1); asking for small Jacobians is asking for outputs that noise does not move (Prop. 2).
Images are in [0, 1]: a derivative with respect to an image normalised by a standard deviation s is s times as large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import Tensor

from kdcore.derivatives import class_gradient, jacobian
from kdcore.knowledge.outputs import logit_errors
from kdcore.knowledge.sensitivity import SensitivityTerm
from kdcore.knowledge.term import NOTHING, Bound, Taught, Term

if TYPE_CHECKING:
    from kdcore.response import Response

Classes = Literal["label", "teacher", "all"]
PAPER = "Srinivas & Fleuret 2018"
CLASSES = Field("label", title="Outputs", description="Whose derivatives: of the labelled class (paper), of the "
                "teacher's largest output where labels are not to be used, or of every class.")


class _ChosenOutputs(SensitivityTerm):
    """A term over the derivatives of the labelled class, the teacher's largest output, or all of them."""

    paper = PAPER

    classes: Classes = CLASSES

    @property
    def needs_labels(self) -> bool:
        """Only where the labels choose the output."""
        return self.classes == "label"

    def choice(self, response: Response) -> Taught:
        """The teacher's part in the choice: {"class": (N,)}, or nothing."""
        return {"class": response.logits.argmax(1)} if self.classes == "teacher" else {}

    def summed(self, norm: str) -> str:
        """The formula over the chosen outputs; `norm` names one of them by {c}."""
        if self.classes == "all":
            return r"\sum_c " + norm.replace("{c}", "c")
        if self.classes == "label":
            return norm.replace("{c}", "y")
        return norm.replace("{c}", "m") + r",\; m = \arg\max_c z_{t,c}"

    def rows(self, response: Response, taught: Taught, logarithms: bool = False) -> Tensor:
        """(N, rows, *input): derivatives of the chosen outputs, or of the logarithms of their probabilities."""
        if self.classes == "all" and not logarithms:
            return response.jacobian
        with torch.enable_grad():
            outputs = response.logits.log_softmax(1) if logarithms else response.logits
        if self.classes == "all":
            return jacobian(outputs, response.inputs, response.in_turn)
        chosen = response.labels.clamp(min=0) if self.classes == "label" else taught.get("class")
        chosen = response.logits.argmax(1) if chosen is None else chosen  # no teacher: the network's own choice
        return class_gradient(outputs, chosen, response.inputs)[:, None]


class JacobianMatch(_ChosenOutputs):
    """Match Jacobians of chosen outputs (Srinivas & Fleuret 2018, Prop. 1, second part)."""

    title = "Jacobian of a class"
    picture_title = "Jacobian of a class"
    sentence = "The teacher's sensitivity map of one class: where the image speaks for it and where against it."
    equation = "Prop. 1"

    kind: Literal["jacobian_match"] = "jacobian_match"

    @property
    def formula(self) -> str:
        return self.summed(r"\left\| \frac{\partial z_{t,{c}}}{\partial x} - \frac{\partial z_{s,{c}}}{\partial x}"
                           r" \right\|_2^2")

    def teach(self, teacher: Response, bound: Bound = NOTHING) -> Taught:
        chosen = self.choice(teacher)
        return {**chosen, "rows": self.rows(teacher, chosen)}

    def picture(self, response: Response, taught: Taught) -> Tensor:
        return self.rows(response, taught)

    def distance(self, student: Response, taught: Taught, bound: Bound = NOTHING) -> Tensor:
        return (taught["rows"] - self.rows(student, taught)).square().flatten(1).sum(1)


class JacobianNorm(_ChosenOutputs):
    """Keep the student's Jacobian small (Srinivas & Fleuret 2018, Prop. 2 and eq. 3)."""

    title = "Jacobian norm"
    picture_title = "Squared Jacobian"
    sentence = "Nothing is handed over: the student's outputs are to change little when the image does."
    equation = "Prop. 2, 3"
    zero_at_equality = False

    kind: Literal["jacobian_norm"] = "jacobian_norm"
    form: Literal["outputs", "probabilities"] = Field("outputs", description="Of the raw outputs (Prop. 2), or of the "
                                                      "logarithm of the probabilities (eq. 3).")

    @property
    def formula(self) -> str:
        output = r"z_{s,{c}}" if self.form == "outputs" else r"\log p_{s,{c}}"
        return self.summed(rf"\left\| \frac{{\partial {output}}}{{\partial x}} \right\|_2^2")

    @property
    def needs_teacher(self) -> bool:
        """Only where the teacher chooses the output."""
        return self.classes == "teacher"

    def teach(self, teacher: Response, bound: Bound = NOTHING) -> Taught:
        return self.choice(teacher)

    def picture(self, response: Response, taught: Taught) -> Tensor:
        return self.rows(response, taught, self.form == "probabilities").square()

    def distance(self, student: Response, taught: Taught, bound: Bound = NOTHING) -> Tensor:
        return self.picture(student, taught).flatten(1).sum(1)


class CrossEntropyJacobian(Term):
    """Match probabilities and their slopes through the cross entropy (Srinivas & Fleuret 2018, eq. 2).

    The second part has no lower bound: a large `noise` lets it win over the first.
    """

    title = "Cross entropy under noise"
    sentence = "The teacher's probabilities and how they change with the image. Unbounded below: keep the noise small."
    formula = (r"-\sum_c p_{t,c} \log p_{s,c} - \sigma^2 \sum_c"
               r" \left\langle \nabla_x p_{t,c}, \nabla_x \log p_{s,c} \right\rangle")
    paper = PAPER
    equation = "2"
    differentiates_input = True
    zero_at_equality = False

    kind: Literal["cross_entropy_jacobian"] = "cross_entropy_jacobian"
    noise: float = Field(0.01, ge=0, le=1, description="σ, the standard deviation of the noise that the slopes stand "
                         "for, in units of pixels from 0 to 1.")
    temperature: float = Field(1.0, gt=0, le=100, description="Temperature of the softmax.")

    def teach(self, teacher: Response, bound: Bound = NOTHING) -> Taught:
        logarithms, slopes = self._logarithms(teacher)
        return {"probabilities": logarithms.exp(), "slopes": _rows(logarithms.exp(), slopes) * slopes}

    def distance(self, student: Response, taught: Taught, bound: Bound = NOTHING) -> Tensor:
        logarithms, slopes = self._logarithms(student)
        return (-(taught["probabilities"] * logarithms).sum(1)
                - self.noise**2 * (taught["slopes"] * slopes).flatten(1).sum(1))

    def _logarithms(self, response: Response) -> tuple[Tensor, Tensor]:
        """Of the probabilities: log p (N, C) and ∂ log p/∂x (N, C, *input), from the Jacobian that others share."""
        logarithms = (response.logits / self.temperature).log_softmax(1)
        mean = (_rows(logarithms.exp(), response.jacobian) * response.jacobian).sum(1, keepdim=True)
        return logarithms, (response.jacobian - mean) / self.temperature


def _rows(values: Tensor, maps: Tensor) -> Tensor:
    return values.view(*values.shape, *[1] * (maps.dim() - 2))


class NoisyOutputs(Term):
    """Match the outputs at images with noise (Srinivas & Fleuret 2018, Prop. 1, left side).

    For piecewise linear networks it equals the logit error plus σ² times the Jacobian error of all classes, where the
    noise stays within a piece; for curved ones σ²·Σ_c d·Δd comes to it, d = z_t − z_s, which vanishes where the outputs
    match. Both networks see the same noise, drawn anew each step; without a step's draws, in evaluation, it is always
    the same.
    """

    title = "Outputs under noise"
    sentence = "The teacher's raw outputs at images to which noise was added."
    formula = (r"\mathbb{E}_\xi \sum_c \left(z_{t,c}(x+\xi) - z_{s,c}(x+\xi)\right)^2,"
               r"\; \xi \sim \mathcal{N}(0, \sigma^2)")
    paper = PAPER
    equation = "Prop. 1"
    keepable = False

    kind: Literal["noisy_outputs"] = "noisy_outputs"
    noise: float = Field(0.1, ge=0, le=1, description="σ, the standard deviation of the noise, in units of pixels from "
                         "0 to 1.")

    def teach(self, teacher: Response, bound: Bound = NOTHING) -> Taught:
        return {"logits": teacher.noisy(self.noise).logits}

    def distance(self, student: Response, taught: Taught, bound: Bound = NOTHING) -> Tensor:
        return logit_errors(student.noisy(self.noise).logits, taught["logits"])
