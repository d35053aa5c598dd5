"""What an experiment will cost, measured on this device in a moment rather than guessed."""

from __future__ import annotations

import statistics
import time
from itertools import pairwise

from kdcore import data, device, train
from kdcore.config import RunConfig
from kdcore.experiment import Experiment
from kdcore.teaching import CHUNK, answer

TRIAL_STEPS = 12
TRIAL_IMAGES = 200


def estimate(experiment: Experiment) -> dict:
    """What the experiment's students will cost, and their teacher where it has to be trained.

    {"runs", "slots" at a time, "seconds" until the last student ends, "teacher_seconds", "bytes" of disk}. Each method
    is tried for a few steps with an untrained teacher; the medians of a step and of a measurement count.
    """
    runs = experiment.runs()
    slots = max(1, device.describe()["slots"] // experiment.run.threads)
    trials = runs[: len(runs) // len(experiment.seeds)]  # one seed's runs: every method once
    weights = sum(p.numel() * p.element_size() for p in train.build(runs[0]).parameters())
    return {"runs": len(runs), "slots": slots,
            "seconds": sum(map(_seconds, trials)) * len(experiment.seeds) / min(slots, len(runs)),
            "teacher_seconds": _seconds(experiment.run.teacher) if experiment.run.teacher else 0.0,
            "bytes": len(runs) * weights * len(train.snapshot_steps(experiment.run.steps))}


def _seconds(run: RunConfig) -> float:
    """Seconds that one run takes: its set-up, what its teacher hands over, its steps and its measurements."""
    teacher = train.build(run.teacher).eval() if run.teacher else None
    images = train.training_images(run)
    smaller = data.DataConfig(name=run.data.name, images=min(len(images), TRIAL_IMAGES))
    trial = run.model_copy(update={"steps": TRIAL_STEPS, "evaluations": TRIAL_STEPS, "data": smaller})
    marks, spent = [time.perf_counter()], []
    for record in train.train(trial, teacher=teacher):
        if isinstance(record, train.Measurement):
            marks.append(time.perf_counter())
            spent.append(record.values["seconds"])
    a_step = statistics.median(after - before for before, after in pairwise(spent))
    a_measurement = statistics.median(after - before for before, after in pairwise(marks[1:])) - a_step
    measurements = min(run.evaluations + len(train.snapshot_steps(run.steps)), run.steps + 1)
    setup = marks[1] - marks[0] + _teaching_seconds(run, teacher) * len(images) / CHUNK
    return setup + a_step * run.steps + a_measurement * measurements


def _teaching_seconds(run: RunConfig, teacher) -> float:
    """Seconds in which the teacher answers one chunk of images for every term that asks it."""
    where = device.pick(run.device)
    images = data.images(run.data.name, "test", where)[:CHUNK]
    began = time.perf_counter()
    for stage in run.method.stages:
        for weighted in stage.objective.values():
            if weighted.term.needs_teacher:
                answer(weighted.term, teacher.to(where), images)
    return time.perf_counter() - began
