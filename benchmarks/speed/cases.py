"""What is measured: each case the plain way and this project's, as functions that do the work once."""

from __future__ import annotations

import atexit
import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

import torch
from torch import nn

from benchmarks.speed import plain
from kdcore import data, device, levers, worker
from kdcore.config import RunConfig, read
from kdcore.experiment import demo
from kdcore.randomness import Draws
from kdcore.response import Response
from kdcore.store import ENDED, Store
from kdcore.train import Training, build, fit

Work = Callable[[], object]
SGD = {"kind": "sgd", "learning_rate": 0.01, "nesterov": True, "weight_decay": 5e-4}
ADAM = {"learning_rate": 1e-4}
MANY = 10_000  # steps of a run, so that what the teacher hands over is worth keeping
PICTURES = 256


@dataclass(frozen=True)
class Case:
    """One piece of work, done two ways; `most` is the ratio to reach, of our time to the plain one's.

    `plain` and `ours` build what the work needs and return the work. What is `whole` takes its time and runs in
    processes of its own.
    """

    title: str
    plain: Callable[[], Work]
    ours: Callable[[], Work]
    most: float | None = None
    whole: bool = False


@dataclass(frozen=True)
class Networks:
    """A pair of networks and what they are trained on."""

    title: str
    images: str
    teacher: str
    student: str
    batch_size: int
    optimiser: dict

    def run(self, term: dict, augment: str = "none", alone: bool = False) -> RunConfig:
        """A run with one term beside the cross entropy, or alone."""
        pictures = {"name": self.images, "images": PICTURES, "seed": 0}
        labels = {} if alone else {"labels": {"weight": 1, "term": {"kind": "cross_entropy"}}}
        return read({"data": {**pictures, "augment": augment}, "network": {"name": self.student},
                     "teacher": {"data": pictures, "network": {"name": self.teacher}},
                     "method": {"stages": [{"objective": {**labels, "knowledge": {"weight": 1, "term": term}}}]},
                     "steps": MANY, "batch_size": self.batch_size, "optimiser": self.optimiser, "seed": 1,
                     "threads": device.cores()})


WIDE = Networks("WRN-40-2 → WRN-16-2", "shapes", "wrn_40_2", "wrn_16_2", 64, SGD)
FULLY_CONNECTED = Networks("FC", "mnist", "fc_teacher", "fc_student", 50, ADAM)
CONVOLUTIONAL = Networks("convolutional", "mnist", "conv_teacher", "conv_student", 50, ADAM)
RESIDUAL = Networks("WRN-16-2 → WRN-16-1", "shapes", "wrn_16_2", "wrn_16_1", 50, SGD)
VGG = Networks("VGG-9 → VGG-4", "shapes", "vgg9", "vgg4", 50, SGD)


def step(title: str, networks: Networks, term: dict, most: float | None = None, augment: str = "none",
         alone: bool = False, against: dict | None = None) -> Case:
    """A step of training. Without augmentation what the teacher hands over is kept, with it the teacher runs.

    `against` is the plain way's term, where it is another one.
    """
    def plainly() -> Work:
        config = networks.run(against or term, augment, alone)
        return plain.Training(config, build(config.teacher)).step

    def ours() -> Work:
        config = networks.run(term, augment, alone)
        return steps(config, build(config.teacher)).advance

    state = "kept" if augment == "none" else "running"
    return Case(f"{title}, {networks.title}, teacher {state}", plainly, ours, most)


def compiled(case: Case) -> Case:
    """The case with our networks compiled, before it is timed."""
    def ours() -> Work:
        advance = case.ours()

        def work() -> None:
            with levers.switched(compiled=True):
                advance()

        work()
        return work

    return replace(case, title=f"{case.title}, compiled", ours=ours, most=None)


def steps(config: RunConfig, teacher: nn.Module | None) -> Training:
    """The project's own trainer before its first step."""
    training = Training(config, teacher, None)
    for _ in training.enter(next(training.stages())):
        pass
    return training


def plain_maps() -> Work:
    """The class maps of a page's images, one image and one class at a time, as examples of attribution do it."""
    network, images = _looked_at()

    def work() -> torch.Tensor:
        found = []
        for image in images.pixels:
            image = image[None].clone().requires_grad_()
            logits = network(image)
            found.append(torch.stack([torch.autograd.grad(logits[0, label], image, retain_graph=True)[0][0]
                                      for label in range(logits.shape[1])]))
        return torch.stack(found)

    return work


def our_maps() -> Work:
    """The same by one response."""
    network, images = _looked_at()

    def work() -> torch.Tensor:
        with torch.no_grad():
            return Response(network, images.pixels, images.labels).jacobian

    return work


def _looked_at() -> tuple[nn.Module, data.Images]:
    config = WIDE.run(SOFT)
    where = device.pick()
    return build(config).to(where).eval(), data.of_run(config, "test", where)[:10]


def plain_loading() -> Work:
    """Fifty batches from a DataLoader, with a process for each core."""
    config = WIDE.run(SOFT, VARIED)
    batches = plain.endless(plain.loader(config, workers=device.cores()))
    where = device.pick()

    def work() -> None:
        for _ in range(50):
            for part in next(batches):
                part.to(where)

    return work


def our_loading() -> Work:
    """The same from images that lie on the device, varied there."""
    config = WIDE.run(SOFT, VARIED)
    where = device.pick()
    images = data.of_run(config, "train", where)

    def work() -> None:
        for number in range(50):
            index = torch.randint(len(images), (config.batch_size,), device=where)
            data.augment(images[index].pixels, Draws(0, number, where), config.data.augment)

    return work


def plain_demo() -> Work:
    """The demo's networks one after another in one script, which measures nothing but accuracy on the way."""
    def work() -> None:
        runs = demo().runs()
        teacher = _script(runs[0].teacher)
        for run in runs:
            _script(run, teacher)

    return work


def _script(config: RunConfig, teacher: nn.Module | None = None) -> nn.Module:
    training = plain.Training(config, teacher)
    test = data.of_run(config, "test", torch.device("cpu"))
    for number in range(config.steps):
        training.step()
        if number % (config.steps // config.evaluations) == 0:
            with torch.no_grad():
                (training.student.eval()(test.pixels).argmax(1) == test.labels).float().mean().item()
            training.student.train()
    return training.student


def our_demo() -> Work:
    """The same by a worker, with all that a page shows of it: maps to look at, distances of every kind of knowledge."""
    return partial(_by_worker, demo().planned()["runs"])


def plain_grid() -> Work:
    """Twenty small runs of this project's own trainer, one after the other, each on all cores."""
    def work() -> None:
        for config in _grid(device.cores()):
            fit(config)

    fit(small(0, device.cores()))
    return work


def our_grid() -> Work:
    """The same by a worker that waits for them, as behind the app, on one core each, side by side."""
    folder, rounds = tempfile.TemporaryDirectory(), count(1)
    store = Store(Path(folder.name))

    def work() -> None:
        _finished(store, [config.planned() for config in _grid(1, 1000 * next(rounds))])

    worker.ensure(store)
    atexit.register(_end, store, folder)
    _finished(store, [small(0, 1).planned()])
    return work


def _end(store: Store, folder: tempfile.TemporaryDirectory) -> None:
    for one in store.queue.workers():
        os.kill(one["pid"], signal.SIGTERM)
    folder.cleanup()


def _finished(store: Store, planned: list[dict]) -> None:
    """Queue runs and wait until all have come to their end."""
    runs = [store.ensure(run) for run in planned]
    while len(ended := [run for run in store.runs(ids=runs) if run["state"] in ENDED]) < len(runs):
        time.sleep(0.02)
    _check(ended)


def _grid(threads: int, first: int = 0) -> list[RunConfig]:
    return [small(first + number, threads) for number in range(20)]


def small(seed: int, threads: int) -> RunConfig:
    """One run of the grid."""
    return read({"data": {"name": "digits"}, "network": {"name": "fc_student", "width": 0.2}, "steps": 2000,
                 "seed": seed, "threads": threads})


def _by_worker(planned: list[dict]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for run in planned:
            store.ensure(run)
        worker.work(store, idle_seconds=0.5)
        _check(store.runs())


def _check(runs: list[dict]) -> None:
    if unfinished := [run["message"] for run in runs if run["state"] != "done"]:
        raise RuntimeError(f"Not all runs came to their end: {unfinished[0]}")


SOFT, VARIED = {"kind": "soft_targets"}, "crop_flip"
ATTENTION, BOUNDARIES, INFORMATION, FLOW = ({"kind": kind} for kind in (
    "attention_maps", "activation_boundary", "map_information", "flow_matrices"))
FULL, SLOPES = {"kind": "full_jacobian"}, {
    "summed": ("Summed Jacobian", {"kind": "summed_jacobian"}),
    "class": ("Jacobian of the labelled class", {"kind": "jacobian_match"}),
    "cost": ("Cost gradient", {"kind": "cost_gradient"})}
PAIRS = {"fc": FULLY_CONNECTED, "conv": CONVOLUTIONAL, "wrn": RESIDUAL, "vgg": VGG}
CASES: dict[str, Case] = {
    "kd": step("Soft targets", WIDE, SOFT, 0.45, VARIED),
    "kd-kept": step("Soft targets", WIDE, SOFT, 0.25),
    "at": step("Attention maps", WIDE, ATTENTION, 0.45, VARIED),
    "at-kept": step("Attention maps", WIDE, ATTENTION),
    "ab": step("Activation boundaries", WIDE, BOUNDARIES, 0.45, VARIED, alone=True),
    "ab-kept": step("Activation boundaries", WIDE, BOUNDARIES, alone=True),
    "vid": step("Variational information", WIDE, INFORMATION, 0.45, VARIED),
    "vid-kept": step("Variational information", WIDE, INFORMATION),
    "fsp": step("FSP matrices", WIDE, FLOW, None, VARIED, alone=True),
    "fsp-kept": step("FSP matrices", WIDE, FLOW, 0.12, alone=True),
    **{f"full-{pair}": step("Full Jacobian", networks, FULL, 0.7) for pair, networks in PAIRS.items()},
    **{f"full-{pair}-running": step("Full Jacobian", networks, FULL, None, "crop") for pair, networks in PAIRS.items()},
    **{f"projected-{pair}": step("Full Jacobian, one projection", networks, {**FULL, "projections": 1},
                                 0.25 if pair == "fc" else None, against=FULL) for pair, networks in PAIRS.items()},
    **{f"{name}-{pair}": step(title, networks, term) for name, (title, term) in SLOPES.items()
       for pair, networks in PAIRS.items()},
    "attention-jacobian-wrn": step("Attention Jacobian", RESIDUAL, {"kind": "attention_jacobian"}),
    "attention-jacobian-vgg": step("Attention Jacobian", VGG, {"kind": "attention_jacobian"}),
    "maps": Case("Class maps of ten images, WRN-16-2", plain_maps, our_maps),
    "loading": Case("Fifty batches of 64, cropped and mirrored", plain_loading, our_loading),
    "demo": Case("The one-minute demo", plain_demo, our_demo, whole=True),
    "grid": Case("Twenty small runs", plain_grid, our_grid, 1 / 1.5, whole=True),
}
CASES["kd-compiled"] = compiled(CASES["kd"])
