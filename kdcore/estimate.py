"""What an experiment will cost, measured on this device in a moment rather than guessed."""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import time
from typing import NamedTuple

import torch

from kdcore import data, device, settings, train
from kdcore.config import RunConfig
from kdcore.experiment import Experiment
from kdcore.teaching import CHUNK, answer

TRIAL_STEPS = 12
TRIAL_IMAGES = 50
TRIAL_SECONDS = 1.0
MOST_SECONDS = 20.0
KEPT_SECONDS = 600.0


class _Cost(NamedTuple):
    step: float  # seconds
    measurement: float  # seconds
    teaching: float  # seconds in which the teacher answers one image, for all stages
    weights: float  # bytes


_found: dict[str, tuple[float, _Cost]] = {}  # {kind: when it was tried, what it cost}


def estimate(experiment: Experiment) -> dict:
    """What the experiment's runs will cost, in the order of `Experiment.runs`; see `of_runs`."""
    return of_runs(experiment.runs())


def of_runs(runs: list[RunConfig]) -> dict:
    """What runs will cost, in their order.

    {"slots" at a time, "each": [{"seconds", "bytes" of disk, "trainings", "teacher": {"seconds", "bytes"}}], "tried" of
    how many "kinds" of run}. Every kind of run (same networks, terms and batches) is tried for a few steps with an
    untrained teacher, as many kinds as take 20 seconds; the medians of a step and of a measurement count, for ten
    minutes, and for a kind that is not tried the mean of the others.
    """
    kinds = {_kind(run): run for run in [*(run.teacher for run in runs if run.teacher), *runs]}
    began = time.monotonic()
    tried: dict[str, _Cost] = {}
    for kind in sorted(kinds, key=lambda kind: hashlib.sha256(kind.encode()).digest()):  # as if drawn
        now = time.monotonic()
        if now - _found.get(kind, (-math.inf,))[0] > KEPT_SECONDS and now - began < MOST_SECONDS:
            _found[kind] = now, _tried(kinds[kind])
        if kind in _found:
            tried[kind] = _found[kind][1]
    mean = _Cost(*map(statistics.mean, zip(*tried.values())))
    costs = {kind: tried.get(kind, mean) for kind in kinds}
    teachers = {run.teacher.hash(): run.teacher for run in runs if run.teacher}  # which many share
    taught = {hash: _what_it_takes(teacher, costs[_kind(teacher)]) for hash, teacher in teachers.items()}
    each = [{**_what_it_takes(run, costs[_kind(run)]), "trainings": 1 + len(run.members()),
             "teacher": run.teacher and taught[run.teacher.hash()]} for run in runs]
    here = device.describe()
    slots = min(settings.read().at_a_time(here), max(1, here["cores"] // max(run.threads for run in runs)))
    return {"slots": slots, "each": each, "tried": len(tried), "kinds": len(kinds)}


def _kind(run: RunConfig) -> str:
    """All that the seconds of a step depend on."""
    stages = [(stage.share, stage.dropout, {
        key: weighted.term.model_dump(mode="json") for key, weighted in stage.objective.items()})
        for stage in run.method.stages]
    images = run.data.model_dump(include={"name", "path", "size", "augment"})
    networks = [side.network.model_dump(mode="json", exclude={"initial", "start"}) if side else None
                for side in (run, run.teacher)]
    return json.dumps([images, networks, stages, run.threads, run.device, run.precision,
                       min(run.batch_size, len(data.training_images(run)))], sort_keys=True)


def _what_it_takes(run: RunConfig, cost: _Cost) -> dict:
    """{"seconds", "bytes" of snapshots} of one run, or of all students of an ensemble."""
    return {"seconds": _seconds(run, cost) * _trainings(run),
            "bytes": round(run.method.members * len(_snapshots(run)) * cost.weights)}


def _trainings(run: RunConfig) -> float:
    """How many students' training a run costs: an ensemble's, of which the stages that they share count once."""
    return run.method.members - (run.method.members - 1) * run.shared_end() / max(run.steps, 1)


def _seconds(run: RunConfig, cost: _Cost) -> float:
    """Seconds that one run takes: what its teacher hands over, its steps and its measurements."""
    measurements = min(run.evaluations + len(_snapshots(run)), run.steps + 1)
    taught = min(len(data.training_images(run)), run.steps * run.batch_size)
    return cost.teaching * taught + cost.step * run.steps + cost.measurement * measurements


def _tried(run: RunConfig) -> _Cost:
    teacher = train.build(run.teacher).eval() if run.teacher else None
    smaller = run.data.model_copy(update={
        "images": _enough(run, len(data.training_images(run))), "per_class": None, "validation": 0.0,
        "labelled_per_class": None, "labelled_share": 0.0, "label_noise": 0.0})
    step, measurement = train.trial(run.model_copy(update={"data": smaller}), teacher, TRIAL_STEPS, TRIAL_SECONDS)
    weights = sum(p.numel() * p.element_size() for p in train.build(run).parameters())
    return _Cost(step, measurement, _teaching(run, teacher), weights)


def _snapshots(run: RunConfig) -> list[int]:
    return train.snapshot_steps(run.steps, min(train.SNAPSHOTS, run.evaluations + 1))


def _enough(run: RunConfig, most: int) -> int | None:
    """How many images, in equal parts of each class, stand for the run's; None where that cannot be drawn."""
    labels = torch.from_numpy(data.arrays(run.data)["train"][1])
    classes = len(data.source(run.data).classes)
    rarest = int(labels.bincount(minlength=classes).min())
    return min(most, max(TRIAL_IMAGES, run.batch_size), classes * rarest) or None


def _teaching(run: RunConfig, teacher: torch.nn.Module | None) -> float:
    """Seconds in which the teacher answers one image for every term that asks it."""
    where = device.pick(run.device)
    images = data.images(run.data, "test", where, torch.arange(min(CHUNK, data.source(run.data).test)))
    asking = [weighted.term for stage in run.method.stages for weighted in stage.objective.values()
              if weighted.term.needs_teacher]

    def work() -> None:
        for term in asking:
            answer(term, teacher.to(where), images, term.bind(run.pair()).to(where))

    return device.seconds(work, where) / len(images)
