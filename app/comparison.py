"""Groups of runs to compare, one a method and setting, and what they came to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app import engine, results
from app.figures import DASHES, SYMBOLS
from kdcore import comparison, grid

KNOWLEDGE = "knowledge."


class Group(NamedTuple):
    """Runs of one method and setting that are done, one a seed, and what tells them apart in a chart."""

    name: str
    words: str  # as `results.groups` calls them
    runs: list[dict]
    look: dict[str, str]  # "colour", "dash", "symbol"


def named(runs: list[dict]) -> dict[str, list[dict]]:
    """Runs by as few words as tell their groups apart, in the order of their seeds; of two of a seed one counts."""
    words, found = results.groups(runs), {}
    for run in runs:
        found.setdefault(words[run["id"]], {})[run["seed"]] = run
    groups = {name: [of_seed[seed] for seed in sorted(of_seed)] for name, of_seed in found.items()}
    short = _short({name: of_seed[0] for name, of_seed in groups.items()}, results.conditions(runs))
    return {short[name]: of_seed for name, of_seed in groups.items()}


def _short(firsts: dict[str, dict], told: dict[int, dict]) -> dict[str, str]:
    """Shorter names, of those of the settings that tell any two groups apart, the first ones as far as needed."""
    kept: list[str] = []

    def name(run: dict, paths: list[str]) -> str:
        settings = {path: told[run["id"]][path] for path in paths if path in told[run["id"]]}
        return " · ".join(filter(None, (run["title"], grid.words(settings))))

    def apart(paths: list[str]) -> int:
        return len({name(run, paths) for run in firsts.values()})

    for path in dict.fromkeys(path for run in firsts.values() for path in told[run["id"]]):
        kept += [path] * (apart([*kept, path]) > apart(kept))
    return {words: name(run, kept) for words, run in firsts.items()} if apart(kept) == len(firsts) else {
        words: words for words in firsts}


def shown(runs: list[dict], names: list[str]) -> list[Group]:
    """Those of the named groups of runs, with colours and marks of their own."""
    found, words = named(runs), results.groups(runs)
    colours = results.colours([run for name in names for run in found[name]])
    symbols = [*SYMBOLS, *(f"{symbol}-open" for symbol in SYMBOLS)]
    return [Group(name, words[found[name][0]["id"]], found[name], {
        "colour": colours[found[name][0]["id"]], "dash": DASHES[i % len(DASHES)], "symbol": symbols[i % len(symbols)]})
        for i, name in enumerate(names)]


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
            lines.append({"name": group.name, **group.look, **comparison.mean_curve(
                [found[run] for run in there], results.POINTS, [spent[run] for run in there] if seconds else None)})
    return lines


def outcomes(groups: list[Group], runs: list[dict]) -> list[dict]:
    """A row for each group: accuracy and gain as in `results.by_method`, "p" and "holm" of the rank-sum test.

    That is against the runs on labels alone of the same settings and as many networks, among `runs`; None where either
    has no two seeds. "against" is how many these are.
    """
    came, alone = results.by_method(runs), _alone(runs)
    accuracy = {run: row["last"] for run, row in engine.store().summary([run["id"] for run in runs]).items()}
    rows, pairs = [], {}
    for group in groups:
        ours = [accuracy[run["id"]] for run in group.runs]
        theirs = [accuracy[run["id"]] for run in alone.get(group.name, [])]
        rows.append({"name": group.name, "p": None, "holm": None, "against": len(theirs), **came[group.words]})
        if min(len(ours), len(theirs)) > 1:
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
    mean over seeds, NaN without, "seeds" how many these are, "left_out": kinds of terms that were recorded and are not
    zero where both networks are alike, so that a ratio of theirs means nothing}.
    """
    methods = engine.catalogue()["baselines"]
    taught = [group for group in groups if group.runs[0]["method"] not in methods]
    key = dict(zip((run["id"] for run in runs), results.compared(runs)))
    ids = {run["id"] for group in taught for run in group.runs}
    compared = {key[run] for run in ids}
    alone = {key[run["id"]]: run["id"] for run in runs if run["method"] in methods and key[run["id"]] in compared}
    terms = engine.catalogue()["terms"]
    recorded = sorted((name for name in engine.store().metric_names([*ids]) if name.startswith(KNOWLEDGE)),
                      key=lambda name: [*terms].index(kind_of(name)))
    kinds = [name for name in recorded if terms[kind_of(name)]["zero_at_equality"]]
    values, seeds = (np.full((len(taught), len(kinds)), fill) for fill in (np.nan, 0))
    for column, kind in enumerate(kinds):
        last = {run: row["last"] for run, row in engine.store().summary([*ids, *alone.values()], kind).items()}
        for row, group in enumerate(taught):
            values[row, column], seeds[row, column] = comparison.log_ratio(
                [(last.get(run["id"], 0), last.get(alone.get(key[run["id"]]), 0)) for run in group.runs])
    down, across = seeds.any(1), seeds.any(0)
    return {"groups": [group for group, any_ in zip(taught, down) if any_],
            "kinds": [kind for kind, any_ in zip(kinds, across) if any_],
            "values": values[down][:, across], "seeds": seeds[down][:, across],
            "left_out": [*dict.fromkeys(kind_of(name) for name in recorded if name not in kinds)]}


def kind_of(metric: str) -> str:
    """The kind of knowledge that a metric is about."""
    return metric.removeprefix(KNOWLEDGE).removesuffix(results.FITTED)


def trained_on(run: dict) -> set[str]:
    """The kinds of terms in a run's loss."""
    return {term["kind"] for _, term in results.terms(run)}


def families(groups: list[Group], runs: list[dict], place: str) -> dict[str, list[Group]]:
    """Groups that differ in nothing but settings of a `place`, such as "data.": points of one line, by its name."""
    told, found = results.conditions(runs), {}
    for group in groups:
        first = group.runs[0]
        others = {path: value for path, value in told[first["id"]].items() if not path.startswith(place)}
        found.setdefault(" · ".join(filter(None, (first["title"], grid.words(others)))), []).append(group)
    return {name if len(members) > 1 else members[0].name: members for name, members in found.items()}
