"""A world of two dimensions (Heo et al. 2019, Fig. 1): each hidden neuron cuts the plane along a line."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from kdcore.data import Images
from kdcore.knowledge import Pair, Side, Term
from kdcore.knowledge.activation import ActivationBoundary, ActivationValues, agreement
from kdcore.knowledge.outputs import CrossEntropy
from kdcore.models.ehmann_samek import fully_connected
from kdcore.objective import Method, Optimiser, Stage, WeightedTerm
from kdcore.randomness import stream
from kdcore.response import Response
from kdcore.train import snapshot_steps
from kdcore.worlds.learning import STEPS, drawn, learn

NEURONS = 6
CLASSES = ("upper moon", "lower moon")
LAYER = "group1.pre"
WIDE, HIGH, CELLS = 1.8, 1.2, 41  # of what is drawn: from -WIDE to WIDE, from -HIGH to HIGH
TAUGHT, BLUR = 200, 0.12  # the teacher's points, and how far they stray
OPTIMISER = Optimiser(learning_rate=0.02)


def students(margin: float) -> list[Method]:
    """The students: labels alone, and those that first match the teacher's hidden neurons, for half of the steps."""
    return [_method("Labels only"), _method("Values first", ActivationValues()),
            _method("Boundaries first", ActivationBoundary(margin=margin))]


def _method(title: str, first: Term | None = None) -> Method:
    named = {"neurons": first} if first else {}
    named["task"] = CrossEntropy()
    return Method(title=title, stages=[Stage(name=name, share=1 / len(named), objective={
        name: WeightedTerm(weight=1, term=term)}) for name, term in named.items()])


def plane(points: int = 40, margin: float = 1.0, seed: int = 0, steps: int = STEPS) -> dict:
    """A teacher of two classes, and three students that see a few `points`; all are drawn from `seed`.

    {"across" and "up" (41,): the places at which all is measured, "points" (points, 2), "labels" (points,), "classes",
    "steps" (S,) of snapshots, "ends" (the step at which the first stage ends), "teacher" as a network at one snapshot,
    "students": [{"title", "formula", "lean" (S, 41, 41) the second class's probability less the first's, row by row
    upwards, "boundaries" (S, neurons, 2, 2) two ends (x, y) of each one's line, NaN where it lies outside, "agreement"
    and "decisions" (S,) over all places, the shares of neurons and of answers that are the teacher's}]}.
    """
    teacher, seen = drawn(_network, stream(seed, 0)), _moons(points, stream(seed, 2))
    for _ in learn(_method("Teacher"), teacher, _moons(TAUGHT, stream(seed, 1)), OPTIMISER):
        pass
    theirs = everywhere(teacher.requires_grad_(False))
    return {"across": theirs.inputs[:CELLS, 0, 0, 0].numpy(), "up": theirs.inputs[::CELLS, 1, 0, 0].numpy(),
            "points": seen.pixels[:, :, 0, 0].numpy(), "labels": seen.labels.numpy(), "classes": CLASSES,
            "steps": snapshot_steps(steps), "ends": round(steps / 2), "teacher": _stacked([measured(theirs, theirs)]),
            "students": [_taught(method, teacher, seen, seed, steps) for method in students(margin)]}


def _network() -> nn.Module:
    return fully_connected((2, 1, 1), len(CLASSES), (NEURONS,))


def _moons(count: int, seed: int) -> Images:
    """So many points of two moons around the origin: (count, 2, 1, 1)."""
    from sklearn.datasets import make_moons  # takes a second

    places, labels = make_moons(count, noise=BLUR, random_state=seed % 2**32)
    centred = torch.tensor(places - [0.5, 0.25], dtype=torch.float32)
    return Images(centred[:, :, None, None], torch.tensor(labels))


def _pair() -> Pair:
    side = Side((2, 1, 1), CLASSES, lambda: {"group1": (NEURONS,), LAYER: (NEURONS,)})
    return Pair(side, side)


def _taught(method: Method, teacher: nn.Module, seen: Images, seed: int, steps: int) -> dict:
    student, theirs = drawn(_network, stream(seed, 3)), everywhere(teacher)
    snapshots = [measured(everywhere(student), theirs)
                 for _ in learn(method, student, seen, OPTIMISER, steps, seed=seed, teacher=teacher, pair=_pair())]
    return {"title": method.title, "formula": method.formula(), **_stacked(snapshots)}


@torch.no_grad()
def measured(ours: Response, theirs: Response) -> dict:
    """What is drawn of one network at one snapshot, and how far it agrees with the teacher."""
    lean, corners = ours.logits.softmax(1) @ torch.tensor([-1.0, 1.0]), torch.tensor([0, CELLS - 1, -1, -CELLS])
    around = ours.inputs[corners].flatten(1).numpy()
    return {"lean": lean.view(CELLS, CELLS).numpy(),
            "boundaries": [zero_line(around, neuron.numpy()) for neuron in ours.taps[LAYER][corners].T],
            "agreement": float(agreement(ours.taps[LAYER], theirs.taps[LAYER]).mean()),
            "decisions": float((ours.logits.argmax(1) == theirs.logits.argmax(1)).float().mean())}


def everywhere(network: nn.Module) -> Response:
    """A network's response at all places that are drawn, row by row upwards."""
    up, across = torch.meshgrid(torch.linspace(-HIGH, HIGH, CELLS), torch.linspace(-WIDE, WIDE, CELLS), indexing="ij")
    places = torch.stack([across, up], 2).view(-1, 2, 1, 1)
    return Response(network, places, taps=(LAYER,), differentiable=False)


def _stacked(snapshots: list[dict]) -> dict[str, np.ndarray]:
    return {name: np.stack([one[name] for one in snapshots]) for name in snapshots[0]}


def zero_line(corners: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Where a linear function is 0 in a rectangle: `corners` (4, 2) in a ring, `values` (4,) there -> (2, 2).

    Two ends (x, y), NaN where it is 0 nowhere. A neuron of the first hidden layer is linear before its activation.
    """
    following, then = np.roll(corners, -1, 0), np.roll(values, -1)
    crossed = (values > 0) != (then > 0)  # on two sides of the rectangle, or on none
    if not crossed.any():
        return np.full((2, 2), np.nan, np.float32)
    share = values[crossed] / (values - then)[crossed]
    return corners[crossed] + share[:, None] * (following - corners)[crossed]
