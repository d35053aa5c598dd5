"""What runs came to: the figures that tables and verdicts show."""

from __future__ import annotations

import json

from app import engine
from app.figures import BASELINE_COLOUR, COLOURS, DASHES, POINTS, TEACHER_COLOUR
from kdcore import grid
from kdcore.comparison import mean, sign

FITTED = ".fitted"  # the engine's mark: a least-squares map stands between layers of different width


def students(runs: list[dict]) -> list[dict]:
    """Runs that learn from a teacher, oldest first."""
    return sorted((run for run in runs if run["role"] in ("student", "ensemble")), key=lambda run: run["id"])


def conditions(runs: list[dict]) -> dict[int, dict]:
    """How the settings of runs differ beside method and seed: {run: {path: value}}, empty where they do not."""
    return dict(zip((run["id"] for run in runs), grid.differences([run["config"] for run in runs])))


def groups(runs: list[dict]) -> dict[int, str]:
    """What each run is one of, by its number: its method, and the settings in which these runs differ."""
    found = conditions(runs)
    return {run["id"]: " · ".join(filter(None, (run["title"], grid.words(found[run["id"]])))) for run in runs}


def lines(runs: list[dict], metric: str) -> list[dict]:
    """Curves of a metric, for `figures.curves`: one colour a group of runs, one dash a seed."""
    found = engine.store().curves([run["id"] for run in runs], metric, POINTS)
    colours, group = _colours(runs), groups(runs)
    seeds = sorted({run["seed"] for run in runs})
    return [{"run": run["id"], "name": run["name"],
             "group": group[run["id"]] if run["role"] != "teacher" else "Teacher, while it learns",
             "colour": TEACHER_COLOUR if run["role"] == "teacher" else colours[group[run["id"]]],
             "dash": DASHES[seeds.index(run["seed"]) % len(DASHES)],
             "steps": found[run["id"]][0], "values": found[run["id"]][1]}
            for run in runs if run["id"] in found]


def colours(runs: list[dict]) -> dict[int, str]:
    """The colour of each run, that of its group, by its number."""
    of_group, group = _colours(runs), groups(runs)
    return {run["id"]: of_group[group[run["id"]]] for run in runs}


def _colours(runs: list[dict]) -> dict[str, str]:
    """The colour of each group: of a method alone the same wherever it is drawn, unless another one here has it."""
    methods, found, group = list(engine.catalogue()["methods"]), {}, groups(runs)
    for run in sorted(runs, key=lambda run: run["id"]):
        if group[run["id"]] not in found:
            first = methods.index(run["method"]) - 1 if run["method"] in methods else -1
            ordered = [COLOURS[(first + step) % len(COLOURS)] for step in range(len(COLOURS))]
            free = [colour for colour in ordered if colour not in found.values()] or ordered
            alone = is_baseline(run) and BASELINE_COLOUR not in found.values()
            found[group[run["id"]]] = BASELINE_COLOUR if alone else free[0]
    return found


def is_baseline(run: dict) -> bool:
    """Whether the run is one network that learnt from labels alone."""
    return run["method"] == engine.catalogue()["baseline"]


def table(runs: list[dict]) -> list[dict]:
    """One row a run: best and last accuracy, seconds, state, and points gained on the baseline.

    The gain is over the baseline of the same seed and settings, of as many networks as the run has, once both are
    done.
    """
    summary, group = engine.store().summary([run["id"] for run in runs]), groups(runs)
    done = {run["id"] for run in runs if run["state"] == "done" and run["id"] in summary}
    alone = engine.catalogue()["baselines"]
    settings = dict(zip((run["id"] for run in runs), compared(runs)))
    baselines = {settings[run["id"]]: summary[run["id"]]["last"] for run in runs
                 if run["method"] in alone and run["id"] in done}
    rows = []
    for run in runs:
        found, base = summary.get(run["id"], {"best": None, "last": None, "seconds": None}), settings[run["id"]]
        gained = run["id"] in done and run["method"] not in alone and base in baselines
        rows.append({"run": run["id"], "name": run["name"], "method": group[run["id"]], "seed": run["seed"],
                     "state": run["state"], "last": found["last"], "best": found["best"],
                     "progress": 100.0 if run["state"] == "done" else 100 * run["step"] / max(run["steps"], 1),
                     "seconds": found["seconds"],
                     "gain": 100 * (found["last"] - baselines[base]) if gained else None})
    return rows


def compared(runs: list[dict]) -> list[tuple]:
    """For each run its seed, number of networks and settings but the method's: runs that share them are compared."""
    return [(run["seed"], json.loads(run["config"])["method"]["members"],
             grid.words({path: value for path, value in told.items() if not path.startswith("method.")}))
            for run, told in zip(runs, conditions(runs).values())]


def by_method(runs: list[dict]) -> dict[str, dict]:
    """What each group of runs came to over the seeds whose run is done: {its words: {"accuracy", "gain"}}.

    Both are (mean, standard error, number of seeds); the gain is over the baseline as in `table`, and absent for the
    baselines themselves. The standard error is None for a single seed.
    """
    found: dict[str, dict[int, dict]] = {}
    for row in table(runs):
        if row["state"] == "done" and row["last"] is not None:
            found.setdefault(row["method"], {})[row["seed"]] = row  # of two runs of a seed, one counts
    return {title: {"accuracy": mean([row["last"] for row in rows.values()]),
                    "gain": mean([row["gain"] / 100 for row in rows.values() if row["gain"] is not None])}
            for title, rows in found.items()}


def in_percent(came: dict) -> dict[str, float | None]:
    """What `by_method` says of a group, as a table has it: "accuracy" and "gain" in per cent, each with an "_error"."""
    return {f"{what}{part}": value and 100 * value for what in ("accuracy", "gain")
            for part, value in zip(("", "_error"), came[what] or (None, None))}


def summary(runs: list[dict]) -> list[dict]:
    """The runs' groups as rows of a table: method, the settings in which these runs differ, accuracy, gain, seeds."""
    found, came, group, rows = conditions(runs), by_method(runs), groups(runs), {}
    paths = dict.fromkeys(path for told in found.values() for path in told)
    spelt = [grid.spelt(path) for path in paths]
    for run in runs:
        if (name := group[run["id"]]) in came and name not in rows:
            settings = {grid.spelt(path) if spelt.count(grid.spelt(path)) == 1 else path: found[run["id"]].get(path)
                        for path in paths}
            rows[name] = {"method": run["title"], **settings, **in_percent(came[name]),
                          "seeds": came[name]["accuracy"][2]}
    return list(rows.values())


def winner(groups: dict[str, dict]) -> str | None:
    """The method with the largest gain among those that clearly gain: 0 is outside the 95 % interval of Student's t."""
    clear = {title: group["gain"][0] for title, group in groups.items() if sign(group["gain"]) > 0}
    return max(clear, key=clear.get, default=None)


def losers(groups: dict[str, dict]) -> list[str]:
    """The methods that clearly lose against the baseline."""
    return [title for title, group in groups.items() if sign(group["gain"]) < 0]


def terms(run: dict) -> list[tuple[str, dict]]:
    """What a run's loss is made of, stage by stage: the key of each term, and its settings."""
    return [(key, weighted["term"]) for stage in json.loads(run["config"])["method"]["stages"]
            for key, weighted in stage["objective"].items()]


def settings(runs: list[dict], kind: str) -> dict:
    """The hyper-parameters with which one of the runs trained on a kind of knowledge; empty where none did."""
    return next(({name: value for name, value in term.items() if name != "kind"} for run in reversed(runs)
                 for _, term in terms(run) if term["kind"] == kind), {})


def teacher_accuracy(runs: list[dict]) -> float | None:
    """Last accuracy of the runs' teacher, where they have one and the same."""
    teachers = {run["teacher"] for run in runs if run["teacher"]}
    summary = engine.store().summary(list(teachers)) if len(teachers) == 1 else {}
    return next((found["last"] for found in summary.values()), None)


def teacher_level(runs: list[dict]) -> tuple[str, float] | None:
    """The same, as the named line of a chart."""
    accuracy = teacher_accuracy(runs)
    return (f"teacher {per_cent(accuracy)}", accuracy) if accuracy else None


def short_names(runs: list[dict]) -> list[str]:
    """The runs' names; just their methods where that tells them apart and no one renamed them."""
    titles = [run["title"] for run in runs]
    own = any(not run["name"].startswith(run["title"]) for run in runs)
    return titles if len(set(titles)) == len(runs) and not own else [run["name"] for run in runs]


def image_set(run: dict) -> dict:
    """The image set that a run belongs to, as in the catalogue; of image files, as they are on this machine."""
    data = json.loads(run["config"])["data"]
    known = engine.catalogue()["data"].get(data["name"])
    return known if known and known["fetched"] in ("here", "download") else engine.answer("image_set", content=data)


def last_step(run: dict) -> int:
    """Step of a run's newest snapshot. Raises UserError where it has none."""
    steps = engine.store().snapshot_steps(run["id"])
    if not steps:
        raise engine.UserError(f"The snapshots of run {run['id']} are gone; train it again to see its maps.")
    return steps[-1]


def metrics(ids: list[int]) -> dict[str, str]:
    """What the runs recorded, accuracy first: {name: words}."""
    told, titles = engine.catalogue()["terms"], _titles(ids)
    words = {"accuracy": "Accuracy on the test images", "loss": "Loss in training", "loss.test":
             "Cross entropy on the test images"}
    further = {"accuracy.validation": "Accuracy on the validation images",
               "loss.validation": "Cross entropy on the validation images",
               "accuracy.members": "Accuracy of an ensemble's members, their mean"}
    for name in engine.store().metric_names(ids):
        kind, _, key = name.removesuffix(FITTED).partition(".")
        fitted = ", through a fitted map" if name.endswith(FITTED) else ""
        if name in further:
            words[name] = further[name]
        elif kind == "term":
            words[name] = f"Term: {titles.get(key, key)}"
        elif kind == "knowledge":
            words[name] = f"Distance to the teacher: {told[key]['title']}{fitted}"
        elif kind == "agreement":
            words[name] = f"Activations that agree with the teacher's: {key}{fitted}"
    return words


def _titles(ids: list[int]) -> dict[str, str]:
    """What each term of the runs' methods is called; those of one kind are told apart by their keys."""
    kinds = {key: term["kind"] for run in engine.store().runs(ids=ids) for key, term in terms(run)}
    several = {kind for kind in kinds.values() if list(kinds.values()).count(kind) > 1}
    told = engine.catalogue()["terms"]
    return {key: told[kind]["title"] + (f" ({key.replace('_', ' ')})" if kind in several else "")
            for key, kind in kinds.items()}


def per_cent(share: float) -> str:
    """A share as a percentage with one decimal."""
    return f"{100 * share:.1f} %"


def points(gain: tuple[float, float | None, int] | None) -> str | None:
    """A gain in percentage points, with its standard error where it has one."""
    if gain is None:
        return None
    error = f" ± {100 * gain[1]:.1f}" if gain[1] is not None else ""
    return f"{100 * gain[0]:+.1f}{error}"
