"""A world of one dimension (Srinivas & Fleuret 2018, Fig. 1): networks are curves, and Jacobians are their slopes."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from kdcore.data import Images
from kdcore.knowledge import Term
from kdcore.knowledge.jacobians import JacobianMatch, NoisyOutputs
from kdcore.knowledge.outputs import LogitError
from kdcore.objective import Method, Optimiser, Stage, WeightedTerm
from kdcore.randomness import Draws, stream
from kdcore.response import Response
from kdcore.teaching import answer
from kdcore.train import snapshot_steps
from kdcore.worlds.learning import STEPS, drawn, learn

PLACES = 241  # from 0 to 1, at which curves are drawn and errors measured
WAVES, FASTEST = 5, 18.0  # of the teacher
HIDDEN, STEEPEST = 32, 16.0  # of a student's first layer
DRAWS = 1000  # of noise at each point, for the left side of Prop. 1
NOISES = np.geomspace(0.003, 0.3, 9)
OPTIMISER = Optimiser(learning_rate=0.01, falls=(0.7,))
VALUES, SLOPES = LogitError(), JacobianMatch(classes="all")


class Waves(nn.Module):
    """A sum of sines, as a network whose hidden neurons are sines: (N, 1) -> (N, 1)."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(1, WAVES), nn.Linear(WAVES, 1, bias=False)
        nn.init.uniform_(self.inner.weight, 0.2 * FASTEST, FASTEST)
        nn.init.uniform_(self.inner.bias, 0, 2 * math.pi)
        nn.init.normal_(self.outer.weight, std=WAVES**-0.5)

    def forward(self, inputs: Tensor) -> Tensor:
        """The curve's values."""
        return self.outer(self.inner(inputs).sin())


def smooth() -> nn.Module:
    """A student: two hidden layers of smooth neurons, whose first ones bend anywhere between 0 and 1."""
    network = nn.Sequential(nn.Linear(1, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1))
    slopes = nn.init.uniform_(network[0].weight, -STEEPEST, STEEPEST)
    with torch.no_grad():
        network[0].bias.copy_(-slopes[:, 0] * torch.rand(HIDDEN))
    return network


def students(noise: float) -> list[Method]:
    """The students: the second minimises the right side of Prop. 1 at this σ, the third its left side."""
    return [_method("Values", values=(1.0, VALUES)),
            _method("Values and slopes", values=(1.0, VALUES), slopes=(noise**2, SLOPES)),
            _method("Noisy values", noisy=(1.0, NoisyOutputs(noise=noise)))]


def _method(title: str, **terms: tuple[float, Term]) -> Method:
    return Method(title=title, stages=(Stage(objective={
        key: WeightedTerm(weight=weight, term=term) for key, (weight, term) in terms.items()}),))


def line(points: int = 6, noise: float = 0.05, seed: int = 0, steps: int = STEPS) -> dict:
    """Three students of one curve that see it at a few `points`, one of them with `noise` σ, all drawn from `seed`.

    {"inputs" (241,) from 0 to 1, "at" (points,) the positions among them that students see, "steps" (S,) of snapshots,
    "teacher": {"values" (241,), "slopes" (241,)}, "students": [{"title", "formula", "values" and "slopes" (S, 241),
    "value_error" and "slope_error" (S,): the terms over all inputs, "noisy" and "expanded" (9,): at the end, both sides
    of Prop. 1 at the points}], "noises" (9,): the σ of these}.
    """
    inputs, teacher = as_images(torch.linspace(0, 1, PLACES)), drawn(Waves, stream(seed, 0)).requires_grad_(False)
    at = ((torch.arange(points) + _uniform(points, seed)) / points * PLACES).long()
    return {"inputs": inputs.pixels[:, 0].numpy(), "at": at.numpy(), "steps": snapshot_steps(steps),
            "teacher": _curves(teacher, inputs), "noises": NOISES,
            "students": [_taught(method, teacher, inputs, inputs[at], seed, steps) for method in students(noise)]}


def _uniform(points: int, seed: int) -> Tensor:
    """(points,): where each point lies in its part of the line, not too close to the next one's."""
    return 0.15 + 0.7 * torch.rand(points, generator=torch.Generator().manual_seed(stream(seed, 1)))


def as_images(inputs: Tensor) -> Images:
    """(N,) numbers as inputs without labels: (N, 1)."""
    return Images(inputs[:, None], torch.zeros(len(inputs), dtype=torch.long))


@torch.no_grad()
def _curves(network: nn.Module, inputs: Images) -> dict[str, np.ndarray]:
    response = Response(network, inputs.pixels)
    return {"values": response.logits.detach()[:, 0].numpy(), "slopes": response.jacobian[:, 0, 0].numpy()}


def _taught(method: Method, teacher: nn.Module, inputs: Images, seen: Images, seed: int, steps: int) -> dict:
    student = drawn(smooth, stream(seed, 2))
    snapshots = [{**_curves(student, inputs), "value_error": _loss(VALUES, teacher, student, inputs),
                  "slope_error": _loss(SLOPES, teacher, student, inputs)}
                 for _ in learn(method, student, seen, OPTIMISER, steps, seed=seed, teacher=teacher)]
    return {"title": method.title, "formula": method.formula(),
            **{name: np.stack([one[name] for one in snapshots]) for name in snapshots[0]},
            **both_sides(teacher, student, seen, seed)}


def both_sides(teacher: nn.Module, student: nn.Module, seen: Images, seed: int) -> dict[str, np.ndarray]:
    """Prop. 1 at the points `seen`, over `NOISES`: {"noisy" (9,), its left side, "expanded" (9,), its right side}.

    Of a difference d = z_t − z_s that is curved, the left side also has σ²·d·d″, which vanishes where the values match.
    """
    many, draws = seen[torch.arange(len(seen)).repeat(DRAWS)], Draws(seed, -1, seen.labels.device)
    values, slopes = (_loss(term, teacher, student, seen) for term in (VALUES, SLOPES))
    return {"noisy": np.array([_loss(NoisyOutputs(noise=noise), teacher, student, many, draws) for noise in NOISES]),
            "expanded": values + NOISES**2 * slopes}


@torch.no_grad()
def _loss(term: Term, teacher: nn.Module, student: nn.Module, images: Images, draws: Draws | None = None) -> float:
    taught = answer(term, teacher, images, draws=draws)
    return float(term.loss(Response(student, images.pixels, images.labels, draws=draws), taught))
