"""Every method of the papers, as data: the only file that knows a method's name.

Weights are the papers'. Where Ehmann & Samek print λ = 1e7 for a term made of cost gradients of the batch *mean* at
50 images a batch, the same strength with this project's per-sample gradients is 1e7 / 50² = 4000.
"""

import difflib
from typing import Any

from kdcore.knowledge.outputs import CrossEntropy, LogitError, SoftTargets
from kdcore.knowledge.sensitivity import (
    CostGradient,
    DoubleBackpropagation,
    FullJacobian,
    SummedJacobian,
    TargetedDoubleBackpropagation,
)
from kdcore.objective import Method, Stage, WeightedTerm

EHMANN_SAMEK = "Ehmann & Samek 2018"
PER_SAMPLE_1E7 = 4000.0

BASELINE = "labels_only"
HEADLINE = "full_jacobian"
DEMO = ("soft_targets", HEADLINE)


def _with_labels(**terms) -> tuple[Stage, ...]:
    weighted = {"cross_entropy": (1.0, CrossEntropy()), **terms}
    return (Stage(objective={key: WeightedTerm(weight=weight, term=term) for key, (weight, term) in weighted.items()}),)


_ALL = (
    Method(
        name=BASELINE, title="Labels only", paper=EHMANN_SAMEK, equations="1",
        rows=("Table 1: only labels", "Table 2: only labels"),
        sentence="Nothing is handed over: the baseline that every other method has to beat under the same budget.",
        stages=_with_labels()),
    Method(
        name="soft_targets", title="Soft targets", paper="Hinton et al. 2015", equations="",
        sentence="The teacher's softened probabilities say which wrong classes an image resembles.",
        stages=(Stage(objective={
            "soft_targets": WeightedTerm(weight=0.9, term=SoftTargets(temperature=4)),
            "cross_entropy": WeightedTerm(weight=0.1, term=CrossEntropy())}),)),
    Method(
        name="match_logits", title="Logits", paper="Srinivas & Fleuret 2018", equations="Prop. 1",
        sentence="The teacher's raw outputs, class by class.",
        stages=_with_labels(logits=(0.1, LogitError()))),
    Method(
        name="cost_gradient", title="Cost gradient", paper=EHMANN_SAMEK, equations="2",
        rows=("Table 1: cost", "Table 2: cost", "Table 3: cost diff"),
        sentence="Where a change of the image would shift the teacher's cost for the label.",
        stages=_with_labels(cost_gradient=(PER_SAMPLE_1E7, CostGradient()))),
    Method(
        name="full_jacobian", title="Full Jacobian", paper=EHMANN_SAMEK, equations="3",
        rows=("Table 1: full Jacobian", "Table 2: full Jacobian"),
        sentence="The teacher's sensitivity map of every class.",
        stages=_with_labels(full_jacobian=(0.1, FullJacobian()))),
    Method(
        name="projected_jacobian", title="Full Jacobian, one projection", paper=EHMANN_SAMEK, equations="3",
        sentence="One random mixture of the teacher's class maps a step: the full Jacobian on average, at a fraction "
                 "of the cost. This project's own.",
        stages=_with_labels(full_jacobian=(0.1, FullJacobian(projections=1)))),
    Method(
        name="summed_jacobian", title="Summed Jacobian", paper=EHMANN_SAMEK, equations="4",
        rows=("Table 1: summed Jacobian",),
        sentence="One map: the sum of the teacher's sensitivity maps over all classes.",
        stages=_with_labels(summed_jacobian=(0.1, SummedJacobian()))),
    Method(
        name="double_backpropagation", title="Double backpropagation", paper=EHMANN_SAMEK, equations="5",
        rows=("Table 3: M=1",),
        sentence="Nothing is handed over: the student's own cost gradient is kept small.",
        stages=_with_labels(double_backpropagation=(PER_SAMPLE_1E7, DoubleBackpropagation()))),
    Method(
        name="cost_gradient_double_backpropagation", title="Cost gradient + double backpropagation",
        paper=EHMANN_SAMEK, equations="2, 5", rows=("Table 3: cost diff + M=1",),
        sentence="The teacher's cost gradient, while the student's own is kept small.",
        stages=_with_labels(cost_gradient=(PER_SAMPLE_1E7, CostGradient()),
                            double_backpropagation=(PER_SAMPLE_1E7, DoubleBackpropagation()))),
    Method(
        name="targeted_double_backpropagation", title="Targeted double backpropagation, M ∈ {0, 1}",
        paper=EHMANN_SAMEK, equations="5, 6", rows=("Table 3: M ∈ {0,1}, p = 0.2, 0.5, 0.7, 0.9",),
        sentence="A mask of the places that hardly matter to the teacher: only there the student's gradient is kept "
                 "small.",
        stages=_with_labels(targeted=(PER_SAMPLE_1E7, TargetedDoubleBackpropagation(outside=1, inside=0)))),
    Method(
        name="graded_double_backpropagation", title="Targeted double backpropagation, M ∈ {1, 2}",
        paper=EHMANN_SAMEK, equations="5, 7", rows=("Table 3: M ∈ {1,2}, p = 0.2, 0.5, 0.7, 0.9",),
        sentence="The same mask: the student's gradient is kept small everywhere, and twice as much where it hardly "
                 "matters to the teacher.",
        stages=_with_labels(targeted=(PER_SAMPLE_1E7, TargetedDoubleBackpropagation(outside=2, inside=1)))),
)
METHODS: dict[str, Method] = {method.name: method for method in _ALL}


def by_name(method: Any) -> Any:
    """The method of a name; anything else is returned as it is. Raises ValueError, a sentence, for an unknown one."""
    if isinstance(method, str) and method not in METHODS:
        close = difflib.get_close_matches(method, METHODS, n=1)
        raise ValueError(f"There is no method {method!r}{f' (did you mean {close[0]!r}?)' if close else ''}; "
                         "python -m kdcore methods lists them.")
    return METHODS[method] if isinstance(method, str) else method
