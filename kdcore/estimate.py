"""What an experiment will cost, measured on this device in a moment rather than guessed."""

from __future__ import annotations

import time

import torch

from kdcore import data, device, train
from kdcore.config import RunConfig
from kdcore.experiment import Experiment
from kdcore.teaching import CHUNK, answer

TRIAL_STEPS = 12
TRIAL_IMAGES = 50
TRIAL_SECONDS = 1.0


def estimate(experiment: Experiment) -> dict:
    """What the experiment's students will cost, and their teacher where it has to be trained.

    {"runs", "slots" at a time, "seconds" until the last student ends, "teacher_seconds", "bytes" of disk}. Each method
    is tried for a few steps with an untrained teacher; the medians of a step and of a measurement count.
    """
    runs = experiment.runs()
    slots = max(1, device.describe()["slots"] // experiment.run.threads)
    trials = runs[: len(runs) // len(experiment.seeds)]  # one seed's runs: every method once
    weights = sum(p.numel() * p.element_size() for p in train.build(runs[0]).parameters())
    return {"runs": sum(1 + len(run.members()) for run in runs), "slots": slots,
            "seconds": (sum(_seconds(run) * _trainings(run) for run in trials) * len(experiment.seeds)
                        / min(slots, len(runs))),
            "teacher_seconds": _seconds(experiment.run.teacher) if experiment.run.teacher else 0.0,
            "bytes": sum(run.method.members for run in runs) * weights * len(_snapshots(experiment.run))}


def _trainings(run: RunConfig) -> float:
    """How many students' training a run costs: an ensemble's, of which the stages that they share count once."""
    return run.method.members - (run.method.members - 1) * run.shared_end() / max(run.steps, 1)


def _seconds(run: RunConfig) -> float:
    """Seconds that one run takes: what its teacher hands over, its steps and its measurements."""
    teacher = train.build(run.teacher).eval() if run.teacher else None
    images = data.training_images(run)
    smaller = run.data.model_copy(update={"images": _enough(run, len(images)), "per_class": None, "validation": 0.0,
                                          "labelled_per_class": None, "label_noise": 0.0})
    a_step, a_measurement = train.trial(run.model_copy(update={"data": smaller}), teacher, TRIAL_STEPS,
                                        TRIAL_SECONDS)
    measurements = min(run.evaluations + len(_snapshots(run)), run.steps + 1)
    return _teaching_seconds(run, teacher, len(images)) + a_step * run.steps + a_measurement * measurements


def _snapshots(run: RunConfig) -> list[int]:
    return train.snapshot_steps(run.steps, min(train.SNAPSHOTS, run.evaluations + 1))


def _enough(run: RunConfig, most: int) -> int | None:
    """How many images, in equal parts of each class, stand for the run's; None where that cannot be drawn."""
    labels = torch.from_numpy(data.arrays(run.data)["train"][1])
    classes = len(data.source(run.data).classes)
    rarest = int(labels.bincount(minlength=classes).min())
    return min(most, TRIAL_IMAGES, classes * rarest) or None


def _teaching_seconds(run: RunConfig, teacher, most: int) -> float:
    """Seconds in which the teacher answers the images of each stage, `most` of them, for every term that asks it."""
    where, ends = device.pick(run.device), run.ends()
    images = data.images(run.data, "test", where, torch.arange(min(CHUNK, data.source(run.data).test)))
    seconds = 0.0
    for stage, start, end in zip(run.method.stages, (0, *ends), ends):
        began = time.perf_counter()
        for weighted in stage.objective.values():
            if weighted.term.needs_teacher:
                answer(weighted.term, teacher.to(where), images, weighted.term.bind(run.pair()).to(where))
        seconds += (time.perf_counter() - began) * min(most, (end - start) * run.batch_size) / CHUNK
    return seconds
