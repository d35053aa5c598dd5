"""What disturbs an image, against a pixel-by-pixel reading of it."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from kdcore.inspect import perturbed
from kdcore.inspect.noise import noisy

SHAPES = [(1, 8, 8), (3, 7, 10)]


def images(shape, count=2):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(3))


def literal(image, rotation, shift):
    """Each pixel of (C, H, W) is read where it comes from, between four pixels, and black beyond the edges."""
    channels, height, width = image.shape
    turned, angle = np.zeros(image.shape), math.radians(rotation)
    for y in range(height):
        for x in range(width):
            across, down = x - shift[0] * width - (width - 1) / 2, y - shift[1] * height - (height - 1) / 2
            u = math.cos(angle) * across + math.sin(angle) * down + (width - 1) / 2
            v = -math.sin(angle) * across + math.cos(angle) * down + (height - 1) / 2
            for row in (math.floor(v), math.floor(v) + 1):
                for column in (math.floor(u), math.floor(u) + 1):
                    if 0 <= row < height and 0 <= column < width:
                        turned[:, y, x] += (1 - abs(v - row)) * (1 - abs(u - column)) * image[:, row, column]
    return turned


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("rotation", "shift"), [(30, (0, 0)), (-75, (0.2, -0.1)), (0, (0.25, 0.5)), (180, (-0.3, 0))])
def test_a_rotation_and_a_shift_move_every_pixel(shape, rotation, shift):
    given = images(shape)
    for before, after in zip(given, perturbed(given, rotation=rotation, shift=shift)):
        np.testing.assert_allclose(after, literal(before.numpy(), rotation, shift), atol=2e-5)


def test_a_quarter_turn_is_clockwise_and_a_shift_goes_right_and_down():
    given = images((1, 8, 8))
    np.testing.assert_allclose(perturbed(given, rotation=90), np.rot90(given, -1, (2, 3)), atol=1e-5)
    moved = perturbed(given, shift=(0.25, 0.5))
    np.testing.assert_allclose(moved[..., 4:, 2:], given[..., :4, :6], atol=1e-5)
    assert moved[..., :4, :].abs().max() < 1e-5 and moved[..., :, :2].abs().max() < 1e-5


def test_a_square_covers_its_place_and_nothing_else():
    given = images((3, 8, 8))
    kept = given.clone()
    covered = perturbed(given, square=0.5, at=(0.25, 0.75))
    assert (covered[..., 4:, :4] == 0.5).all() and torch.equal(given, kept)
    covered[..., 4:, :4] = given[..., 4:, :4]
    assert torch.equal(covered, given)
    assert (perturbed(given, square=0.5, at=(0, 1))[..., 6:, :2] == 0.5).all()  # what lies beyond the edge is cut off
    assert (perturbed(given, square=1.0) == 0.5).all() and torch.equal(perturbed(given), given)


def test_noise_is_normal_not_clipped_and_always_the_same():
    given = images((1, 40, 40), count=5)
    noise = perturbed(given, noise=0.3, seed=4) - given
    assert kstest(noise.flatten() / 0.3, "norm").pvalue > 0.01
    assert torch.equal(given + noise, perturbed(given, noise=0.3, seed=4))
    assert not torch.allclose(noise, perturbed(given, noise=0.3, seed=5) - given)
    np.testing.assert_allclose(perturbed(given, noise=0.6, seed=4) - given, 2 * noise, atol=1e-5)


def test_the_noise_of_an_image_is_that_of_its_position_alone():
    given = images((3, 8, 8), count=5)
    assert torch.equal(noisy(given[2:], 0.3, seed=1, first=2), noisy(given, 0.3, seed=1)[2:])
    assert torch.equal(perturbed(given[:2], noise=0.3, seed=1), noisy(given, 0.3, seed=1)[:2])
    noise = noisy(torch.zeros(5, 3, 8, 8), 0.3, seed=1).flatten(1)
    assert torch.corrcoef(noise).fill_diagonal_(0).abs().max() < 0.3


def test_noise_lies_over_the_square_and_the_square_over_the_shift():
    given = images((1, 8, 8))
    everything = perturbed(given, noise=0.1, shift=(0.25, 0), rotation=20, square=0.5, seed=2)
    moved = perturbed(given, shift=(0.25, 0), rotation=20)
    assert torch.equal(everything, perturbed(perturbed(moved, square=0.5), noise=0.1, seed=2))
