"""Training in a small world, against steps taken by hand."""

import pytest
import torch
from torch import nn

from kdcore.data import Images
from kdcore.knowledge.outputs import LogitError
from kdcore.knowledge.regularisers import WeightDecay
from kdcore.objective import Method, Optimiser, Stage, WeightedTerm
from kdcore.train import snapshot_steps
from kdcore.worlds.learning import drawn, learn

RATE = 0.1
DESCENT = Optimiser(kind="sgd", learning_rate=RATE, momentum=0.0)
POINTS = Images(torch.tensor([[1.0], [2.0]]), torch.zeros(2, dtype=torch.long))


def proportional(factor):
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, factor)
    return network


def stage(term, **settings):
    return Stage(objective={"only": WeightedTerm(weight=1, term=term)}, **settings)


def weights(method, steps):
    student = proportional(1.0)
    return {step: student.weight.item() for step in learn(method, student, POINTS, DESCENT, steps,
                                                          teacher=proportional(3.0))}


def test_each_stage_follows_its_own_terms_for_its_share_of_the_steps():
    method = Method(stages=(stage(LogitError(), share=0.4), stage(WeightDecay(), share=0.6)))
    found, weight = weights(method, 5), 1.0
    assert list(found) == snapshot_steps(5)
    for step in range(1, 6):
        values = sum(2 * (weight * x - 3 * x) * x for x in (1, 2)) / 2  # of the mean of (w·x − 3·x)²
        weight -= RATE * (values if step <= 2 else weight)
        assert step not in found or found[step] == pytest.approx(weight, rel=1e-5)


def test_a_weight_moves_to_its_last_one_over_its_stage():
    falling = Stage(share=0.5, objective={"only": WeightedTerm(weight=1, final=0, term=WeightDecay())})
    found, weight = weights(Method(stages=(stage(WeightDecay(), share=0.5), falling)), 8), 1.0
    for step in range(1, 9):
        weight -= RATE * weight * (1 if step <= 4 else 1 - (step - 5) / 4)
        assert step not in found or found[step] == pytest.approx(weight, rel=1e-5)


@pytest.mark.parametrize("steps", [1, 7, 25])
def test_the_last_snapshot_is_there_however_the_stages_share_the_steps(steps):
    method = Method(stages=(stage(LogitError(), share=0.5), stage(WeightDecay(), share=0.5)))
    assert list(weights(method, steps)) == snapshot_steps(steps)


def test_weights_are_those_of_the_seed_and_nothing_else_is_drawn():
    before = torch.get_rng_state()
    one, same, other = (drawn(lambda: nn.Linear(3, 3), seed).weight for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(before, torch.get_rng_state())
