"""The world of one input: every number in its pictures a second time."""

import numpy as np
import pytest
import torch
from torch import nn

from kdcore.worlds import line
from kdcore.worlds.line import NOISES, as_images, both_sides, students

NOISE = 0.1


@pytest.fixture(scope="module")
def world():
    return line(points=4, noise=NOISE, seed=3, steps=150)


def test_errors_are_means_over_all_inputs(world):
    for student in world["students"]:
        for what in ("value", "slope"):
            error = (student[f"{what}s"] - world["teacher"][f"{what}s"]) ** 2
            assert np.allclose(student[f"{what}_error"], error.mean(1), rtol=1e-4)


def test_slopes_are_those_of_the_curves(world):
    for network in (world["teacher"], *world["students"]):
        values, slopes = (np.atleast_2d(network[what]) for what in ("values", "slopes"))
        measured = (values[:, 2:] - values[:, :-2]) / (world["inputs"][2:] - world["inputs"][:-2])
        assert np.allclose(slopes[:, 1:-1], measured, atol=0.02 * np.abs(slopes).max())


def test_the_right_side_is_made_of_values_and_slopes_at_the_points(world):
    for student in world["students"]:
        value, slope = (((student[what][-1] - world["teacher"][what])[world["at"]] ** 2).mean()
                        for what in ("values", "slopes"))
        assert np.allclose(student["expanded"], [value + noise**2 * slope for noise in NOISES], rtol=1e-3)


class Square(nn.Module):
    def forward(self, inputs):
        return inputs**2


class Nothing(nn.Module):
    def forward(self, inputs):
        return 0 * inputs


def test_both_sides_of_a_difference_that_can_be_integrated():
    """Of d(x) = x²: E (x + ξ)⁴ = x⁴ + 6 x² σ² + 3 σ⁴, and d² + σ² d'² = x⁴ + 4 x² σ²."""
    points = [0.3, 0.8]
    found = both_sides(Square(), Nothing(), as_images(torch.tensor(points)), seed=0)
    left = [np.mean([x**4 + 6 * x**2 * noise**2 + 3 * noise**4 for x in points]) for noise in NOISES]
    right = [np.mean([x**4 + 4 * x**2 * noise**2 for x in points]) for noise in NOISES]
    assert np.allclose(found["noisy"], left, rtol=0.15)
    assert np.allclose(found["expanded"], right, rtol=1e-5)
    assert found["noisy"][-1] > 1.1 * found["expanded"][-1]


def test_noise_and_slopes_tell_what_lies_between_the_points(world):
    alone, slopes, noisy = (student["value_error"][-1] for student in world["students"])
    assert slopes < alone / 2 and noisy < alone / 2


def test_students_start_alike_and_differ_by_what_they_are_told(world):
    curves = [student["values"] for student in world["students"]]
    assert all(np.array_equal(curves[0][0], other[0]) for other in curves[1:])
    assert not np.allclose(curves[0][-1], curves[1][-1]) and not np.allclose(curves[1][-1], curves[2][-1])
    _, slopes, noisy = students(NOISE)
    assert slopes.stages[0].objective["slopes"].weight == NOISE**2
    assert noisy.stages[0].objective["noisy"].term.noise == NOISE


def test_a_world_is_that_of_its_seed_and_draws_nothing_else(world):
    before = torch.get_rng_state()
    again, other = line(points=4, noise=NOISE, seed=3, steps=150), line(points=4, noise=NOISE, seed=4, steps=2)
    assert torch.equal(before, torch.get_rng_state())
    for first, second in zip(world["students"], again["students"]):
        assert np.array_equal(first["values"], second["values"]) and np.array_equal(first["noisy"], second["noisy"])
    assert not np.allclose(world["teacher"]["values"], other["teacher"]["values"])


@pytest.mark.parametrize("points", [1, 3, 15])
def test_each_point_lies_in_its_own_part_of_the_line(points):
    at = line(points=points, steps=1)["at"]
    assert [int(place * points / 241) for place in at] == list(range(points))
