"""All randomness of a run, as a function of its seed and the step: nothing to store, nothing to restore."""

from collections.abc import Callable

import torch
from torch import Tensor


class Draws:
    """The fresh randomness of one step, shared by teacher and student: one name gives both the same numbers.

    It is a function of (seed, step) alone, so that a continued run needs no random state to draw what it would have.
    """

    def __init__(self, seed: int, step: int, device: torch.device):
        self._generator = torch.Generator(device).manual_seed(stream(seed, 4, step))
        self._drawn: dict[tuple, Tensor] = {}

    def signs(self, *shape: int) -> Tensor:
        """Random ±1, float32, of the given shape."""
        return self._once("signs", shape, lambda: torch.randint(2, shape, **self._here()).float() * 2 - 1)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, float32, of the given shape."""
        return self._once("normal", shape, lambda: torch.randn(shape, **self._here()))

    def integers(self, name: str, low: int, high: int, *shape: int) -> Tensor:
        """Random whole numbers from `low` to `high` - 1, int64, of the given shape; one name, one draw."""
        return self._once(f"{name} {low} {high}", shape, lambda: torch.randint(low, high, shape, **self._here()))

    def _here(self) -> dict:
        return {"generator": self._generator, "device": self._generator.device}

    def _once(self, kind: str, shape: tuple[int, ...], draw: Callable[[], Tensor]) -> Tensor:
        if (kind, shape) not in self._drawn:
            self._drawn[kind, shape] = draw()
        return self._drawn[kind, shape]


def stream(*numbers: int) -> int:
    """A 63-bit seed that differs for each tuple of numbers."""
    seed = 0
    for number in numbers:
        seed = (seed * 6364136223846793005 + number + 1442695040888963407) % 2**64
        seed ^= seed >> 29
    return seed % 2**63
