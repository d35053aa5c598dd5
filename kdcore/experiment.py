"""An experiment: one run varied over methods and seeds, always with the baseline under the same budget."""

from __future__ import annotations

import time
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from kdcore import methods
from kdcore.config import RunConfig, read
from kdcore.objective import Method


class Experiment(BaseModel):
    """`run` with each of `methods` and each of `seeds`; labels alone are always among the methods.

    Where one is an ensemble, an ensemble of as many that learn from labels alone is too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("", max_length=120, description="What the experiment is called in lists.")
    run: RunConfig
    methods: tuple[Method, ...] = Field(description="What is handed over, one run for each.")
    seeds: tuple[int, ...] = Field((0,), max_length=100)

    @field_validator("methods", mode="before")
    @classmethod
    def _by_name(cls, content: Any) -> Any:
        return [methods.by_name(method) for method in content] if isinstance(content, (list, tuple)) else content

    @field_validator("seeds")
    @classmethod
    def _different(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds:
            raise ValueError("An experiment needs one seed at least; three or more show the spread.")
        if len(set(seeds)) < len(seeds):
            raise ValueError("The seeds of an experiment must differ: a seed that is run twice tells nothing new.")
        return seeds

    @model_validator(mode="after")
    def _distinct(self) -> Experiment:
        if any(method.name == methods.BASELINE and method != methods.METHODS[methods.BASELINE]
               for method in self.methods):
            raise ValueError(f"{methods.BASELINE} is the baseline's own name; give the method another.")
        titles = [method.title for method in self.varied()]
        if twice := [title for title in titles if titles.count(title) > 1]:
            raise ValueError(f"Two methods of an experiment have the same title, {twice[0]}; give one another, or "
                             "leave it out.")
        return self

    def varied(self) -> list[Method]:
        """The methods, the baselines first."""
        baselines = [methods.baseline(members)
                     for members in dict.fromkeys((1, *(method.members for method in self.methods)))]
        return [*baselines, *(method for method in self.methods if method not in baselines)]

    def runs(self) -> list[RunConfig]:
        """The runs, seed by seed, the baselines first; each configuration is validated on its own."""
        template = self.run.model_dump(mode="json")
        return [read({**template, "name": f"{method.title} · seed {seed}", "method": method.model_dump(mode="json"),
                      "seed": seed})
                for seed in self.seeds for method in self.varied()]

    def planned(self) -> dict:
        """The experiment as plain data for the store: {"name", "content" (itself), "runs", "formulas" (of each
        method, its whole loss)}.
        """
        name, runs = self.name or time.strftime("%Y-%m-%d %H:%M:%S"), self.runs()
        return {"name": name, "content": self.model_dump(mode="json"), "runs": [run.planned() for run in runs],
                "formulas": {run.method.title: run.method.formula() for run in runs}}


def demo(seed: int = 1, seeds: int = 3) -> Experiment:
    """The one-minute demo: the digits, one labelled image of each class, three methods, three seeds."""
    adam = {"learning_rate": 1e-3}
    teacher = {"name": "Teacher of the demo", "data": {"name": "digits"}, "optimiser": adam, "steps": 1000,
               "network": {"name": "fc_teacher", "width": 0.2, "initial": "he"}}
    run = {"data": {"name": "digits", "per_class": 1}, "teacher": teacher, "optimiser": adam, "steps": 1500,
           "network": {"name": "fc_student", "width": 0.2, "initial": "he"}}
    return Experiment(name=f"Demo {time.strftime('%Y-%m-%d %H:%M:%S')}", run=run, methods=methods.DEMO,
                      seeds=tuple(range(seed, seed + seeds)))
