"""What a network answers: labels, soft targets, logits.

Hinton et al. 2015, Distilling the Knowledge in a Neural Network; Ehmann & Samek 2018, eq. 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from kdcore.knowledge.term import Taught, Term

if TYPE_CHECKING:
    from kdcore.response import Response


def soft_target_divergence(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T²·KL(teacher ‖ student) of the softmax at temperature T, batch mean (Hinton et al. 2015).

    Both logits are (N, C). The factor T² keeps the size of the gradient when T changes.
    """
    return _soft_target_divergences(student_logits, teacher_logits, temperature).mean()


def _soft_target_divergences(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    student = functional.log_softmax(student_logits / temperature, dim=1)
    teacher = functional.log_softmax(teacher_logits / temperature, dim=1)
    return temperature**2 * (teacher.exp() * (teacher - student)).sum(1)


def logit_error(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Σ over classes of (z_t − z_s)², batch mean (Srinivas & Fleuret 2018, Prop. 1). Both logits are (N, C)."""
    return _logit_errors(student_logits, teacher_logits).mean()


def _logit_errors(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    return (teacher_logits - student_logits).square().sum(1)


class CrossEntropy(Term):
    """Cross entropy with the labels (Ehmann & Samek 2018, eq. 1)."""

    title = "Cross entropy"
    sentence = "The labels themselves; the teacher has no part in it."
    formula = r"-\log p_{s,y}(x)"
    paper = "Ehmann & Samek 2018"
    equation = "1"
    needs_teacher = False
    needs_labels = True
    zero_at_equality = False

    kind: Literal["cross_entropy"] = "cross_entropy"

    def teach(self, teacher: Response) -> Taught:
        return {}

    def distance(self, student: Response, taught: Taught) -> Tensor:
        return functional.cross_entropy(student.logits, student.labels, reduction="none", ignore_index=-1)


class SoftTargets(Term):
    """Knowledge distillation (Hinton et al. 2015)."""

    title = "Soft targets"
    sentence = "The teacher's probabilities for all classes, softened by a temperature."
    formula = r"T^2 \sum_c p^T_{t,c} \log \frac{p^T_{t,c}}{p^T_{s,c}}"
    paper = "Hinton et al. 2015"

    kind: Literal["soft_targets"] = "soft_targets"
    temperature: float = Field(4.0, gt=0, le=100, description="Temperature of the softmax: higher values show more of "
                               "what the teacher thinks about the wrong classes.")

    def teach(self, teacher: Response) -> Taught:
        return {"logits": teacher.logits}

    def distance(self, student: Response, taught: Taught) -> Tensor:
        return _soft_target_divergences(student.logits, taught["logits"], self.temperature)


class LogitError(Term):
    """Squared error of the raw outputs (Srinivas & Fleuret 2018, Prop. 1, first part)."""

    title = "Logit error"
    sentence = "The teacher's raw outputs, before the softmax."
    formula = r"\sum_c \left(z_{t,c} - z_{s,c}\right)^2"
    paper = "Srinivas & Fleuret 2018"
    equation = "Prop. 1"

    kind: Literal["logit_error"] = "logit_error"

    def teach(self, teacher: Response) -> Taught:
        return {"logits": teacher.logits}

    def distance(self, student: Response, taught: Taught) -> Tensor:
        return _logit_errors(student.logits, taught["logits"])
