"""What a method is made of: weighted terms, stages, and the optimiser that follows them."""

from __future__ import annotations

import re
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from kdcore.knowledge import AnyTerm, Pair, Side, Term
from kdcore.models import ARCHITECTURES

LINE = 150  # letters of LaTeX that fit into one line of a page
PUBLISHED = ", ".join(network.title for network in ARCHITECTURES.values() if network.published)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Optimiser(_Record):
    """How the weights follow the gradient."""

    kind: Literal["adam", "sgd"] = Field("adam", description="Adam, or stochastic gradient descent with momentum.")
    learning_rate: float = Field(1e-4, gt=0, le=10, description="Step length.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of SGD; Adam has its own.")
    nesterov: bool = Field(False, description="Nesterov's form of momentum, for SGD.")
    weight_decay: float = Field(0.0, ge=0, description="Pull of the weights towards zero.")
    falls: tuple[float, ...] = Field((), description="When the learning rate falls: shares of the steps, such as 0.3, "
                                     "0.6, 0.8.")
    fall: float = Field(0.1, gt=0, le=1, title="Factor of a fall", description="What the learning rate is multiplied "
                        "by at each fall.")

    @model_validator(mode="after")
    def _has_momentum(self) -> Optimiser:
        if self.kind == "sgd" and self.nesterov and not self.momentum:
            raise ValueError("Nesterov's form is one of momentum; give a momentum above 0, or leave nesterov off.")
        return self

    @field_validator("falls")
    @classmethod
    def _ascending(cls, falls: tuple[float, ...]) -> tuple[float, ...]:
        if list(falls) != sorted(set(falls)) or not all(0 < share < 1 for share in falls):
            raise ValueError("The falls of a learning rate must be ascending shares of the steps between 0 and 1, such "
                             "as 0.3, 0.6, 0.8.")
        return falls

    def rate(self, done: float) -> float:
        """The learning rate when the share `done` of the steps it is counted over lies behind."""
        return self.learning_rate * self.fall ** sum(done >= share for share in self.falls)

    def words(self) -> str:
        """In a few words, such as "SGD at 0.1, times 0.2 after 30%, 60% of it"."""
        falls = ", ".join(f"{share:.0%}" for share in self.falls)
        return (f"{'Adam' if self.kind == 'adam' else 'SGD'} at {self.learning_rate:g}"
                + (f", times {self.fall:g} after {falls} of it" if falls else ""))

    def build(self, parameters) -> torch.optim.Optimizer:
        """Return the optimiser over `parameters`; Adam as published (β 0.9 and 0.999, ε 1e-8)."""
        if self.kind == "adam":
            return torch.optim.Adam(parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)
        return torch.optim.SGD(parameters, lr=self.learning_rate, momentum=self.momentum, nesterov=self.nesterov,
                               weight_decay=self.weight_decay)


class WeightedTerm(_Record):
    """A term and how much it counts: by a weight, or by the share of the cross entropy that it starts at."""

    weight: float | None = Field(None, ge=0, description="λ, the factor on the term.")
    share: float | None = Field(None, gt=0, le=1000, description="Instead of a weight: λ is set once, on the first "
                                "batch with a label, so that the term starts at this share of the cross entropy.")
    final: float | None = Field(None, ge=0, title="Weight at the end", description="The weight moves to this one in a "
                                "straight line over the stage. Empty: it stays.")
    term: AnyTerm

    @model_validator(mode="after")
    def _one_of_both(self) -> WeightedTerm:
        if (self.weight is None) == (self.share is None):
            raise ValueError(f"Give the term {self.term.kind} either a weight or a share of the cross entropy.")
        if self.final is not None and self.weight is None:
            raise ValueError("A weight that moves to a final one must be given as a weight, not as a share.")
        return self

    def factor(self, start: float, done: float) -> float:
        """λ when the share `done` of the stage lies behind; `start` is its value at first."""
        return start if self.final is None else start + (self.final - start) * done


class Stage(_Record):
    """One part of a training: for `share` of the steps, the weighted terms of `objective` are minimised."""

    name: str = "training"
    share: float = Field(1.0, gt=0, le=1, description="Share of the run's steps.")
    objective: dict[str, WeightedTerm] = Field(min_length=1)
    optimiser: Optimiser | None = Field(None, description="Instead of the run's own optimiser; its falls are counted "
                                        "over this stage.")
    restarts: bool = Field(False, description="Whether the falls of the run's own learning rate are counted over this "
                           "stage alone, from its start, or over the whole run.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the neurons before the last layer that are silenced "
                           "at random in each step.")

    def schedule(self) -> str:
        """How long and how it is trained, in words."""
        parts = [self.share < 1 and f"{self.share:.0%} of the steps",
                 self.optimiser and self.optimiser.words(),
                 self.restarts and "the falls of the learning rate counted anew",
                 self.dropout and f"dropout {self.dropout:g}"]
        return f"{self.name}: " + "; ".join(filter(None, parts))

    def settings(self) -> list[str]:
        """The settings of its terms, in words: a line for each term that has some."""
        terms = [weighted.term for weighted in self.objective.values()]
        return [f"{term.title}: " + ", ".join(f"{_label(term, name)} {_spelt(value)}" for name, value in own)
                for term in terms if (own := [(name, value) for name, value in term if name != "kind"])]


class Method(_Record):
    """A way to train a student, as data."""

    name: str = Field("custom", max_length=80)
    title: str = Field("Custom", min_length=1, max_length=80)
    sentence: str = ""
    paper: str = ""
    equations: str = ""
    rows: tuple[str, ...] = Field((), description="The rows of the paper's tables that it makes.")
    stages: tuple[Stage, ...] = Field(min_length=1)
    start: Literal["network", "published", "teacher"] = Field("network", title="Weights to start from",
        description="As the network's settings say, those published with its architecture, or the teacher's.")
    members: int = Field(1, ge=1, le=20, title="Students", description="One, or those of an ensemble, whose averaged "
                         "probabilities count.")
    shared_stages: int = Field(0, ge=0, title="Stages in common", description="The first stages that the students of "
                               "an ensemble share: they begin to differ after them.")
    optimiser: str = Field("", description="Which of the papers' optimisers it is printed with, by name, with "
                           "semicolons between several; a run chooses its own.")
    ablation: bool = Field(False, description="Whether it only varies another method's setting.")

    @model_validator(mode="after")
    def _whole(self) -> Method:
        if abs((total := sum(stage.share for stage in self.stages)) - 1) > 1e-3:
            raise ValueError(f"The shares of a method's stages must add up to 1, and these make {total:.6g}.")
        if self.shared_stages >= len(self.stages):
            raise ValueError("The students of an ensemble must differ in the last stage at least; lower the stages in "
                             "common, shared_stages.")
        for weighted in self.stages[0].objective.values() if self.start == "teacher" else ():
            if weighted.share and weighted.term.needs_teacher and weighted.term.zero_at_equality:
                raise ValueError(f"{weighted.term.title} is zero between the teacher and its copy, so that no weight "
                                 "makes it a share of the cross entropy; give it a weight instead.")
        return self

    def needs_teacher(self) -> bool:
        """Whether it copies the teacher's weights, or any of its terms reads the teacher."""
        return self.start == "teacher" or any(
            weighted.term.needs_teacher for stage in self.stages for weighted in stage.objective.values())

    def unsuited(self, pair: Pair) -> str | None:
        """Why the method cannot train this pair, in a sentence; None where it can."""
        if self.start == "teacher" and (pair.teacher is None or _shape(pair.teacher) != _shape(pair.student)):
            return (f"{self.title} copies the teacher's weights; choose one network for teacher and student, with "
                    "images of one size and as many classes.")
        if self.start == "published" and not pair.student.published:
            return (f"{self.title} starts from published weights, and there are none for this network; {PUBLISHED} "
                    "have some. To go on from a file or a run, let the network start from it: every method then does, "
                    "the baseline too.")
        for stage in self.stages:
            for weighted in stage.objective.values():
                if reason := weighted.term.unsuited(pair):
                    return f"{weighted.term.title} cannot be matched: {reason}."
        return None

    def suits(self) -> str:
        """Which pairs the method suits, in a sentence: `unsuited` in advance."""
        terms = [weighted.term for stage in self.stages for weighted in stage.objective.values()]
        asked = frozenset().union(*(term.asks() for term in terms))
        if self.start == "teacher":
            return "A student with the teacher's network, size of images and number of classes."
        if self.start == "published":
            return f"{PUBLISHED} at width 1, whose weights are published; no teacher is needed."
        if not self.needs_teacher():
            return "Any network; no teacher is needed."
        kind = "convolutional networks" if "maps" in asked else "networks"
        kind += " with several layers in each section" if "sections" in asked else ""
        kind += " that have the layers it names" if "named layers" in asked else ""
        kind += " of one width" if "equal width" in asked else ""
        kind += ", both convolutional or both fully connected," if "one kind" in asked and "maps" not in asked else ""
        return f"Any two {kind} that look at the same images" + (
            " and tell the same classes apart." if "classes" in asked else ", whatever classes the teacher knows.")

    def schedule(self) -> list[str]:
        """What is to be known of its training beside its terms: a line for the start, the students, each stage."""
        weights = {"published": "Starts from the published weights.", "teacher": "Starts from the teacher's weights."}
        lines = [weights[self.start]] if self.start in weights else []
        if self.members > 1:
            lines.append(f"{self.members} students" + (
                f" that have the first {_counted(self.shared_stages)} in common." if self.shared_stages else "."))
        if len(self.stages) > 1 or any(stage.optimiser or stage.dropout for stage in self.stages):
            lines += [stage.schedule() for stage in self.stages]
        return lines

    def settings(self) -> list[str]:
        """The settings of all terms, in words; those that two stages have are said once."""
        return list(dict.fromkeys(line for stage in self.stages for line in stage.settings()))

    def formula(self) -> str:
        """The whole loss in LaTeX, a line for each stage and, where it has many terms, for each term."""
        lines = [line for stage in self.stages for line in _lines(stage, named=len(self.stages) > 1)]
        return lines[0] if len(lines) == 1 else r"\begin{aligned} &" + r" \\ &".join(lines) + r" \end{aligned}"


def _label(term: Term, name: str) -> str:
    return (type(term).model_fields[name].title or name).replace("_", " ").lower()


def _spelt(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(" with ".join(couple) for couple in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ").lower()


def _counted(stages: int) -> str:
    return "stage" if stages == 1 else f"{stages} stages"


def _shape(side: Side) -> tuple:
    """What two networks have in common whose weights fit into one another."""
    return side.network, side.images, len(side.classes)


def _lines(stage: Stage, named: bool) -> list[str]:
    first, *others = stage.objective.values()
    summands = [_summand(first, bare=True), *map(_summand, others)]
    if stage.dropout:
        summands[-1] += rf",\; \text{{dropout {stage.dropout:g}}}"
    name = r"\text{" + re.sub(r"[^\w -]", "", stage.name).replace("_", " ") + ": }" if named else ""
    if len(summands) <= 2 and sum(map(len, summands)) < LINE:
        return [name + " + ".join(summands)]
    return [name + summands[0], *(rf"\quad + {summand}" for summand in summands[1:])]


def _summand(weighted: WeightedTerm, bare: bool = False) -> str:
    """A term with its factor, in brackets where it begins with a minus; `bare` at the beginning of a line."""
    formula = weighted.term.formula
    negative = formula.startswith("-")
    if weighted.weight == 1 and weighted.final is None:
        return rf"\left[ {formula} \right]" if negative and not bare else formula
    factor = f"{weighted.weight:g}" if weighted.weight is not None else r"\lambda"
    if weighted.final is not None:
        factor = rf"({factor} \to {weighted.final:g})"
    return rf"{factor} \left[ {formula} \right]" if negative else rf"{factor} \cdot {formula}"
