"""The trainer: a generator of records.

for record in train(config): the worker stores records, a test compares them, a notebook plots them.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from kdcore import data, device, models
from kdcore.config import RunConfig, read
from kdcore.errors import UserError
from kdcore.knowledge import TERMS, Pair, Term
from kdcore.knowledge.outputs import CrossEntropy
from kdcore.objective import Stage
from kdcore.randomness import Draws, stream
from kdcore.response import Response
from kdcore.teaching import Lessons, answer, intermediate

SNAPSHOTS = 20
RESUME_SECONDS = 30.0
PROGRESS_SECONDS = 0.25
PROBE_IMAGES = 64
EVALUATION_CHUNK = 1000
AHEAD = 2


@dataclass(frozen=True)
class Measurement:
    """What was measured at a step, in evaluation mode where it is about the test images.

    `values` holds "accuracy" and "loss.test" on the test images, "accuracy.validation" and "loss.validation" on those
    that were held out; "loss", and "term.KEY" for each term of the stage
    before its weight, as means over the steps since the last measurement; "knowledge.KIND", the student's distance
    to its teacher on the probe images, for every kind of knowledge; "seconds" of training so far.
    """

    step: int
    values: dict[str, float]


@dataclass(frozen=True)
class Snapshot:
    """The network's weights at a step, to look at."""

    step: int
    state: dict[str, Tensor]


@dataclass(frozen=True)
class ResumePoint:
    """All that is needed to continue after this step as if nothing had happened."""

    step: int
    state: dict


@dataclass(frozen=True)
class Notice:
    """Something a user should know about the run, in a sentence."""

    step: int
    text: str


@dataclass(frozen=True)
class Progress:
    """A sign of life between measurements, at most every quarter of a second."""

    step: int


Record = Measurement | Snapshot | ResumePoint | Notice | Progress


def train(config: RunConfig | dict | str, *, teacher: nn.Module | None = None,
          resume: dict | None = None) -> Iterator[Record]:
    """Train one run, yielding its records.

    `config` is a run, or JSON of one. `teacher` is the trained teacher; left out, `config.teacher` is trained first.
    `resume` is a ResumePoint's state: the run goes on from there, and ends with the same weights, to the last bit on
    a CPU. Raises UserError for a configuration that is not possible or a loss that stops being finite.
    """
    config = read(config)
    if config.teacher and teacher is None:
        teacher = fit(config.teacher)
    with device.threads(config.threads):
        yield from _Training(config, teacher, resume).records()


def fit(config: RunConfig | dict | str, *, teacher: nn.Module | None = None) -> nn.Module:
    """Train one run to its end and return the network, in evaluation mode, on the CPU."""
    config = read(config)
    network = build(config)
    for record in train(config, teacher=teacher):
        if isinstance(record, Snapshot):
            network.load_state_dict(record.state)
    return network.eval()


def build(config: RunConfig) -> nn.Module:
    """Return the run's network with its initial weights, on the CPU."""
    pair = config.pair()
    return models.build(config.network, pair.student_images, pair.student_classes, stream(config.seed, 2))


def snapshot_steps(total: int, count: int = SNAPSHOTS) -> list[int]:
    """At most `count` steps from 0 to `total`, geometrically spaced: most of what changes, changes early."""
    return sorted({0, total, *np.geomspace(1, total, count - 1).round().astype(int).tolist()})


@dataclass
class _Sums:
    """Sums on the device over the steps since the last measurement; nothing waits for the device in between."""

    steps: int = 0
    values: dict[str, Tensor] = field(default_factory=dict)

    def add(self, values: dict[str, Tensor]) -> None:
        self.steps += 1
        for name, value in values.items():
            self.values[name] = self.values.get(name, 0) + value.detach()

    def means(self) -> dict[str, float]:
        return {name: float(value) / self.steps for name, value in self.values.items()}


class _Training:
    """The state of one training and its steps."""

    def __init__(self, config: RunConfig, teacher: nn.Module | None, resume: dict | None):
        self.config = config
        self.device = device.pick(config.device)
        self.images = data.of_run(config, "train", self.device)
        self.validation = data.of_run(config, "validation", self.device) if config.data.validation else None
        self.test = data.of_run(config, "test", self.device)
        self.network = build(config).to(self.device)
        self.teacher = _frozen(teacher, self.device) if teacher is not None else None
        self.probe = Probe(self.teacher, self.test[:PROBE_IMAGES], config.pair())
        self.step, self.seconds, self.factors, self.sums = 0, 0.0, {}, _Sums()
        self.orders: dict[int, Tensor] = {}
        self.resumed = None  # the state of the optimiser to go on with
        if resume:
            self._restore(resume)

    def records(self) -> Iterator[Record]:
        total = self.config.steps
        snapshots = set(snapshot_steps(total))
        ends = {end for _, end, _ in self._stages()}  # sums are of one stage
        evenly = np.linspace(0, total, self.config.evaluations + 1).round().astype(int).tolist()
        measured = {*snapshots, *ends, *evenly}
        spoke = saved = time.monotonic()
        if self.resumed is None:
            yield Snapshot(0, self._weights())
            yield self._measure()
        for start, end, stage in self._stages():
            if end <= self.step:
                continue
            yield from self._enter(stage, fresh=self.step == start)
            while self.step < end:
                began = time.monotonic()
                self._advance(stage)
                self.seconds += time.monotonic() - began
                if self.step in snapshots:
                    yield Snapshot(self.step, self._weights())
                if self.step in measured:
                    yield self._measure()
                if time.monotonic() - saved > RESUME_SECONDS and self.step < end:
                    yield ResumePoint(self.step, self._state())
                    saved = time.monotonic()
                if time.monotonic() - spoke > PROGRESS_SECONDS:
                    yield Progress(self.step)
                    spoke = time.monotonic()

    def _stages(self) -> Iterator[tuple[int, int, Stage]]:
        start, share = 0, 0.0
        for stage in self.config.method.stages:
            share += stage.share
            end = round(share * self.config.steps)
            yield start, end, stage
            start = end

    def _enter(self, stage: Stage, fresh: bool) -> Iterator[Notice]:
        self.terms = {key: weighted.term for key, weighted in stage.objective.items()}
        varied = self.config.data.augment != "none"
        self.lessons = {key: Lessons(term, self.teacher, self.images, varied) for key, term in self.terms.items()}
        for key, lessons in self.lessons.items():
            if not lessons.kept and fresh and not varied:
                yield Notice(self.step, f"What the teacher hands over for {self.terms[key].title.lower()} does not fit "
                             "into memory and is computed anew each step.")
        self.optimiser = (stage.optimiser or self.config.optimiser).build(self.network.parameters())
        if fresh:
            self.factors = self._weigh(stage)
        else:
            self.optimiser.load_state_dict(self.resumed)

    def _weigh(self, stage: Stage) -> dict[str, float]:
        factors = {key: weighted.weight for key, weighted in stage.objective.items()}
        wanted = {key: weighted.share for key, weighted in stage.objective.items() if weighted.share is not None}
        if wanted:
            self.network.train()
            student, index = self._respond()
            cost = CrossEntropy().loss(student, {})
            for key, share in wanted.items():
                value = self.terms[key].loss(student, self.lessons[key](index, student))
                factors[key] = share * float(cost.detach()) / max(float(value.detach()), 1e-30)
        return factors

    def _advance(self, stage: Stage) -> None:
        self.network.train()
        student, index = self._respond()
        losses = {key: term.loss(student, self.lessons[key](index, student)) for key, term in self.terms.items()}
        total = sum(self.factors[key] * loss for key, loss in losses.items())
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        self.optimiser.step()
        self.step += 1
        self.sums.add({"loss": total, **{f"term.{key}": loss for key, loss in losses.items()}})

    def _respond(self) -> tuple[Response, Tensor]:
        index = self._batch()
        self.images.prefetch(self._batch(ahead=AHEAD))
        batch = self.images[index]
        terms, draws = self.terms.values(), Draws(self.config.seed, self.step, self.device)
        pixels = data.augment(batch.pixels, draws, self.config.data.augment)
        student = Response(self.network, pixels, batch.labels, taps=intermediate(*terms), draws=draws,
                           differentiable=any(term.differentiates_input for term in terms))
        return student, index

    def _batch(self, ahead: int = 0) -> Tensor:
        """Positions of this step's images, or a later one's: consecutive pieces of an endless row of shuffles."""
        count = len(self.images)
        size = min(self.config.batch_size, count)
        first = (self.step + ahead) * size
        return torch.cat([self._order(epoch)[max(first - epoch * count, 0) : first + size - epoch * count]
                          for epoch in range(first // count, (first + size - 1) // count + 1)])

    def _order(self, epoch: int) -> Tensor:
        if epoch not in self.orders:
            self.orders = {known: order for known, order in self.orders.items() if known >= epoch - AHEAD - 1}
            generator = torch.Generator().manual_seed(stream(self.config.seed, 3, epoch))
            order = torch.randperm(len(self.images), generator=generator)
            self.orders[epoch] = order.to(self.images.index_device)
        return self.orders[epoch]

    def _measure(self) -> Measurement:
        means = self.sums.means()
        broken = [name for name, value in means.items() if not np.isfinite(value)]
        if broken:
            keys = [name.removeprefix("term.") for name in broken if name != "loss"]
            title = self.terms[keys[0]].title if keys else "loss"
            raise UserError(f"{title} stopped being finite before step {self.step}; a smaller weight or learning rate "
                            "keeps it finite.")
        self.sums = _Sums()
        self.network.eval()
        tested = evaluate(self.network, self.test)
        if not np.isfinite(tested["loss.test"]):
            raise UserError(f"The network's outputs stopped being finite before step {self.step}; a smaller weight or "
                            "learning rate keeps them finite.")
        if self.validation:
            held_out = evaluate(self.network, self.validation)
            tested |= {"accuracy.validation": held_out["accuracy"], "loss.validation": held_out["loss.test"]}
        return Measurement(self.step, {**tested, **means, **self.probe.distances(self.network),
                                       "seconds": self.seconds})

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}

    def _state(self) -> dict:
        return copy.deepcopy({"step": self.step, "seconds": self.seconds, "factors": self.factors,
                              "sums": (self.sums.steps, self.sums.values), "network": self._weights(),
                              "optimiser": self.optimiser.state_dict()})

    def _restore(self, state: dict) -> None:
        state = copy.deepcopy(state)
        self.step, self.seconds, self.factors = state["step"], state["seconds"], state["factors"]
        steps, values = state["sums"]
        self.sums = _Sums(steps, {name: value.to(self.device) for name, value in values.items()})
        self.network.load_state_dict(state["network"])
        self.resumed = state["optimiser"]


def trial(config: RunConfig, teacher: nn.Module | None, steps: int) -> tuple[float, float]:
    """Median seconds of a training step, over `steps` of the last stage, and seconds of one measurement."""
    with device.threads(config.threads):
        training = _Training(config, teacher, None)
        for _, _, stage in training._stages():
            for _ in training._enter(stage, fresh=True):
                pass
        taken = []
        for _ in range(steps):
            began = time.perf_counter()
            training._advance(stage)
            taken.append(time.perf_counter() - began)
        began = time.perf_counter()
        training._measure()
        return statistics.median(taken), time.perf_counter() - began


def _frozen(teacher: nn.Module, where: torch.device) -> nn.Module:
    """A copy of the teacher in evaluation mode, so that the caller's own stays as it is."""
    return copy.deepcopy(teacher).to(where).eval().requires_grad_(False)


@torch.no_grad()
def evaluate(network: nn.Module, images: data.ImageSet) -> dict[str, float]:
    """Accuracy and mean cross entropy of a network in evaluation mode."""
    logits = torch.cat([network(chunk.pixels) for chunk in images.chunks(EVALUATION_CHUNK)])
    return {"accuracy": float((logits.argmax(1) == images.labels).float().mean()),
            "loss.test": float(nn.functional.cross_entropy(logits, images.labels))}


class Probe:
    """Measures every kind of knowledge on fixed images, whatever a run trains on."""

    def __init__(self, teacher: nn.Module | None, images: data.Images, pair: Pair):
        self.images = images
        kinds: dict[str, Term] = {kind: cls() for kind, cls in TERMS.items() if cls.zero_at_equality}
        self.terms = {kind: term for kind, term in kinds.items() if teacher is not None and not term.unsuited(pair)}
        self.taught = {kind: answer(term, teacher, images) for kind, term in self.terms.items()}

    @torch.no_grad()
    def distances(self, network: nn.Module) -> dict[str, float]:
        """"knowledge.KIND": the mean distance to the teacher, in evaluation mode."""
        student = Response(network, self.images.pixels, self.images.labels, taps=intermediate(*self.terms.values()))
        return {f"knowledge.{kind}": float(term.loss(student, self.taught[kind])) for kind, term in self.terms.items()}
