"""What runs came to: the figures that tables and verdicts show."""

from __future__ import annotations

import json
import statistics

from app import engine
from app.figures import BASELINE_COLOUR, COLOURS, DASHES, TEACHER_COLOUR

ENDED = ("done", "failed", "stopped")


def students(runs: list[dict]) -> list[dict]:
    """Runs that learn from a teacher, oldest first."""
    return sorted((run for run in runs if run["role"] == "student"), key=lambda run: run["id"])


def lines(runs: list[dict], metric: str) -> list[dict]:
    """Curves of a metric, for `figures.curves`: one colour a method, one dash a seed."""
    found = engine.store().curves([run["id"] for run in runs], metric)
    titles = list(dict.fromkeys(run["title"] for run in runs if not is_baseline(run)))
    seeds = sorted({run["seed"] for run in runs})
    return [{"name": run["name"], "group": run["title"] if run["role"] == "student" else "Teacher, while it learns",
             "colour": _colour(run, titles), "dash": DASHES[seeds.index(run["seed"]) % len(DASHES)],
             "steps": found[run["id"]][0], "values": found[run["id"]][1]}
            for run in runs if run["id"] in found]


def _colour(run: dict, titles: list[str]) -> str:
    if run["role"] == "teacher":
        return TEACHER_COLOUR
    return BASELINE_COLOUR if is_baseline(run) else COLOURS[titles.index(run["title"]) % len(COLOURS)]


def is_baseline(run: dict) -> bool:
    """Whether the run learnt from labels alone."""
    return run["method"] == engine.catalogue()["baseline"]


def table(runs: list[dict]) -> list[dict]:
    """One row a run: best and last accuracy, points gained on the baseline of the same seed, seconds, state."""
    summary = engine.store().summary([run["id"] for run in runs])
    baselines = {(run["experiment"], run["seed"]): summary[run["id"]]["last"]
                 for run in runs if is_baseline(run) and run["role"] == "student" and run["id"] in summary}
    rows = []
    for run in runs:
        found = summary.get(run["id"], {"best": None, "last": None, "seconds": None})
        baseline = baselines.get((run["experiment"], run["seed"])) if run["role"] == "student" else None
        compared = None not in (found["last"], baseline) and not is_baseline(run)
        gain = 100 * (found["last"] - baseline) if compared else None
        rows.append({"run": run["id"], "name": run["name"], "method": run["title"], "seed": run["seed"],
                     "state": run["state"], "progress": run["step"] / run["steps"], "last": found["last"],
                     "best": found["best"], "gain": gain, "seconds": found["seconds"]})
    return rows


def by_method(runs: list[dict]) -> dict[str, dict]:
    """{method title: {"mean", "spread" (standard deviation), "count"}} of the last accuracies of runs that are done."""
    summary = engine.store().summary([run["id"] for run in runs])
    groups: dict[str, list[float]] = {}
    for run in runs:
        if run["state"] == "done" and run["id"] in summary:
            groups.setdefault(run["title"], []).append(summary[run["id"]]["last"])
    return {title: {"mean": statistics.mean(values), "count": len(values),
                    "spread": statistics.stdev(values) if len(values) > 1 else 0.0}
            for title, values in groups.items()}


def teacher_accuracy(runs: list[dict]) -> float | None:
    """Last accuracy of the runs' teacher, where they have one and the same."""
    teachers = {run["teacher"] for run in runs if run["teacher"]}
    summary = engine.store().summary(list(teachers)) if len(teachers) == 1 else {}
    return next((found["last"] for found in summary.values()), None)


def short_names(runs: list[dict]) -> list[str]:
    """The runs' names; just their methods where that tells them apart and no one renamed them."""
    titles = [run["title"] for run in runs]
    own = any(not run["name"].startswith(run["title"]) for run in runs)
    return titles if len(set(titles)) == len(runs) and not own else [run["name"] for run in runs]


def image_set(run: dict) -> dict:
    """The catalogue's entry of the image set that a run belongs to."""
    return engine.catalogue()["data"][json.loads(run["config"])["data"]["name"]]


def last_step(run: dict) -> int:
    """Step of a run's newest snapshot."""
    return engine.store().snapshot_steps(run["id"])[-1]


def metrics(ids: list[int]) -> dict[str, str]:
    """What the runs recorded, accuracy first: {name: words}."""
    terms = engine.catalogue()["terms"]
    words = {"accuracy": "Accuracy on the test images", "loss": "Loss in training", "loss.test":
             "Cross entropy on the test images"}
    for name in engine.store().metric_names(ids):
        kind, _, key = name.partition(".")
        if kind == "term":
            words[name] = f"Term: {key.replace('_', ' ')}"
        elif kind == "knowledge":
            words[name] = f"Distance to the teacher: {terms[key]['title'].lower()}"
    return words


def per_cent(share: float) -> str:
    """A share as a percentage with one decimal."""
    return f"{100 * share:.1f} %"


def duration(seconds: float) -> str:
    """Seconds in words: "40 s", "3 min", "2.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
