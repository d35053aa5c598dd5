"""Maps smoothed for the eye: no loss and no number of the project is made of them. No torch."""

from __future__ import annotations

import numpy as np


def blur(width: int) -> float:
    """The standard deviation, in pixels, of the Gaussian that smooths a map so wide.

    This project's own choice: a thirty-second of the width, and at least 0.7, below which nothing would be smoothed.
    """
    return max(0.7, width / 32)


def smoothed(maps: np.ndarray) -> np.ndarray:
    """Maps (..., H, W) convolved with a Gaussian of `blur(W)` pixels, down and across.

    At the borders the weights of what lies inside make up the whole (normalised convolution, Knutsson & Westin 1993,
    where what lies outside is unknown): a map of one value stays as it is.
    """
    std = blur(maps.shape[-1])
    down, across = (_gaussian(side, std) for side in maps.shape[-2:])
    return down @ maps @ across.T


def _gaussian(side: int, std: float) -> np.ndarray:
    """(side, side): in each row the weights around one place."""
    places = np.arange(side)
    weights = np.exp(-((places[:, None] - places) ** 2) / (2 * std**2))
    return weights / weights.sum(1, keepdims=True)
