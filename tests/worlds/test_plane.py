"""The world of two inputs: every number in its pictures a second time, place by place."""

import math

import numpy as np
import pytest
import torch

from kdcore.models.ehmann_samek import fully_connected
from kdcore.worlds import plane
from kdcore.worlds.learning import drawn
from kdcore.worlds.plane import everywhere, measured, zero_line

CORNERS = np.array([[-2.0, -1.0], [2.0, -1.0], [2.0, 1.0], [-2.0, 1.0]])


@pytest.fixture(scope="module")
def world():
    return plane(points=30, seed=2, steps=200)


def by_hand(network, x, y):
    """Values before the activation, and the second class's probability less the first's."""
    (w, b), (v, c) = ((layer.weight.tolist(), layer.bias.tolist()) for layer in (network.layer1, network.output))
    before = [first * x + second * y + bias for (first, second), bias in zip(w, b)]
    logits = [sum(weight * max(value, 0) for weight, value in zip(row, before)) + bias for row, bias in zip(v, c)]
    powers = [math.exp(logit) for logit in logits]
    return before, (powers[1] - powers[0]) / sum(powers)


def test_what_is_drawn_is_what_the_networks_answer(world):
    ours, theirs = (drawn(lambda: fully_connected((2, 1, 1), 2, (6,)), seed) for seed in (1, 2))
    found = measured(everywhere(ours), everywhere(theirs))
    agreeing, answering = [], []
    for row, y in enumerate(world["up"]):
        for column, x in enumerate(world["across"]):
            (before, lean), (others, other) = by_hand(ours, x, y), by_hand(theirs, x, y)
            assert found["lean"][row, column] == pytest.approx(lean, abs=1e-5)
            agreeing += [(one > 0) == (two > 0) for one, two in zip(before, others)]
            answering.append((lean > 0) == (other > 0))
    assert found["agreement"] == pytest.approx(np.mean(agreeing), abs=1e-3)
    assert found["decisions"] == pytest.approx(np.mean(answering), abs=1e-3)
    for i, ends in enumerate(found["boundaries"]):
        assert all(abs(by_hand(ours, *end)[0][i]) < 1e-5 for end in ends if np.isfinite(end).all())


@pytest.mark.parametrize("seed", range(8))
def test_a_line_ends_where_it_leaves_the_rectangle(seed):
    generator = np.random.default_rng(seed)
    slope, inside = generator.normal(size=2), generator.uniform([-2, -1], [2, 1])
    shift = -inside @ slope
    ends = zero_line(CORNERS, CORNERS @ slope + shift)
    assert np.allclose(ends @ slope + shift, 0)
    assert all(np.isclose(abs(x), 2) or np.isclose(abs(y), 1) for x, y in ends) and not np.allclose(*ends)


def test_a_line_outside_the_rectangle_is_not_drawn():
    assert np.isnan(zero_line(CORNERS, CORNERS @ [1.0, 1.0] + 9)).all()


def test_the_teacher_agrees_with_itself_and_knows_its_classes(world):
    teacher = world["teacher"]
    assert teacher["agreement"] == [1.0] and teacher["decisions"] == [1.0]
    nearest = [np.abs(world["across"] - x).argmin() for x, _ in world["points"]]
    above = [np.abs(world["up"] - y).argmin() for _, y in world["points"]]
    answers = teacher["lean"][0][above, nearest] > 0
    assert (answers == (world["labels"] == 1)).mean() > 0.85


def test_boundaries_carry_over_when_they_are_matched(world):
    end = [at for at in world["steps"] if at <= world["ends"]][-1]
    labels, values, boundaries = (student["agreement"][world["steps"].index(end)] for student in world["students"])
    assert boundaries > 0.85 and boundaries > values > labels


def test_the_margin_is_the_third_students_alone():
    one, other = (plane(points=10, margin=margin, steps=20)["students"] for margin in (0.1, 2.0))
    alike = [np.array_equal(first["lean"], second["lean"]) for first, second in zip(one, other)]
    assert alike == [True, True, False]


def test_a_world_is_that_of_its_seed_and_draws_nothing_else():
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    one, same, other = (plane(points=10, seed=seed, steps=20) for seed in (1, 1, 2))
    assert torch.equal(states[0], torch.get_rng_state()) and np.array_equal(states[1], np.random.get_state()[1])
    for first, second in zip(one["students"], same["students"]):
        assert np.array_equal(first["lean"], second["lean"])
    assert not np.array_equal(one["points"], other["points"])
    assert not np.array_equal(one["teacher"]["lean"], other["teacher"]["lean"])
