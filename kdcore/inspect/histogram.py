"""Histograms of values that come a few at a time, and whose range nobody knows before."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

FINE = 2**14
FIRST_END = 2.0**-10


class Histogram:
    """Counts of values in many narrow bins from -end to end; where larger ones come, two bins become one.

    The end is a power of two, so that nothing is counted anew, and bins of two histograms fit into each other.
    """

    def __init__(self):
        self.end, self.counts = FIRST_END, torch.zeros(FINE, dtype=torch.double)

    def add(self, values: Tensor) -> None:
        """Count values of any shape; those that are not finite are nowhere."""
        self.widen(float(values.abs().nan_to_num(0, 0, 0).max()))
        self.counts += torch.histc(values, FINE, -self.end, self.end)

    def widen(self, end: float) -> None:
        """Reach at least so far."""
        while self.end < end:
            self.end, merged = 2 * self.end, self.counts.view(-1, 2).sum(1)
            self.counts = pad(merged, (FINE // 4, FINE // 4))


def together(histograms: list[Histogram], beyond: float = 0.01, most: int = 80) -> tuple[np.ndarray, list[np.ndarray]]:
    """Shares of values in wider bins that histograms have in common: (edges, [(bins,) of each]).

    They reach so far that of none more than the share `beyond` lies outside, half of it on either side, and 0 is an
    edge; there are `most` bins at most.
    """
    end = max(one.end for one in histograms)
    for one in histograms:
        one.widen(end)
    shares = torch.stack([one.counts / one.counts.sum() for one in histograms])
    up_to, zero = shares.cumsum(1), FINE // 2
    low = min(int((up_to <= beyond / 2).sum(1).min()), zero) - zero
    high = max(int((up_to < 1 - beyond / 2).sum(1).max()) + 1, zero) - zero
    width = 1
    while -(-high // width) - low // width > most:
        width *= 2
    low, high = low // width * width, -(-high // width) * width
    edges = np.arange(low, high + 1, width) * end / zero
    return edges, [of_one[zero + low : zero + high].view(-1, width).sum(1).numpy() for of_one in shares]
