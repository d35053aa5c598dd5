"""What the papers compare transfer with: penalties that need neither teacher nor labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from torch import Tensor

from kdcore.knowledge.term import NOTHING, Bound, Taught, Term

if TYPE_CHECKING:
    from kdcore.response import Response


class WeightDecay(Term):
    """½‖w‖², so that its weight is what optimisers call weight decay (Srinivas & Fleuret 2018, Table 2: 1e-3)."""

    title = "Weight decay"
    sentence = "Nothing is handed over: the student's weights are kept small."
    formula = r"\tfrac{1}{2} \left\| w \right\|_2^2"
    paper = "Srinivas & Fleuret 2018"
    needs_teacher = False
    zero_at_equality = False

    kind: Literal["weight_decay"] = "weight_decay"

    def teach(self, teacher: Response, bound: Bound = NOTHING) -> Taught:
        return {}

    def distance(self, student: Response, taught: Taught, bound: Bound = NOTHING) -> Tensor:
        half = sum(weights.square().sum() for weights in student.network.parameters()) / 2
        return half.expand(len(student.inputs))
