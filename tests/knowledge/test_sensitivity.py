"""Sensitivity: derivatives by the image, as pure functions, against loops, captum and finite differences."""

from itertools import product

import pytest
import torch
from captum.attr import Saliency

from kdcore.data import Images
from kdcore.knowledge import NOTHING, sensitivity
from kdcore.knowledge.outputs import LogitError
from kdcore.knowledge.sensitivity import FullJacobian, target_mask
from kdcore.randomness import Draws
from kdcore.response import Response
from kdcore.teaching import Lessons, answer
from tests import replicas
from tests.conftest import Given, couple


def differentiated(network, images):
    inputs = images.clone().requires_grad_()
    return network(inputs), inputs


def test_cost_gradient_is_each_images_own(pair):
    z, x = differentiated(pair.student, pair.images)
    expected = torch.stack([replicas.cost_derivative(pair.student, image, label)
                            for image, label in zip(pair.images, pair.labels, strict=True)])
    torch.testing.assert_close(sensitivity.cost_gradient(z, pair.labels, x), expected, rtol=1e-9, atol=1e-15)


def test_cost_gradient_is_n_times_the_batch_means(pair):
    z, x = differentiated(pair.student, pair.images)
    of_mean, = torch.autograd.grad(torch.nn.functional.cross_entropy(z, pair.labels), x, retain_graph=True)
    torch.testing.assert_close(sensitivity.cost_gradient(z, pair.labels, x), len(z) * of_mean)


def test_jacobian_row_by_row_is_captums_saliency(pair):
    z, x = differentiated(pair.student, pair.images)
    rows = sensitivity.jacobian(z, x)
    assert rows.shape == (*z.shape, *pair.images.shape[1:])
    for c in range(z.shape[1]):
        saliency = Saliency(pair.student).attribute(pair.images.clone().requires_grad_(), target=c, abs=False)
        torch.testing.assert_close(rows[:, c], saliency, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("in_turn", [False, True])
def test_jacobian_entry_by_entry_is_the_loops(pair, in_turn):
    z, x = differentiated(pair.teacher, pair.images)
    expected = torch.stack([torch.stack(replicas.class_derivatives(pair.teacher, image)) for image in pair.images])
    torch.testing.assert_close(sensitivity.jacobian(z, x, in_turn), expected, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("in_turn", [True, False])
def test_rows_of_the_jacobian_may_be_others_for_each_image(pair, in_turn):
    z, x = differentiated(pair.student, pair.images)
    whole, n = sensitivity.jacobian(z, x), torch.arange(len(x))
    classes = torch.stack([(n + 1) % z.shape[1], n % z.shape[1]], 1)
    torch.testing.assert_close(sensitivity.jacobian(z, x, in_turn, classes), whole[n[:, None], classes],
                               rtol=1e-10, atol=1e-15)


def test_the_other_maps_are_parts_of_the_jacobian(pair):
    z, x = differentiated(pair.student, pair.images)
    rows, n = sensitivity.jacobian(z, x), torch.arange(len(x))
    vectors = torch.randn(len(x), 2, z.shape[1], dtype=x.dtype, generator=torch.Generator().manual_seed(3))
    errors = z.softmax(1) - torch.nn.functional.one_hot(pair.labels, z.shape[1])
    close = {"rtol": 1e-9, "atol": 1e-14}
    torch.testing.assert_close(sensitivity.summed_jacobian(z, x), rows.sum(1), **close)
    torch.testing.assert_close(sensitivity.class_gradient(z, pair.labels, x), rows[n, pair.labels], **close)
    torch.testing.assert_close(sensitivity.cost_gradient(z, pair.labels, x),
                               torch.einsum("nc,nc...->n...", errors, rows), **close)
    for k in (1, 2):
        torch.testing.assert_close(sensitivity.projected_jacobian(z, vectors[:, :k], x),
                                   torch.einsum("nkc,nc...->nk...", vectors[:, :k], rows), **close)


MAPS = {
    "cost_gradient": lambda z, x: sensitivity.cost_gradient(z, torch.arange(len(z)) % 3, x),
    "jacobian": sensitivity.jacobian,
    "summed_jacobian": sensitivity.summed_jacobian,
    "class_gradient": lambda z, x: sensitivity.class_gradient(z, torch.arange(len(z)) % 3, x),
    "projected_jacobian": lambda z, x: sensitivity.projected_jacobian(z, torch.ones(len(z), 2, 3).to(z), x),
}


@pytest.mark.parametrize("name", MAPS)
def test_an_images_map_ignores_the_rest_of_the_batch(name, pair):
    others = pair.images.clone()
    others[1:] = 1 - others[1:]
    mine, theirs = (MAPS[name](*differentiated(pair.student, images))[0] for images in (pair.images, others))
    torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("name", MAPS)
def test_maps_are_differentiable_by_weights_and_images(name):
    """Against finite differences, through a smooth network whose second derivatives are not zero."""
    generator = torch.Generator().manual_seed(4)
    values = [torch.randn(*shape, dtype=torch.float64, generator=generator, requires_grad=True)
              for shape in ((2, 4), (4, 5), (5, 3))]
    assert torch.autograd.gradcheck(lambda x, a, b: MAPS[name](torch.tanh(x @ a) @ b, x), values)


@pytest.mark.parametrize("name", MAPS)
def test_maps_carry_no_graph_under_no_grad(name, pair):
    z, x = differentiated(pair.student, pair.images)
    with torch.no_grad():
        values = MAPS[name](z, x)
    assert not values.requires_grad
    assert torch.equal(values, MAPS[name](z, x).detach()) and MAPS[name](z, x).requires_grad


def projected(draws, projections, pair):
    term = FullJacobian(projections=projections)
    taught = answer(term, pair.teacher, Images(pair.images, pair.labels), draws=draws)
    return term.distance(Response(pair.student, pair.images, pair.labels, draws=draws), taught)


def test_random_projections_average_to_equation_3(pair):
    """Exactly, over all 2³ sign vectors; one vector at a time or all at once."""
    exact = replicas.full_jacobian(None, *pair)
    signs = list(product((-1.0, 1.0), repeat=3))
    one_by_one = torch.stack([projected(Given(row), 1, pair) for row in signs]).mean(0)
    torch.testing.assert_close(one_by_one, exact, rtol=1e-10, atol=1e-15)
    torch.testing.assert_close(projected(Given(*signs), 8, pair), exact, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("projections", [1, 3])
def test_random_projections_equal_their_replica(projections, pair):
    vectors = Draws(0, 7, torch.device("cpu")).signs(len(pair.images), projections, 3)
    torch.testing.assert_close(projected(Draws(0, 7, torch.device("cpu")), projections, pair),
                               replicas.projected_jacobian(*pair[:3], vectors), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("projections", [1, 3])
def test_teacher_and_student_share_a_steps_draws(projections, pair):
    """So equal networks are at distance zero, whether the teacher projects anew or its whole Jacobian was kept."""
    term, images = FullJacobian(projections=projections), Images(pair.images, pair.labels)
    lessons = Lessons({"maps": term}, {"maps": NOTHING}, pair.teacher, images)
    draws = Draws(3, 1, torch.device("cpu"))
    student, same = (Response(net, pair.images, pair.labels, draws=draws) for net in (pair.student, pair.teacher))
    fresh = answer(term, pair.teacher, images, draws=draws)
    from_kept = lessons(torch.arange(len(images)), images, draws)["maps"]
    assert "jacobian" in from_kept and "projected" in fresh
    torch.testing.assert_close(term.distance(student, fresh), term.distance(student, from_kept))
    assert term.distance(same, fresh).max() < 1e-20 and term.distance(same, from_kept).max() < 1e-20


def test_draws_are_signs_that_depend_on_seed_and_step():
    def signs(seed, step):
        return Draws(seed, step, torch.device("cpu")).signs(50, 2, 10)

    assert set(signs(0, 1).unique().tolist()) == {-1.0, 1.0} and abs(signs(0, 1).mean()) < 0.1
    assert torch.equal(signs(0, 1), signs(0, 1))
    assert not torch.equal(signs(0, 1), signs(0, 2)) and not torch.equal(signs(0, 1), signs(1, 1))
    draws = Draws(0, 1, torch.device("cpu"))
    assert draws.signs(50, 2, 10) is draws.signs(50, 2, 10)


@pytest.mark.parametrize("outside, inside", [(1, 0), (2, 1)], ids=["eq6", "eq7"])
def test_target_mask_by_hand(outside, inside):
    """p = 1/2. Squared, |g| < max|g|·√½ is outside; as printed, every negative entry is."""
    gradient = torch.tensor([[[-4.0, 2.0, 3.0]], [[-1.0, -2.0, -4.0]]])
    expected = {"squared": [[[inside, outside, inside]], [[outside, outside, inside]]],
                "literal": [[[outside, inside, inside]], [[outside, outside, outside]]]}
    for reading, mask in expected.items():
        assert target_mask(gradient, 0.5, outside, inside, reading).tolist() == mask
    assert target_mask(gradient, 0.5, outside, inside).tolist() == expected["squared"]


def test_target_mask_is_inside_at_the_threshold_and_where_the_teacher_has_no_gradient():
    assert target_mask(torch.tensor([[1.0, 2.0, 0.5]]), 0.25, 1, 0).tolist() == [[0, 0, 1]]
    assert target_mask(torch.zeros(1, 3), 0.5, 1, 0).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("reading", ["squared", "literal"])
def test_target_mask_equals_its_replica(threshold, reading, pair):
    gradients = [replicas.cost_derivative(pair.teacher, *one) for one in zip(pair.images, pair.labels, strict=True)]
    for outside, inside in ((1, 0), (2, 1)):
        expected = torch.stack([replicas.mask(g, threshold, outside, inside, reading) for g in gradients])
        found = target_mask(torch.stack(gradients), threshold, outside, inside, reading)
        assert torch.equal(found, expected) and 0 < (found == outside).double().mean() < 1


def test_target_mask_keeps_the_precision_of_its_input():
    gradient = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    assert target_mask(gradient, 0.5, 0.7, 0.1).tolist() == [[0.7, 0.1]]


@pytest.mark.parametrize("family", ["fc", "conv"])
def test_noise_is_activations_and_jacobians(family):
    """Srinivas & Fleuret 2018, Prop. 1: E_ξ Σ_c (z_t(x+ξ) − z_s(x+ξ))² = activations + σ²·Σ_c ‖∂z_t,c − ∂z_s,c‖².

    ξ = ±σ√D along each pixel has mean 0 and covariance σ²: inside one linear region the equation is then exact.
    """
    pair, sigma = couple(family, (1, 6, 6), count=2), 1e-4
    pixels = pair.images[0].numel()
    steps = sigma * pixels**0.5 * torch.eye(pixels, dtype=torch.float64).view(pixels, 1, 6, 6)
    jacobians = distance(FullJacobian(), pair) * pixels * 3
    for n, image in enumerate(pair.images):
        noisy = torch.cat([image + steps, image - steps])
        assert_one_region(pair, image, noisy)
        left = distance(LogitError(), pair._replace(images=noisy, labels=None)).mean()
        activations = distance(LogitError(), pair)[n]
        torch.testing.assert_close((left - activations) / sigma**2, jacobians[n], rtol=1e-5, atol=0)


def distance(term, pair):
    taught = answer(term, pair.teacher, Images(pair.images, pair.labels))
    return term.distance(Response(pair.student, pair.images, pair.labels), taught).detach()


def assert_one_region(pair, image, noisy):
    for network in (pair.teacher, pair.student):
        names = tuple(name for name in network.taps if name.endswith(".pre"))
        here, around = (Response(network, x, taps=names).taps for x in (image[None], noisy))
        assert all(((here[name] > 0) == (around[name] > 0)).all() for name in names)
