"""The small worlds of `kdcore.worlds`, in which all of a network can be drawn; they need no run."""

from __future__ import annotations

from kdcore import worlds
from kdcore.store import Store
from kdcore.worlds.learning import STEPS


def line_world(store: Store, points: int = 6, noise: float = 0.05, seed: int = 0, steps: int = STEPS) -> dict:
    """A teacher and three students whose inputs are one number, as `kdcore.worlds.line` tells it."""
    return worlds.line(points, noise, seed, steps)


def plane_world(store: Store, points: int = 40, margin: float = 1.0, seed: int = 0, steps: int = STEPS) -> dict:
    """A teacher and three students whose inputs are two numbers, as `kdcore.worlds.plane` tells it."""
    return worlds.plane(points, margin, seed, steps)
