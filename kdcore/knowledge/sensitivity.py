"""Where a network looks: derivatives with respect to the image.

Ehmann & Samek 2018, Transferring Information Between Neural Networks, eq. 2 to 7.
A Response keeps the derivatives; here are the maps and terms that are made of them.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from kdcore.derivatives import class_gradient, cost_gradient, jacobian, projected_jacobian, summed_jacobian
from kdcore.knowledge.term import NOTHING, Bound, Taught, Term

if TYPE_CHECKING:
    from kdcore.response import Response

__all__ = ["CostGradient", "DoubleBackpropagation", "FullJacobian", "SensitivityTerm", "SummedJacobian",
           "TargetedDoubleBackpropagation", "class_gradient", "cost_gradient", "jacobian", "projected_jacobian",
           "summed_jacobian", "target_mask"]
Reading = Literal["squared", "literal"]


def target_mask(teacher_cost_gradient: Tensor, threshold: float, outside: float, inside: float,
                reading: Reading = "squared") -> Tensor:
    """Where to penalise the student's gradient (Ehmann & Samek 2018, eq. 6 and 7): (N, *input) -> (N, *input).

    `outside` on entries where the teacher's gradient is below `threshold` times its maximum in that sample, else
    `inside`; eq. 6 is (1, 0), eq. 7 is (2, 1). `reading` "squared" compares the squared gradient, as the paper's text
    says; "literal" the gradient itself, as its formula is printed.
    """
    strength = teacher_cost_gradient.square() if reading == "squared" else teacher_cost_gradient
    largest = strength.flatten(1).amax(1).view(-1, *[1] * (strength.dim() - 1))
    return torch.where(strength < threshold * largest, strength.new_tensor(outside), strength.new_tensor(inside))


class SensitivityTerm(Term):
    """A term with a picture: `picture` is what the page draws, and `distance` is made of the same numbers."""

    paper = "Ehmann & Samek 2018"
    differentiates_input = True
    picture_title: ClassVar[str]
    row_per_class: ClassVar[bool] = False

    @abstractmethod
    def picture(self, response: Response, taught: Taught) -> Tensor:
        """What is drawn of a network: (N, rows, *input), one row for each map."""


class _MapMatching(SensitivityTerm):
    """Mean squared difference of teacher's and student's map, over all its entries."""

    @abstractmethod
    def map(self, response: Response) -> Tensor:
        """(N, rows, *input)."""

    def teach(self, teacher: Response, bound: Bound = NOTHING) -> Taught:
        return {"map": self.map(teacher)}

    def picture(self, response: Response, taught: Taught) -> Tensor:
        return self.map(response)

    def distance(self, student: Response, taught: Taught, bound: Bound = NOTHING) -> Tensor:
        return (taught["map"] - self.map(student)).square().flatten(1).mean(1)


class CostGradient(_MapMatching):
    """Match the cost gradients (Ehmann & Samek 2018, eq. 2)."""

    title = "Cost gradient"
    picture_title = "Cost gradient"
    sentence = "Where a change of the image would raise or lower the teacher's cost for the label."
    formula = (r"\frac{1}{D} \sum_j \left(\frac{\partial CE_t}{\partial x_j}"
               r" - \frac{\partial CE_s}{\partial x_j}\right)^2")
    equation = "2"
    needs_labels = True

    kind: Literal["cost_gradient"] = "cost_gradient"

    def map(self, response: Response) -> Tensor:
        return response.cost_gradient[:, None]


class SummedJacobian(_MapMatching):
    """Match the Jacobians summed over classes (Ehmann & Samek 2018, eq. 4)."""

    title = "Summed Jacobian"
    picture_title = "Summed Jacobian"
    sentence = "One map that sums the teacher's sensitivity maps of all classes."
    formula = (r"\frac{1}{D} \sum_j \left(\sum_c \frac{\partial z_{t,c}}{\partial x_j}"
               r" - \sum_c \frac{\partial z_{s,c}}{\partial x_j}\right)^2")
    equation = "4"

    kind: Literal["summed_jacobian"] = "summed_jacobian"

    def map(self, response: Response) -> Tensor:
        return response.summed_jacobian[:, None]


class FullJacobian(SensitivityTerm):
    """Match the Jacobian of the outputs (Ehmann & Samek 2018, eq. 3), whole or in random projections.

    With `projections` = k > 0, the mean over k draws of (Σ_c v_c (∂z_t,c/∂x − ∂z_s,c/∂x))² / C with v_c = ±1, drawn
    anew for every image and step: its expectation is eq. 3, at one backward pass a draw instead of C. Without a step's
    draws, in evaluation, the distance is the exact one.
    """

    title = "Full Jacobian"
    picture_title = "Class maps"
    row_per_class = True
    sentence = "The teacher's sensitivity map of every class: where the image speaks for it and where against it."
    equation = "3"

    kind: Literal["full_jacobian"] = "full_jacobian"
    projections: int = Field(0, ge=0, le=100, description="Match this many random projections a step instead of all "
                             "classes: cheaper, the same on average. 0 matches all classes.")

    @property
    def formula(self) -> str:
        if not self.projections:
            return (r"\frac{1}{C D} \sum_{c,j} \left(\frac{\partial z_{t,c}}{\partial x_j}"
                    r" - \frac{\partial z_{s,c}}{\partial x_j}\right)^2")
        mean = rf"\frac{{1}}{{{self.projections}}} \sum_{{i=1}}^{{{self.projections}}} " if self.projections > 1 else ""
        draw = "v_{i,c}" if self.projections > 1 else "v_c"
        return (rf"{mean}\frac{{1}}{{C D}} \sum_j \left(\sum_c {draw} \left(\frac{{\partial z_{{t,c}}}}{{\partial x_j}}"
                rf" - \frac{{\partial z_{{s,c}}}}{{\partial x_j}}\right)\right)^2,\; {draw} = \pm 1")

    def picture(self, response: Response, taught: Taught) -> Tensor:
        return response.jacobian

    def teach(self, teacher: Response, bound: Bound = NOTHING) -> Taught:
        vectors = self._vectors(teacher)
        if vectors is None:
            return {"jacobian": teacher.jacobian}
        return {"projected": projected_jacobian(teacher.logits, vectors, teacher.inputs, teacher.in_turn)}

    def distance(self, student: Response, taught: Taught, bound: Bound = NOTHING) -> Tensor:
        vectors = self._vectors(student)
        if vectors is None:
            return (taught["jacobian"] - student.jacobian).square().flatten(1).mean(1)
        theirs = taught.get("projected")
        if theirs is None:
            theirs = torch.einsum("nkc,nc...->nk...", vectors, taught["jacobian"])
        ours = projected_jacobian(student.logits, vectors, student.inputs, student.in_turn)
        return (theirs - ours).square().flatten(1).mean(1) / student.logits.shape[1]

    def _vectors(self, response: Response) -> Tensor | None:
        if not self.projections or response.draws is None:
            return None
        samples, classes = response.logits.shape
        return response.draws.signs(samples, self.projections, classes).to(response.logits.dtype)


class DoubleBackpropagation(SensitivityTerm):
    """Make the student's own cost gradient small (Ehmann & Samek 2018, eq. 5 with M = 1; Drucker & Le Cun 1992)."""

    title = "Double backpropagation"
    picture_title = "Squared cost gradient"
    sentence = "Nothing is handed over: the student's own cost gradient is kept small everywhere."
    formula = r"\frac{1}{D} \sum_j \left(\frac{\partial CE_s}{\partial x_j}\right)^2"
    equation = "5"
    needs_teacher = False
    needs_labels = True
    zero_at_equality = False

    kind: Literal["double_backpropagation"] = "double_backpropagation"

    def teach(self, teacher: Response, bound: Bound = NOTHING) -> Taught:
        return {}

    def picture(self, response: Response, taught: Taught) -> Tensor:
        return response.cost_gradient.square()[:, None]

    def distance(self, student: Response, taught: Taught, bound: Bound = NOTHING) -> Tensor:
        return self.picture(student, taught).flatten(1).mean(1)


class TargetedDoubleBackpropagation(SensitivityTerm):
    """Make the student's cost gradient small where the teacher's is (Ehmann & Samek 2018, eq. 6 and 7)."""

    title = "Targeted double backpropagation"
    picture_title = "Masked squared cost gradient"
    sentence = "A mask of the places where the teacher's cost gradient is small: there the student's is penalised more."
    equation = "6, 7"
    needs_labels = True
    zero_at_equality = False

    kind: Literal["targeted_double_backpropagation"] = "targeted_double_backpropagation"
    threshold: float = Field(0.5, gt=0, lt=1, description="p: the share of the teacher's largest gradient below which "
                             "an entry counts as unimportant (paper: 0.2, 0.5, 0.7, 0.9).")
    outside: float = Field(1.0, ge=0, description="Mask on unimportant entries (eq. 6: 1, eq. 7: 2).")
    inside: float = Field(0.0, ge=0, description="Mask on the other entries (eq. 6: 0, eq. 7: 1).")
    reading: Reading = Field("squared", description="Compare the teacher's squared gradient, as the paper's text says, "
                             "or the gradient itself, as its formula is printed (literal).")

    @property
    def formula(self) -> str:
        square = "^2" if self.reading == "squared" else ""
        return (r"\frac{1}{D} \sum_j M_j \left(\frac{\partial CE_s}{\partial x_j}\right)^2,\; M_j = \begin{cases}"
                rf" {self.outside:g} & g_{{t,j}}{square} < {self.threshold:g}\,\max_i g_{{t,i}}{square} \\"
                rf" {self.inside:g} & \text{{else}} \end{{cases}}")

    def teach(self, teacher: Response, bound: Bound = NOTHING) -> Taught:
        return {"mask": target_mask(teacher.cost_gradient, self.threshold, self.outside, self.inside, self.reading)}

    def picture(self, response: Response, taught: Taught) -> Tensor:
        return (taught["mask"] * response.cost_gradient.square())[:, None]

    def distance(self, student: Response, taught: Taught, bound: Bound = NOTHING) -> Tensor:
        return self.picture(student, taught).flatten(1).mean(1)
