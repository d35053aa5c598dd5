"""Groups of runs to compare, one a method and setting, and what they came to."""

from __future__ import annotations

import json
import math
from typing import NamedTuple

import numpy as np

from app import engine, results
from app.figures import DASHES, SYMBOLS
from kdcore import comparison, grid

KNOWLEDGE = "knowledge."


class Group(NamedTuple):
    """Runs of one method and setting that are done, one a seed, and what tells them apart in a chart."""

    name: str
    runs: list[dict]
    look: dict[str, str]  # "colour", "dash", "symbol"


def named(runs: list[dict]) -> dict[str, list[dict]]:
    """Runs by the words for their method and setting, in the order of their seeds; of two runs of a seed one counts."""
    words, found = results.groups(runs), {}
    for run in runs:
        found.setdefault(words[run["id"]], {})[run["seed"]] = run
    return {name: [of_seed[seed] for seed in sorted(of_seed)] for name, of_seed in found.items()}


def shown(found: dict[str, list[dict]], names: list[str]) -> list[Group]:
    """Those of the named groups, with colours and marks of their own."""
    colours = results.colours([run for name in names for run in found[name]])
    return [Group(name, found[name], {"colour": colours[found[name][0]["id"]], "dash": DASHES[i % len(DASHES)],
                                      "symbol": SYMBOLS[i % len(SYMBOLS)]}) for i, name in enumerate(names)]


def curves(groups: list[Group], metric: str, seconds: bool) -> list[dict]:
    """The mean of a metric over each group's seeds, for `figures.bands`, over steps or over seconds of training.

    Over seconds a step stands where its seeds were at on average when they came to it.
    """
    ids, lines = [run["id"] for group in groups for run in group.runs], []
    found = engine.store().curves(ids, metric, results.POINTS)
    spent = engine.store().curves([*found], "seconds", results.POINTS) if seconds else found
    for group in groups:
        there = [run["id"] for run in group.runs if run["id"] in found and run["id"] in spent]
        if there:
            mean = comparison.mean_curve([found[run] for run in there], results.POINTS)
            times = comparison.mean_curve([spent[run] for run in there], results.POINTS) if seconds else None
            x = np.interp(mean["steps"], times["steps"], times["mean"]) if times else mean["steps"]
            lines.append({"name": group.name, **group.look, **mean, "x": x})
    return lines


def outcomes(groups: list[Group], runs: list[dict]) -> list[dict]:
    """A row for each group: accuracy and gain as in `results.by_method`, "p" and "holm" of the rank-sum test.

    That is against the runs on labels alone of the same settings and as many networks, among `runs`; None where there
    are none. "against" is how many these are.
    """
    came, alone = results.by_method(runs), _alone(runs)
    accuracy = {run: row["last"] for run, row in engine.store().summary([run["id"] for run in runs]).items()}
    rows, pairs = [], {}
    for group in groups:
        ours = [accuracy[run["id"]] for run in group.runs]
        theirs = [accuracy[run["id"]] for run in alone.get(group.name, [])]
        rows.append({"name": group.name, "p": None, "holm": None, "against": len(theirs), **came[group.name]})
        if theirs:
            pairs[len(rows) - 1] = (ours, theirs)
    if pairs:
        tested = engine.answer("rank_sums", pairs=[*pairs.values()])
        for row, p, corrected in zip(pairs, tested["p"], tested["holm"]):
            rows[row] |= {"p": p, "holm": corrected}
    return rows


def _alone(runs: list[dict]) -> dict[str, list[dict]]:
    """For each group's words the runs that it is measured against; the baselines themselves are absent."""
    methods, found = engine.catalogue()["baselines"], named(runs)
    settings = {run["id"]: told[1:] for run, told in zip(runs, results.compared(runs))}
    baselines = {settings[of_seed[0]["id"]]: of_seed for of_seed in found.values() if of_seed[0]["method"] in methods}
    return {name: baselines[settings[of_seed[0]["id"]]] for name, of_seed in found.items()
            if of_seed[0]["method"] not in methods and settings[of_seed[0]["id"]] in baselines}


def knowledge(groups: list[Group], runs: list[dict]) -> dict:
    """How close to their teachers' each group's knowledge ended, beside that of labels alone with the same seed.

    {"groups" and "kinds" (names of metrics) that have any, "values" (groups, kinds): log₂ of the distance's ratio,
    mean over seeds, NaN without, "seeds" how many these are}.
    """
    methods = engine.catalogue()["baselines"]
    taught = [group for group in groups if group.runs[0]["method"] not in methods]
    key = dict(zip((run["id"] for run in runs), results.compared(runs)))
    ids = {run["id"] for group in taught for run in group.runs}
    compared = {key[run] for run in ids}
    alone = {key[run["id"]]: run["id"] for run in runs if run["method"] in methods and key[run["id"]] in compared}
    kinds = [name for name in engine.store().metric_names([*ids]) if name.startswith(KNOWLEDGE)]
    values, seeds = (np.full((len(taught), len(kinds)), fill) for fill in (np.nan, 0))
    for column, kind in enumerate(kinds):
        last = {run: row["last"] for run, row in engine.store().summary([*ids, *alone.values()], kind).items()}
        for row, group in enumerate(taught):
            ratios = [math.log2(last[run["id"]] / last[alone[key[run["id"]]]]) for run in group.runs
                      if last.get(run["id"], 0) > 0 and last.get(alone.get(key[run["id"]]), 0) > 0]
            if ratios:
                values[row, column], seeds[row, column] = sum(ratios) / len(ratios), len(ratios)
    down, across = seeds.any(1), seeds.any(0)
    return {"groups": [group for group, any_ in zip(taught, down) if any_],
            "kinds": [kind for kind, any_ in zip(kinds, across) if any_],
            "values": values[down][:, across], "seeds": seeds[down][:, across]}


def trained_on(run: dict) -> set[str]:
    """The kinds of terms in a run's loss."""
    return {weighted["term"]["kind"] for stage in json.loads(run["config"])["method"]["stages"]
            for weighted in stage["objective"].values()}


def families(groups: list[Group], runs: list[dict], place: str) -> dict[str, list[Group]]:
    """Groups that differ in nothing but settings of a `place`, such as "data.": points of one line."""
    told, found = results.conditions(runs), {}
    for group in groups:
        first = group.runs[0]
        others = {path: value for path, value in told[first["id"]].items() if not path.startswith(place)}
        found.setdefault(" · ".join(filter(None, (first["title"], grid.words(others)))), []).append(group)
    return found
