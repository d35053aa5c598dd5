"""A search for the weight of a term, or one of its settings, on held-out training images: never on the test images.

A search is an experiment. What was tried is read off its runs, so that nothing is lost when a process ends, and
whoever finds it unfinished goes on with it.
"""

from __future__ import annotations

import json
import math
import statistics
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from kdcore import grid, methods
from kdcore.config import RunConfig, parse, read
from kdcore.objective import Method
from kdcore.store import ENDED, Store

SCORE = "accuracy.validation"
ASKS = 200  # of Optuna, for values that were not tried


class Search(BaseModel):
    """Which value of `path` is best for `method`, by the mean accuracy on held-out images over the seeds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("", max_length=120, description="What the search is called in lists.")
    run: RunConfig
    method: Method
    path: str = Field(description="What is searched for: method.KEY is the weight of the term KEY, method.KEY.SETTING "
                      "one of its settings.")
    low: float = Field(gt=0, description="The smallest value.")
    high: float = Field(gt=0, description="The largest value.")
    trials: int = Field(9, ge=2, le=1000, description="How many values are tried.")
    how: Literal["grid", "optuna"] = Field("grid", description="Evenly spaced on a logarithmic scale, or where Optuna "
                                           "expects the most after those before.")
    seeds: tuple[int, ...] = Field((0,), min_length=1, max_length=100)

    @field_validator("method", mode="before")
    @classmethod
    def _by_name(cls, method):
        return methods.by_name(method)

    @model_validator(mode="after")
    def _possible(self) -> Search:
        if self.low >= self.high:
            raise ValueError(f"The smallest value, {self.low:g}, must be below the largest, {self.high:g}.")
        if not self.run.data.validation:
            raise ValueError("A search chooses by images that are held out, and none are; set the validation share of "
                             "the images, to 0.5 for instance.")
        if grid.unknown([self.path], [self.method.model_dump(mode="json")]) or not self.path.startswith("method."):
            raise ValueError(f"{self.method.title} has no {self.path!r}; name a term's weight as method.KEY.")
        return self

    def runs(self, value: float) -> list[RunConfig]:
        """The runs that try a value, one for each seed. Raises UserError where it is not possible."""
        method = grid.with_settings(self.method.model_dump(mode="json"), {self.path: value})
        words = grid.words({self.path: value})
        return [read({**self.run.model_dump(mode="json"), "method": method, "seed": seed,
                      "name": f"{self.method.title} · {words} · seed {seed}"[:120]}) for seed in self.seeds]

    def value(self, config: dict) -> float | None:
        """What a run of this search tried."""
        found = next((found for path, found in grid.settings_of(config["method"]) if path == self.path), None)
        return found if isinstance(found, (int, float)) else None

    def next(self, tried: dict[float, float | None], count: int) -> list[float]:
        """The next `count` values at most; `tried` are those before with their score, None where it is yet to come."""
        count = min(count, self.trials - len(tried))
        if self.how == "optuna":
            return self._by_optuna(tried, count)
        steps = [self.low * (self.high / self.low) ** (i / (self.trials - 1)) for i in range(self.trials)]
        return [value for value in dict.fromkeys(map(self._rounded, steps)) if value not in tried][:max(count, 0)]

    def _by_optuna(self, tried: dict[float, float | None], count: int) -> list[float]:
        import optuna  # half a second

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        known = {"value": optuna.distributions.FloatDistribution(self.low, self.high, log=True)}
        sampler = optuna.samplers.TPESampler(seed=len(tried), n_startup_trials=min(5, self.trials // 2))
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for value, score in ((value, score) for value, score in tried.items() if self.low <= value <= self.high):
            study.add_trial(optuna.trial.create_trial(
                params={"value": value}, distributions=known, value=score,
                state=optuna.trial.TrialState.COMPLETE if score is not None else optuna.trial.TrialState.RUNNING))
        found: dict[float, None] = {}
        for _ in range(ASKS):
            if len(found) >= count:
                break
            value = self._rounded(study.ask(known).params["value"])
            if value not in tried:  # what is rounded may be
                found[value] = None
        return list(found)

    def _rounded(self, value: float) -> float:
        """Three digits, inside the range: nobody needs more, and equal ones are found again."""
        return min(max(float(f"{value:.3g}"), self.low), self.high)


def start(store: Store, search: Search, owner: str = "", name: str = "", slots: int = 2) -> str:
    """Queue labels only and the first values; returns the experiment's name. `advance` goes on with it."""
    name = store.free_name(name or search.name or f"Search: {search.method.title}")
    baselines = [read({**search.run.model_dump(mode="json"), "seed": seed, "method": methods.BASELINE})
                 for seed in search.seeds]
    first = [run for value in search.next({}, slots) for run in search.runs(value)]
    store.submit_all([run.planned() for run in [*baselines, *first]], name, owner,
                     content={"search": search.model_dump(mode="json")})
    return name


def advance(store: Store, name: str, slots: int) -> int:
    """Queue the next values of a search, so that `slots` of them are being tried; returns how many were queued."""
    search = parse(Search, store.experiment(name)["content"]["search"])
    tried = outcomes(store, name, search)
    going = sum(score is None for score in tried.values())
    worst = {value: 0.0 if score is not None and math.isnan(score) else score for value, score in tried.items()}
    values = search.next(worst, slots - going)
    with store.transaction():
        experiment = store.experiment(name)  # which may have been deleted meanwhile
        for run in (run for value in values for run in search.runs(value)):
            store.ensure(run.planned(), name, experiment["owner"])
        if not going and not search.next(worst, 1):
            store.describe(name, {**experiment["content"], "finished": True})
    return len(values)


def outcomes(store: Store, name: str, search: Search | None = None) -> dict[float, float | None]:
    """{value: mean accuracy on the held-out images, None while it is tried, NaN where all its runs failed}."""
    search = search or parse(Search, store.experiment(name)["content"]["search"])
    rows: dict[float, list[dict]] = {}
    for row in store.runs(name)[::-1]:
        if (value := search.value(json.loads(row["config"]))) is not None:
            rows.setdefault(value, []).append(row)
    for value, each in rows.items():  # under whatever name they were trained first
        ours = {run.hash() for run in search.runs(value)}
        rows[value] = [row for row in each if row["hash"] in ours]
    rows = {value: each for value, each in rows.items() if each}
    scores = store.summary([row["id"] for each in rows.values() for row in each], SCORE)
    found = {}
    for value, each in rows.items():
        ended = [scores[row["id"]]["last"] for row in each if row["state"] == "done" and row["id"] in scores]
        going = any(row["state"] not in ENDED for row in each)
        found[value] = None if going else statistics.mean(ended) if ended else math.nan
    return found
