"""Outputs: soft targets and logits, as the pure functions that notebooks call."""

import math

import torch

from kdcore.knowledge.outputs import CrossEntropy, SoftTargets, logit_error, soft_target_divergence
from kdcore.response import Response
from tests import replicas


def batch(pair):
    return pair.student(pair.images), pair.teacher(pair.images)


def test_soft_targets_are_the_mean_of_hintons_formula(pair):
    for temperature in (0.5, 1.0, 4.0, 20.0):
        term = SoftTargets(temperature=temperature)
        torch.testing.assert_close(soft_target_divergence(*batch(pair), temperature),
                                   replicas.soft_targets(term, *pair).mean(), rtol=1e-9, atol=1e-14)


def test_soft_targets_by_hand():
    """Teacher (3/4, 1/4), student (1/2, 1/2): KL = 3/4·log(3/2) + 1/4·log(1/2); logits of log p·T give p at T."""
    teacher = 3 * torch.tensor([[0.75, 0.25]], dtype=torch.float64).log()
    student = torch.zeros(1, 2, dtype=torch.float64)
    expected = 9 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert math.isclose(soft_target_divergence(student, teacher, 3.0), expected, rel_tol=1e-12)


def test_soft_targets_read_teacher_to_student():
    """KL(teacher ‖ student) is not KL(student ‖ teacher)."""
    a, b = torch.tensor([[3.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0]])
    expected = torch.nn.functional.kl_div(a.log_softmax(1), b.log_softmax(1), log_target=True, reduction="batchmean")
    torch.testing.assert_close(soft_target_divergence(a, b, 1.0), expected)


def test_soft_targets_approach_the_logit_error_at_high_temperature():
    """Hinton et al. 2015, Sec. 2.1: for centred logits, T²·KL → Σ_c (z_t − z_s)² / 2C."""
    student, teacher = torch.randn(2, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    student, teacher = (z - z.mean(1, keepdim=True) for z in (student, teacher))
    torch.testing.assert_close(soft_target_divergence(student, teacher, 1e4), logit_error(student, teacher) / 10,
                               rtol=1e-3, atol=0)


def test_soft_targets_of_enormous_logits_are_finite():
    far = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    value = soft_target_divergence(far, -far.detach(), 1.0)
    value.backward()
    assert value.isfinite() and far.grad.isfinite().all()


def test_logit_error_is_the_mean_of_proposition_1(pair):
    torch.testing.assert_close(logit_error(*batch(pair)), replicas.logit_error(None, *pair).mean(), rtol=1e-10,
                               atol=0)


def test_cross_entropy_needs_no_derivative_by_the_image(pair):
    response = Response(pair.student, pair.images, pair.labels, differentiable=False)
    torch.testing.assert_close(CrossEntropy().distance(response, {}), replicas.cross_entropy(None, *pair), rtol=1e-10,
                               atol=0)


def test_pure_functions_are_differentiable_twice():
    student, teacher = (torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed),
                                    requires_grad=True) for seed in (1, 2))
    for function in (logit_error, lambda s, t: soft_target_divergence(s, t, 3.0)):
        assert torch.autograd.gradcheck(function, (student, teacher))
        assert torch.autograd.gradgradcheck(function, (student, teacher))
