"""The teacher's own classes, through a second head of the student.

Li & Hoiem 2016, Learning without Forgetting; Srinivas & Fleuret 2018, Sec. 5; Heo et al. 2019, transfer learning.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from kdcore.knowledge.layers import LayerTerm, linear
from kdcore.knowledge.outputs import logit_errors
from kdcore.knowledge.pair import Layer, Pair


class SecondHead(LayerTerm):
    """Match the teacher's outputs with a second head on the student's embedding (Li & Hoiem 2016).

    "plain" is Σ over classes of (z_t − h(s))², as Srinivas & Fleuret 2018 match activations; "centred" the mean over
    classes of the squared difference of logits from which each image's own mean is taken, as in the code of Heo et
    al. 2019, who weight it by 10.
    """

    title = "Second head"
    sentence = "The teacher's outputs for its own classes, whatever the student is to tell apart."
    paper = "Srinivas & Fleuret 2018"
    zero_at_equality = False  # the head has to be learnt
    recorded: ClassVar[bool] = True

    kind: Literal["second_head"] = "second_head"
    form: Literal["plain", "centred"] = Field("plain", description="Sum of squared differences of the raw outputs, or "
                                              "the mean of those of the centred outputs.")

    @property
    def formula(self) -> str:
        if self.form == "plain":
            return r"\sum_c \left(z_{t,c} - h_c(s)\right)^2"
        return (r"\frac{1}{C} \sum_c \left(\bar z_{t,c} - \bar h_c(s)\right)^2,"
                r"\; \bar z_c = z_c - \textstyle\frac{1}{C} \sum_i z_i")

    def layers(self, pair: Pair) -> tuple[Layer, ...]:
        return (pair.head(),)

    def asks(self) -> frozenset[str]:
        return frozenset()

    def connector(self, layer: Layer) -> nn.Module:
        return linear(layer.student_shape[0], layer.teacher_shape[0], maps=False)

    def error(self, ours: Tensor, theirs: Tensor) -> Tensor:
        if self.form == "plain":
            return logit_errors(ours, theirs)
        return logit_errors(_centred(ours), _centred(theirs)) / theirs.shape[1]


def _centred(logits: Tensor) -> Tensor:
    return logits - logits.mean(1, keepdim=True)
