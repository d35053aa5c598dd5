"""An experiment: one run varied over methods and seeds, always with the baseline under the same budget."""

from __future__ import annotations

import json
import math
import time
from itertools import product
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from kdcore import grid, methods
from kdcore.config import RunConfig, read
from kdcore.errors import UserError
from kdcore.models import ARCHITECTURES
from kdcore.objective import Method

MOST_RUNS = 10_000


class Experiment(BaseModel):
    """`run` with each of `methods`, each of `seeds` and each combination of what varies.

    Labels alone are always among the methods; where one is an ensemble, an ensemble of as many that learn from labels
    alone is too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("", max_length=120, description="What the experiment is called in lists.")
    run: RunConfig
    methods: tuple[Method, ...] = Field(description="What is handed over, one run for each.")
    seeds: tuple[int, ...] = Field((0,), max_length=100)
    vary: dict[str, tuple[Any, ...]] = Field({}, description="Fields of the run and the values that each takes, by "
                                             "path, such as data.per_class; every combination is trained. method.KEY "
                                             "is the weight of the term KEY.")

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

    @field_validator("vary")
    @classmethod
    def _values(cls, vary: dict[str, tuple]) -> dict[str, tuple]:
        vary = {path: tuple(value.item() if hasattr(value, "item") else value for value in values)  # of NumPy, of torch
                for path, values in vary.items()}
        for path, values in vary.items():
            if len({json.dumps(value) for value in values}) < max(1, len(values)):
                raise ValueError(f"{path!r} needs one value at least, and no value twice.")
        return vary

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
        sizes = [self.vary.get("method.members", (method.members,)) for method in self.methods if method.members > 1]
        counts = dict.fromkeys((1, *(members for some in sizes for members in some)))
        baselines = [methods.baseline(members) for members in counts]
        return [*baselines, *(method for method in self.methods if method not in baselines)]

    def runs(self) -> list[RunConfig]:
        """The runs, seed by seed, the baselines first; each configuration is validated on its own.

        What does not change a method, such as another one's weight, makes no second run of it. Raises UserError for a
        field that cannot be varied, or too many runs.
        """
        varied = [method.model_dump(mode="json") for method in self.varied()]
        count = len(self.seeds) * len(varied) * math.prod(map(len, self.vary.values()))
        if count > MOST_RUNS:
            raise UserError(f"These are {count} runs, and an experiment has {MOST_RUNS} at most; vary less at a time.")
        if path := grid.unknown(self.vary, [one for one in varied if one["name"] != methods.BASELINE]):
            raise UserError(f"{path!r} cannot be varied: none of the methods has such a term.")
        template, found = self._template(), {}
        cells = [(cell, grid.changed(template, cell)) for cell in grid.cells(self.vary)]
        for seed, (cell, content), method in product(self.seeds, cells, varied):
            told = {path: value for path, value in grid.of_method(cell, method).items()
                    if not (_stays(method) and path.startswith("method."))}
            name = " · ".join(filter(None, (method["title"], grid.words(told), f"seed {seed}")))
            run = read({**content, "name": name[:120], "seed": seed,
                        "method": method if _stays(method) else grid.with_settings(method, cell)})
            found.setdefault(run.hash(), run)
        return list(found.values())

    def _template(self) -> dict:
        """The run as data; initial weights that are the architecture's own follow the architecture."""
        template = self.run.model_dump(mode="json")
        for network in (template["network"], (template["teacher"] or template)["network"]):
            if network["initial"] == ARCHITECTURES[network["name"]].initial:
                network["initial"] = None
        return template

    def planned(self) -> dict:
        """The experiment as plain data for the store: {"name", "content" (itself), "runs", "formulas" (of each
        method, and of each of its weights and settings, its whole loss)}.
        """
        name = self.name or time.strftime("%Y-%m-%d %H:%M:%S")
        return {"name": name, "content": self.model_dump(mode="json"), "runs": [run.planned() for run in self.runs()],
                "formulas": self._formulas()}

    def _formulas(self) -> dict[str, str]:
        of_methods = {path: values for path, values in self.vary.items() if path.startswith("method.")}
        found: dict[str, str] = {}
        for method, cell in product((method.model_dump(mode="json") for method in self.varied()),
                                    grid.cells(of_methods)):
            told = {} if _stays(method) else grid.of_method(cell, method)
            title = " · ".join(filter(None, (method["title"], grid.words(told))))
            found.setdefault(title, Method.model_validate(grid.with_settings(method, told)).formula())
        return found


def _stays(method: dict) -> bool:
    """Whether all others are compared with the method, so that no weight of it varies."""
    return method["name"] in (methods.BASELINE, methods.ENSEMBLE_BASELINE)


def demo(seed: int = 1, seeds: int = 4) -> Experiment:
    """The one-minute demo: the digits, one labelled image of each class, three methods, four seeds.

    With three, Student's t calls one demo in a hundred undecided whose gain is ten times its spread.
    """
    adam = {"learning_rate": 1e-3}
    teacher = {"name": "Teacher of the demo", "data": {"name": "digits"}, "optimiser": adam, "steps": 1000,
               "network": {"name": "fc_teacher", "width": 0.2, "initial": "he"}}
    run = {"data": {"name": "digits", "per_class": 1}, "teacher": teacher, "optimiser": adam, "steps": 1500,
           "network": {"name": "fc_student", "width": 0.2, "initial": "he"}}
    return Experiment(name=f"Demo {time.strftime('%Y-%m-%d %H:%M:%S')}", run=run, methods=methods.DEMO,
                      seeds=tuple(range(seed, seed + seeds)))
