"""Smoothing against scipy's, made of what is inside alone."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from kdcore import smoothing


@pytest.mark.parametrize("width", [9, 70])
def test_smoothing_is_a_gaussian(width):
    given = np.random.default_rng(0).normal(size=(2, 12, width))
    std = smoothing.blur(width)
    blurred, inside = (gaussian_filter(np.pad(one, ((0, 0), (30, 30), (30, 30))), (0, std, std), truncate=9)
                       [:, 30:-30, 30:-30] for one in (given, np.ones_like(given)))
    np.testing.assert_allclose(smoothing.smoothed(given), blurred / inside, atol=1e-6)
    np.testing.assert_allclose(smoothing.smoothed(np.full((3, 5), 2.0)), 2.0)
