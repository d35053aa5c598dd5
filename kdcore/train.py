"""The trainer: a generator of records.

for record in train(config): the worker stores records, a test compares them, a notebook plots them.
"""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from kdcore import data, device, levers, models, settings
from kdcore.config import RunConfig, read
from kdcore.errors import UserError
from kdcore.knowledge import Taught
from kdcore.knowledge.outputs import CrossEntropy
from kdcore.models import ARCHITECTURES, NetworkConfig
from kdcore.objective import Stage
from kdcore.probe import Probe
from kdcore.randomness import Draws, stream
from kdcore.response import Response, unrecorded
from kdcore.teaching import Lessons, union

SNAPSHOTS = 20
RESUME_SECONDS = 30.0
PROGRESS_SECONDS = 0.25
EVALUATION_CHUNK = 1000
AHEAD = 2
TRIED = 200
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


@dataclass(frozen=True)
class Measurement:
    """What was measured at a step, in evaluation mode where it is about the test images.

    `values` holds "accuracy" and "loss.test" on the test images, "accuracy.validation" and "loss.validation" on those
    that were held out; "loss", and "term.KEY" for each term of the stage
    before its weight, as means over the steps since the last measurement; "knowledge.KIND", the student's distance
    to its teacher on the probe images, for every kind of knowledge that suits the pair, and "agreement.GROUP", the
    share of neurons with the same activation, each with ".fitted" behind it where a least-squares map stands between
    layers of different width; "seconds" of training so far.
    """

    step: int
    values: dict[str, float]


@dataclass(frozen=True)
class Snapshot:
    """The network's weights at a step, to look at, and those of the stage's connectors, by term."""

    step: int
    state: dict[str, Tensor]
    connectors: dict[str, dict[str, Tensor]] = field(default_factory=dict)


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
          resume: dict | None = None, deterministic: bool | None = None) -> Iterator[Record]:
    """Train one run, yielding its records.

    `config` is a run, or JSON of one. `teacher` is the trained teacher; left out, `config.teacher` is trained first.
    `resume` is a ResumePoint's state: the run goes on from there, and ends with the same weights, to the last bit on
    a CPU, and on CUDA where it is `deterministic` (left out: what this machine's settings say). Whoever sends anything
    to the generator after a Progress is given the ResumePoint of that step. Raises UserError for a configuration that
    is not possible or a loss that stops being finite.
    """
    config = read(config)
    if config.members():
        raise UserError(f"{config.method.title} is an ensemble; train its members 0 to {config.method.members - 1} by "
                        "setting member, or hand the run to a store, which trains them all.")
    untaught = config.teacher and teacher is None
    for run in (config, *([config.teacher] if untaught else [])):
        if reason := run.obstacle():  # before the teacher's training
            raise UserError(reason)
    if untaught:
        teacher = fit(config.teacher)
    exact = settings.read().deterministic if deterministic is None else deterministic
    with device.threads(config.threads), device.determinism(exact):
        yield from Training(config, teacher, resume).records()


def fit(config: RunConfig | dict | str, *, teacher: nn.Module | None = None) -> nn.Module:
    """Train one run to its end and return the network, in evaluation mode, on the CPU."""
    config = read(config)
    for record in train(config, teacher=teacher):
        if isinstance(record, Snapshot):
            state = record.state
    return _loaded(config, config.network, state).eval()


def build(config: RunConfig) -> nn.Module:
    """Return the run's network with its initial weights, on the CPU; fresh ones for a copy of the teacher."""
    side, network = config.side(), config.network
    if config.method.start == "published":
        network = NetworkConfig(**{**network.model_dump(), "start": {"kind": "published"}})
    return models.build(network, side.images, len(side.classes), stream(config.seed_of(0), 2))


def _loaded(config: RunConfig, network: NetworkConfig, state: dict[str, Tensor]) -> nn.Module:
    side = config.side()
    return models.loaded(network, side.images, len(side.classes), state)


def entering(step: int, seconds: float, network: dict[str, Tensor]) -> dict:
    """What a run resumes with at the beginning of a stage: of what lies before, only the weights count."""
    return {"step": step, "seconds": seconds, "factors": {}, "sums": _Sums().state(), "network": network,
            "connectors": {}, "optimiser": {}}


def snapshot_steps(total: int, count: int = SNAPSHOTS) -> list[int]:
    """At most `count` steps from 0 to `total`, geometrically spaced: most of what changes, changes early."""
    return sorted({0, *np.geomspace(max(total, 1), 1, count - 1).round().clip(0, total).astype(int).tolist()})


@dataclass
class _Sums:
    """Sums on the device since the last measurement, and over how many images; nothing waits for the device between."""

    values: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, Tensor] = field(default_factory=dict)

    def add(self, name: str, mean: Tensor, count: Tensor) -> None:
        self.values[name] = self.values.get(name, 0) + mean.detach() * count
        self.counts[name] = self.counts.get(name, 0) + count

    def means(self) -> dict[str, float]:
        """What was seen on no image, such as labels where a batch has none, is left out."""
        return {name: float(value / self.counts[name]) for name, value in self.values.items() if self.counts[name]}

    def state(self) -> dict[str, dict[str, Tensor]]:
        return {"values": self.values, "counts": self.counts}


@dataclass(frozen=True)
class Span:
    """A stage and the steps that it takes."""

    number: int
    start: int
    end: int
    stage: Stage

    def done(self, step: int) -> float:
        """The share of the stage that lies behind at a step."""
        return (step - self.start) / (self.end - self.start)


class Training:
    """The state of one training and its steps: `train` is all of it, and who wants single steps enters a stage."""

    def __init__(self, config: RunConfig, teacher: nn.Module | None, resume: dict | None):
        self.config = config
        self.device = device.pick(config.device)
        self.images = data.of_run(config, "train", self.device)
        self.validation = data.of_run(config, "validation", self.device) if config.data.validation else None
        self.test = data.of_run(config, "test", self.device)
        self.network = (_loaded(config, config.teacher.network, teacher.state_dict())
                        if config.method.start == "teacher" else build(config))
        self.silencing = models.places_for_dropout(self.network)
        self.network.to(self.device, memory_format=_memory_format(self.network, config, self.device))
        self.teacher = _frozen(teacher, config.teacher, self.device) if teacher is not None else None
        # a network with other outputs, such as ImageNet's, has nothing to say about these labels
        self.answers_labels = len(config.side().classes) == len(data.source(config.data).classes)
        self.step, self.seconds, self.factors, self.bounds, self.sums = 0, 0.0, {}, {}, _Sums()
        self.best, self.waited = -math.inf, 0  # the best measurement of the last stage, and how many came after it
        self.pools = _pools(self.images.labels, config)
        self.orders: dict[tuple[int, int, int], Tensor] = {}
        self.resumed = None  # the state to go on from
        if resume:
            self._restore(resume)

    @cached_property
    def probe(self) -> Probe:
        """What every measurement asks; the teacher answers at the first one."""
        return Probe(self.teacher, self.network, self.test, self.config.pair())

    def records(self) -> Iterator[Record]:
        """All stages and steps, from where it stands to its end."""
        total = self.config.steps
        snapshots = {*snapshot_steps(total, min(SNAPSHOTS, self.config.evaluations + 1)), self.config.shared_end()}
        ends = {stage.end for stage in self.stages()}  # sums are of one stage
        evenly = {*np.linspace(0, total, self.config.evaluations + 1).round().astype(int).tolist()}
        measured = {*snapshots, *ends, *evenly}
        spoke = saved = time.monotonic()
        if self.resumed is None:
            yield self._snapshot()
            yield self._measure()
        for stage in self.stages():
            if stage.end <= self.step:
                continue
            yield from self.enter(stage)
            while self.step < stage.end:
                began = time.monotonic()
                self.advance()
                if self.step in measured:
                    device.finish(self.device)  # steps are handed to a GPU faster than it takes them
                self.seconds += time.monotonic() - began
                if self.step in snapshots:
                    yield self._snapshot()
                if self.step in measured:
                    yield (found := self._measure())
                    if self.step in evenly and self._waited_enough(found, total):
                        if self.step not in snapshots:
                            yield self._snapshot()
                        yield Notice(self.step, f"Ended here: {self.config.patience} measurements in a row brought "
                                     "nothing better.")
                        return
                if time.monotonic() - saved > RESUME_SECONDS and self.step < stage.end:
                    yield ResumePoint(self.step, self._state())
                    saved = time.monotonic()
                if time.monotonic() - spoke > PROGRESS_SECONDS:
                    if (yield Progress(self.step)):
                        yield ResumePoint(self.step, self._state())
                    spoke = time.monotonic()

    def _waited_enough(self, found: Measurement, total: int) -> bool:
        """Whether the run's patience with its last stage is at an end."""
        if self.config.patience is None or self.span.end < total:
            return False
        now = found.values.get("accuracy.validation", -found.values["loss"])
        self.best, self.waited = (now, 0) if now > self.best else (self.best, self.waited + 1)
        return self.waited >= self.config.patience

    def stages(self) -> Iterator[Span]:
        """The stages of the method, each with its steps."""
        ends = self.config.ends()
        for number, stage in enumerate(self.config.method.stages):
            yield Span(number, ends[number - 1] if number else 0, ends[number], stage)

    def enter(self, span: Span) -> Iterator[Notice]:
        """Make what the steps of a stage need; yields what is to be said of it."""
        fresh, stage = self.step == span.start, span.stage
        self.span, self.seed = span, self.config.seed_of(span.number)
        # in the order of their names: connectors are drawn, and sums made, the same in whatever order they were given
        self.terms = {key: stage.objective[key].term for key in sorted(stage.objective)}
        self.bounds = {key: term.bind(self.config.pair(), stream(self.seed, 5, span.number, i)).to(self.device)
                       for i, (key, term) in enumerate(self.terms.items())}
        self.differentiates = any(term.differentiates_input for term in self.terms.values())
        self.dtype = levers.dtype(self.config.precision, self.differentiates)
        varied = self.config.data.augment != "none"
        self.lessons = Lessons(self.terms, self.bounds, self.teacher, self.images, dtype=self.dtype,
                               keep=not varied and self._sees(span) >= len(self.images),
                               kept_before=None if fresh else self.resumed.get("kept"))
        if fresh:
            yield from self._notices(stage, varied)
        for module in self.silencing:
            module.p = stage.dropout
        learning = [self.network, *self.bounds.values()]
        self.optimiser = (stage.optimiser or self.config.optimiser).build(
            [parameter for module in learning for parameter in module.parameters()])
        if fresh:
            self.factors = self._weigh(stage)
        else:
            self.optimiser.load_state_dict(self.resumed["optimiser"])
            self._lay_out()
            for key, bound in self.bounds.items():
                bound.load_state_dict(self.resumed["connectors"][key])

    def _lay_out(self) -> None:
        """Moments lie in memory as their weights do, which a fused optimiser takes for granted."""
        for parameter, moments in self.optimiser.state.items():
            for name, value in moments.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    moments[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)

    def _notices(self, stage: Stage, varied: bool) -> Iterator[Notice]:
        """What a user should know about how the stage is computed."""
        if self.lessons.too_large:
            titles = ", ".join(self.terms[key].title.lower() for key in self.lessons.too_large)
            yield Notice(self.step, f"What the teacher hands over for {titles} does not fit into memory nor on "
                         "the disk and is computed anew each step.")
        if varied and self.lessons.anew:
            yield Notice(self.step, "The images are varied at random, so that the teacher answers anew in each step.")

    def _sees(self, span: Span) -> int:
        """How many images the steps of a stage take, one that is seen twice counted twice."""
        return (span.end - span.start) * self.config.batch_size

    def _weigh(self, stage: Stage) -> dict[str, float]:
        factors = {key: weighted.weight for key, weighted in stage.objective.items()}
        wanted = {key: weighted.share for key, weighted in stage.objective.items() if weighted.share is not None}
        if wanted:
            self.network.train()
            with unrecorded(self.network, *self.bounds.values()):  # the first step is still to come
                student, losses = self.losses(self._labelled())
            known = bool((student.labels >= 0).any())  # else the cost that an untrained network has
            cost = float(CrossEntropy().loss(student, {}).detach()) if known else math.log(student.logits.shape[1])
            for key, share in wanted.items():
                start = abs(float(losses[key].detach()))
                if not start:
                    raise UserError(f"{self.terms[key].title} is zero at the start, so that no weight makes it a share "
                                    "of the cross entropy; give it a weight instead.")
                factors[key] = share * cost / start
        return factors

    def _labelled(self) -> int:
        """How many steps from now the first batch with a label comes; 0 where there is none."""
        batches = -(-len(self.images) // self.config.batch_size)
        return next((ahead for ahead in range(2 * batches) if (self.images.labels[self._batch(ahead)] >= 0).any()), 0)

    def advance(self) -> None:
        """One step of the stage that was entered."""
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        student, losses = self.losses()
        total = sum(factor * losses[key] for key, factor in self._factors().items())
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        self.optimiser.step()
        self.step += 1
        self.sums.add("loss", total, torch.tensor(len(student.inputs)))
        for key, loss in losses.items():
            self.sums.add(f"term.{key}", loss, self.terms[key].counted(student).sum())

    def _rate(self) -> float:
        stage = self.span.stage
        own = stage.optimiser is not None or stage.restarts
        done = self.span.done(self.step) if own else self.step / self.config.steps
        return (stage.optimiser or self.config.optimiser).rate(done)

    def _factors(self) -> dict[str, float]:
        """λ of each term in this step."""
        done = self.span.done(self.step)
        return {key: self.span.stage.objective[key].factor(self.factors[key], done) for key in self.terms}

    def losses(self, ahead: int = 0) -> tuple[Response, dict[str, Tensor]]:
        """The student's response to this step's images, or a later one's, and each term's loss."""
        with self._dropping():
            student, taught = self._lesson(ahead)
            return student, {key: term.loss(student, taught[key], self.bounds[key])
                             for key, term in self.terms.items()}

    def _lesson(self, ahead: int = 0) -> tuple[Response, dict[str, Taught]]:
        """The student's response to these images, and what the teacher hands over for them."""
        index = self._batch(ahead)
        self.images.prefetch(self._batch(ahead + AHEAD))
        batch = self.images[index]
        draws = Draws(self.seed, self.step, self.device)
        batch = data.Images(data.augment(batch.pixels, draws, self.config.data.augment), batch.labels)
        student = Response(self.network, batch.pixels, batch.labels, draws=draws, dtype=self.dtype,
                           taps=union(bound.student_taps for bound in self.bounds.values()),
                           differentiable=self.differentiates)
        return student, self.lessons(index, batch, draws)

    @contextmanager
    def _dropping(self):
        """Dropout as a function of the seed and the step, like all else; the process's own randomness is left alone."""
        if not any(isinstance(module, DROPOUTS) and module.p for module in self.network.modules()):
            yield
            return
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(stream(self.seed, 6, self.step))
            yield

    def _batch(self, ahead: int = 0) -> Tensor:
        """Positions of this step's images, or a later one's: of each pool the next ones."""
        return torch.cat([piece for pool in range(len(self.pools)) for piece in self._pieces(pool, self.step + ahead)])

    def _pieces(self, pool: int, step: int) -> Iterator[Tensor]:
        """What a step takes of an endless row of shuffles of the pool."""
        positions, most = self.pools[pool]
        count = len(positions)
        size = min(most, count)
        first = step * size
        for epoch in range(first // count, (first + size - 1) // count + 1):
            yield self._order(pool, epoch)[max(first - epoch * count, 0) : first + size - epoch * count]

    def _order(self, pool: int, epoch: int) -> Tensor:
        key = self.seed, pool, epoch
        if key not in self.orders:
            self.orders = {known: order for known, order in self.orders.items()
                           if known[1] != pool or known[2] >= epoch - AHEAD - 1}
            positions, _ = self.pools[pool]
            generator = torch.Generator().manual_seed(stream(self.seed, 3, epoch, *[pool] * (pool > 0)))
            order = positions[torch.randperm(len(positions), generator=generator)]
            self.orders[key] = order.to(self.images.index_device)
        return self.orders[key]

    def _measure(self) -> Measurement:
        means = self.sums.means()
        broken = [name for name, value in means.items() if not np.isfinite(value)]
        if broken:
            keys = [name.removeprefix("term.") for name in broken if name != "loss"]
            every = not keys or 1 < len(keys) == len(self.terms)  # once the outputs are not finite, no term is
            title = "The loss" if every else self.terms[keys[0]].title
            raise UserError(f"{title} stopped being finite before step {self.step}; a smaller weight or learning rate "
                            "keeps it finite.")
        self.sums = _Sums()
        self.network.eval()
        tested = evaluate(self.network, self.test, "test") if self.answers_labels else {}
        if not np.isfinite(tested.get("loss.test", 0.0)):
            raise UserError(f"The network's outputs stopped being finite before step {self.step}; a smaller weight or "
                            "learning rate keeps them finite.")
        if self.validation and self.answers_labels:
            tested |= evaluate(self.network, self.validation, "validation")
        return Measurement(self.step, {**tested, **means, **self.probe.distances(),
                                       "seconds": self.seconds})

    def _snapshot(self) -> Snapshot:
        return Snapshot(self.step, _weights(self.network), self._connectors())

    def _connectors(self) -> dict[str, dict[str, Tensor]]:
        return {key: _weights(bound) for key, bound in self.bounds.items()}

    def _state(self) -> dict:
        return _kept({"step": self.step, "seconds": self.seconds, "factors": self.factors, "sums": self.sums.state(),
                      "network": self.network.state_dict(),
                      "connectors": {key: bound.state_dict() for key, bound in self.bounds.items()},
                      "optimiser": self.optimiser.state_dict(), "kept": self.lessons.kept,
                      "best": self.best, "waited": self.waited})

    def _restore(self, state: dict) -> None:
        state = copy.deepcopy(state)
        self.step, self.seconds, self.factors = state["step"], state["seconds"], state["factors"]
        self.sums = _Sums(**{part: {name: value.to(self.device) for name, value in numbers.items()}
                             for part, numbers in state["sums"].items()})
        self.best, self.waited = state.get("best", -math.inf), state.get("waited", 0)
        self.network.load_state_dict(state["network"])
        self.resumed = state


def trial(config: RunConfig, teacher: nn.Module | None, steps: int, seconds: float) -> tuple[float, float]:
    """Seconds of a training step, the mean over the stages' medians, and of one measurement.

    Each stage is tried for `steps`, fewer where these take longer than `seconds`; the measurement on some test images.
    """
    with device.threads(config.threads), device.determinism(settings.read().deterministic):
        training = Training(config, teacher, None)
        a_step = 0.0
        for span in training.stages():
            training.step = span.start
            for _ in training.enter(span):
                pass
            taken = []
            while training.step < span.end and len(taken) < steps and sum(taken) < seconds:
                taken.append(device.seconds(training.advance, training.device))
            a_step += span.stage.share * statistics.median(taken or [0.0])
        training.network.eval()
        some = training.test[:TRIED]
        return a_step, (device.seconds(training.probe.distances, training.device) + len(training.test) / len(some)
                        * device.seconds(lambda: evaluate(training.network, some), training.device))


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return _kept(module.state_dict())


def _kept(state):
    """A copy on the CPU, which any machine can read."""
    match state:
        case Tensor():
            return state.detach().cpu().clone()
        case dict():
            return {name: _kept(value) for name, value in state.items()}
        case list() | tuple():
            return type(state)(map(_kept, state))
    return state


def _pools(labels: Tensor, config: RunConfig) -> list[tuple[Tensor, int]]:
    """Positions, and how many of them a batch takes: of all images or, where a share of it is to have labels, of those
    that have one and of the others.
    """
    known, size = labels.cpu() >= 0, config.batch_size
    if not config.data.labelled_share or known.all():
        return [(torch.arange(len(labels)), size)]
    labelled = max(1, min(size - 1, round(config.data.labelled_share * size)))
    parts = [(known.nonzero().flatten(), labelled), ((~known).nonzero().flatten(), size - labelled)]
    return [part for part in parts if part[1]]


def _memory_format(network: nn.Module, config: RunConfig | None, where: torch.device) -> torch.memory_format:
    """Of modules of one's own as they are: theirs may ask for views that another order does not have."""
    known = config is not None and not ARCHITECTURES[config.network.name].own
    return levers.memory_format(network, where) if known else torch.preserve_format


def _frozen(teacher: nn.Module, config: RunConfig | None, where: torch.device) -> nn.Module:
    """A copy of the teacher in evaluation mode, so that the caller's own stays as it is."""
    laid_out = copy.deepcopy(teacher).to(where, memory_format=_memory_format(teacher, config, where))
    return laid_out.eval().requires_grad_(False)


@torch.no_grad()
def log_probabilities(network: nn.Module, images: data.ImageSet) -> Tensor:
    """(N, C): log softmax of what a network in evaluation mode answers."""
    return torch.cat([network(chunk.pixels).log_softmax(1) for chunk in images.chunks(EVALUATION_CHUNK)])


def score(log_probabilities: Tensor, labels: Tensor, part: str) -> dict[str, float]:
    """Accuracy and mean cross entropy: (N, C), (N,) -> {"accuracy", "loss.test"}, or of another part of the images."""
    return {"accuracy" if part == "test" else f"accuracy.{part}":
            float((log_probabilities.argmax(1) == labels).float().mean()),
            f"loss.{part}": float(nn.functional.nll_loss(log_probabilities, labels))}


def evaluate(network: nn.Module, images: data.ImageSet, part: str = "test") -> dict[str, float]:
    """`score` of a network in evaluation mode."""
    return score(log_probabilities(network, images), images.labels, part)
