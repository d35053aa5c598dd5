"""Training in a small world: a method's terms, stages and lessons, without the trainer's runs and batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate

import torch
from torch import nn

from kdcore.data import Images
from kdcore.knowledge import NOTHING, Bound, Pair
from kdcore.objective import Method, Optimiser, Stage
from kdcore.randomness import Draws
from kdcore.response import Response
from kdcore.teaching import Lessons, union
from kdcore.train import snapshot_steps

STEPS = 500  # of every student in every world: the same budget


def drawn(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """What `build` makes, with its weights drawn from `seed`; the process's own randomness is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build()


def learn(method: Method, student: nn.Module, points: Images, optimiser: Optimiser, steps: int = STEPS, *,
          seed: int = 0, teacher: nn.Module | None = None, pair: Pair | None = None) -> Iterator[int]:
    """Train a student in place, with all points in every step; yields the step of each snapshot as it is reached.

    Terms over layers need the `pair`, of one width: there are no connectors. Terms are given by their weights, and not
    as shares of the cross entropy. Every stage begins with a fresh `optimiser`, whose rate falls over all steps: of a
    stage its terms and its share count, and neither an optimiser of its own nor dropout.
    """
    shown, step = set(snapshot_steps(steps)), 0
    yield step
    for stage, share in zip(method.stages, accumulate(stage.share for stage in method.stages)):
        bounds = {key: weighted.term.bind(pair) if pair else NOTHING for key, weighted in stage.objective.items()}
        lessons = Lessons({key: weighted.term for key, weighted in stage.objective.items()}, bounds, teacher, points)
        follower = optimiser.build(student.parameters())
        start, end = step, round(share * steps)
        while step < end:
            follower.param_groups[0]["lr"] = optimiser.rate(step / steps)
            follower.zero_grad()
            draws = Draws(seed, step, points.labels.device)
            _loss(stage, (step - start) / (end - start), bounds, lessons, student, points, draws).backward()
            follower.step()
            step += 1
            if step in shown:
                yield step


def _loss(stage: Stage, done: float, bounds: dict[str, Bound], lessons: Lessons, student: nn.Module, points: Images,
          draws: Draws) -> torch.Tensor:
    response = Response(student, points.pixels, points.labels, draws=draws,
                        taps=union(bound.student_taps for bound in bounds.values()),
                        differentiable=any(each.term.differentiates_input for each in stage.objective.values()))
    taught = lessons(slice(None), points, draws)
    return sum(each.factor(each.weight, done) * each.term.loss(response, taught[key], bounds[key])
               for key, each in stage.objective.items())
