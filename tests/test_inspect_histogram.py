"""Histograms whose range follows their values, against counts of all values at once."""

import numpy as np
import pytest
import torch

from kdcore.inspect.histogram import Histogram, together

SCALES = {"small": 0.01, "usual": 1.0, "large": 300.0}


def drawn(scale, seed, shift=0.0):
    values = torch.randn(5, 4, 300, generator=torch.Generator().manual_seed(seed)) * scale + shift
    values[3, 0, :2] *= 40  # a few far out, which come late
    return values


def counted(values):
    made = Histogram()
    for some in values:
        made.add(some)
    return made


@pytest.mark.parametrize("scale", SCALES.values(), ids=list(SCALES))
@pytest.mark.parametrize("shift", [0.0, 2.0, -7.0])
def test_bins_that_are_shared_hold_what_lies_in_them(scale, shift):
    both = [drawn(scale, 1, shift * scale), drawn(3 * scale, 2)]
    edges, shares = together([counted(values) for values in both])
    assert 20 <= len(edges) - 1 <= 80 and 0 in edges and np.allclose(np.diff(edges), edges[1] - edges[0])
    for values, share in zip(both, shares):
        every = values.double().numpy().ravel()
        np.testing.assert_allclose(share, np.histogram(every, edges)[0] / every.size, atol=1e-12)
        assert (every < edges[0]).mean() <= 0.005 and (every > edges[-1]).mean() <= 0.005
    low, high = (pick(np.quantile(values, at) for values in both) for pick, at in ((min, 0.005), (max, 0.995)))
    width = edges[1] - edges[0]
    assert edges[0] >= low - 2 * width and edges[-1] <= high + 2 * width, "no wider than it has to be"


def test_all_values_at_one_place_and_none_that_is_finite():
    edges, (share,) = together([counted(torch.zeros(2, 3))])
    assert share.sum() == 1 and edges[0] <= 0 < edges[-1]
    made = counted(torch.tensor([[1.0, float("nan")], [float("inf"), -1.0]]))
    assert made.counts.sum() == 2 and made.end == 1
