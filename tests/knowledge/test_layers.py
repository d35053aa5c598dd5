"""Knowledge of layers, as the pure functions that notebooks call, against loops and by hand."""

import math

import pytest
import torch
from torch import nn

from kdcore import data
from kdcore.config import read
from kdcore.knowledge import TERMS, Pair
from kdcore.knowledge.activation import agreement, boundary_error
from kdcore.knowledge.attention import attention_error, attention_gradient, attention_map
from kdcore.knowledge.flow import fsp_error, fsp_matrix
from kdcore.knowledge.information import Gaussian, gaussian_cost
from kdcore.knowledge.layers import least_squares, pooled
from kdcore.knowledge.pair import Layer
from kdcore.probe import Probe
from kdcore.response import Response
from kdcore.train import build
from tests import replicas
from tests.conftest import Given, couple, made, paired


def features(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def spelt(module):
    """The layers of a connector, in words."""
    match module:
        case Gaussian():
            return [*spelt(module.mean), "a deviation for each channel"]
        case nn.Sequential():
            return [word for inner in module for word in spelt(inner)]
        case nn.Conv2d():
            assert (module.kernel_size, module.stride, module.groups) == ((1, 1), (1, 1), 1) and module.bias is not None
            return [f"1×1 convolution {module.in_channels} to {module.out_channels}"]
        case nn.Linear():
            return [f"linear {module.in_features} to {module.out_features}"]
        case nn.BatchNorm2d():
            return [f"batch norm {module.num_features}"]
        case nn.ReLU() | nn.Identity():
            return [type(module).__name__]


@pytest.mark.parametrize("kind, settings, of_maps, of_vectors", [
    ("hint", {}, ["1×1 convolution 3 to 5"], ["linear 3 to 5"]),
    ("hint", {"batch_norm": True}, ["1×1 convolution 3 to 5", "batch norm 5"], ["linear 3 to 5"]),
    ("activation_boundary", {}, ["1×1 convolution 3 to 5", "batch norm 5"], ["linear 3 to 5"]),
    ("activation_values", {}, ["1×1 convolution 3 to 5", "batch norm 5"], ["linear 3 to 5"]),
    ("flow_matrices", {}, ["1×1 convolution 3 to 5", "batch norm 5"], None),
    ("map_information", {}, ["1×1 convolution 3 to 5", "batch norm 5", "ReLU", "1×1 convolution 5 to 5",
                             "a deviation for each channel"], None),
    ("vector_information", {}, None, ["linear 3 to 5", "a deviation for each channel"]),
    ("second_head", {}, None, ["linear 3 to 5"]),
    ("attention_maps", {}, ["Identity"], None)], ids=str)
def test_connectors_are_the_papers(kind, settings, of_maps, of_vectors):
    """FORMULAS: Romero's is linear, Heo's has batch norm; Ahn's mean is two convolutions for maps, one layer for
    vectors; a second head is one layer."""
    term = TERMS[kind](kind=kind, **settings)
    for expected, size in ((of_maps, (4, 4)), (of_vectors, ())):
        if expected:
            assert spelt(term.connector(Layer("t", "s", (5, *size), (3, *size)))) == expected


@pytest.mark.parametrize("kind", ["hint", "activation_boundary", "activation_values", "flow_matrices"])
def test_connectors_stand_where_they_are_asked_for(kind):
    same = Layer("t", "s", (3, 4, 4), (3, 4, 4))
    needed, always, never = (spelt(TERMS[kind](kind=kind, connectors=choice).connector(same))
                             for choice in ("where needed", "always", "never"))
    assert needed == never == ["Identity"] and always[0] == "1×1 convolution 3 to 3"


def test_an_attention_map_has_unit_length_whatever_the_scale():
    values = features(3, 4, 5, 6)
    assert attention_map(values).shape == (3, 30)
    torch.testing.assert_close(attention_map(values).square().sum(1), torch.ones(3).double())
    torch.testing.assert_close(attention_map(1e-6 * values.float()), attention_map(values.float()))
    expected = torch.stack([replicas.unit(replicas.energy(one, (5, 6))) for one in values])
    torch.testing.assert_close(attention_map(values), expected)


@pytest.mark.parametrize("ours, theirs", [((3, 4, 5, 6), (3, 2, 5, 6)), ((3, 4, 5, 6), (3, 2, 3, 3)),
                                          ((3, 4, 4, 4), (3, 2, 9, 8)), ((3, 4, 2, 6), (3, 4, 5, 3))], ids=str)
def test_attention_error_in_both_forms(ours, theirs):
    """The larger map is averaged to the smaller size before it gets unit length."""
    student, teacher = features(*ours), features(*theirs, seed=2)
    size = [min(sides) for sides in zip(ours[2:], theirs[2:], strict=True)]
    squares = [(replicas.unit(replicas.energy(t, size)) - replicas.unit(replicas.energy(s, size))) ** 2
               for s, t in zip(student, teacher, strict=True)]
    paper = sum(sum(each) ** 0.5 for each in squares) / 3
    squared = sum(sum(each) / len(each) for each in squares) / 3
    torch.testing.assert_close(attention_error(student, teacher), paper)
    torch.testing.assert_close(attention_error(student, teacher, form="paper"), paper)
    torch.testing.assert_close(attention_error(student, teacher, form="squared"), squared)


def test_attention_error_of_equal_features_is_zero_with_a_finite_gradient():
    values = features(2, 3, 4, 4)
    error = attention_error(values, values.detach())
    error.backward()
    assert error == 0 and values.grad.isfinite().all()


@pytest.mark.parametrize("window, positions", [(None, 42), (1, 42), (3, 20), (6, 2), ((6, 7), 1), ((2, 3), 25)])
def test_attention_gradient_is_one_values_derivative(window, positions):
    """By default at the maximum of the pooled map; else where it is asked for."""
    network, _, images, _ = made("wider")
    sides = window if isinstance(window, tuple) else (window or 1,) * 2
    response = Response(network, images, taps=("group1",))
    gradient, location = attention_gradient(response.taps["group1"], response.inputs, window)
    assert gradient.shape == images.shape and location.shape == (3,)
    elsewhere, given = attention_gradient(response.taps["group1"], response.inputs, window,
                                          (location + 1) % positions)
    assert torch.equal(given, (location + 1) % positions)

    def attention(image):
        return replicas.averages(replicas.energy(replicas.tap(network, "group1", image), (6, 7)), sides)

    def slope(image, place):
        return replicas.derivative(lambda x: attention(x)[place], image)

    for n, image in enumerate(images):
        assert len(attention(image)) == positions and location[n] == attention(image).argmax()
        torch.testing.assert_close(gradient[n], slope(image, location[n]))
        torch.testing.assert_close(elsewhere[n], slope(image, given[n]))


def test_attention_gradient_carries_a_graph_only_where_one_is_wanted():
    network, _, images, _ = made("wider")
    response = Response(network, images, taps=("group1",))
    with torch.no_grad():
        plain, location = attention_gradient(response.taps["group1"], response.inputs, 2)
    wanted, _ = attention_gradient(response.taps["group1"], response.inputs, 2, location)
    assert not plain.requires_grad and wanted.requires_grad and torch.equal(plain, wanted.detach())


@pytest.mark.parametrize("earlier, later", [((2, 3, 4, 5), (2, 2, 4, 5)), ((2, 3, 8, 7), (2, 4, 4, 5)),
                                            ((2, 3, 2, 2), (2, 3, 6, 6))], ids=str)
def test_fsp_matrix_of_layers_of_any_size(earlier, later):
    """Max-pooled to the smaller size."""
    first, last = features(*earlier), features(*later, seed=2)
    matrix = fsp_matrix(first, last)
    assert matrix.shape == (2, earlier[1], later[1])
    expected = torch.stack([replicas.fsp(a, b) for a, b in zip(first, last, strict=True)])
    torch.testing.assert_close(matrix, expected)


def test_fsp_error_is_the_squared_norm():
    ours, theirs = features(3, 4, 5), features(3, 4, 5, seed=2)
    torch.testing.assert_close(fsp_error(ours, theirs), ((ours - theirs) ** 2).sum() / 3)


def test_agreement_is_the_share_of_equal_activations():
    """A neuron is active above 0, and not at 0."""
    ours = torch.tensor([[1.0, -1.0, 0.0, 2.0], [1.0, 1.0, 1.0, 0.0]])
    theirs = torch.tensor([[3.0, 1.0, -4.0, 0.0], [3.0, 1.0, -4.0, 0.0]])
    assert agreement(ours, theirs).tolist() == [0.5, 0.75]
    assert agreement(ours, ours).tolist() == [1, 1]
    assert agreement(ours.view(2, 2, 1, 2), theirs.view(2, 2, 1, 2)).tolist() == [0.5, 0.75]


@pytest.mark.parametrize("network", ["wrn_10_1", "vgg4", "residual8"])
def test_agreement_of_an_untrained_pair_is_near_a_half(network):
    """As a run's record has it, on images of a set, layer by layer; batch norm with the statistics of these images."""
    run = read({"data": {"name": "shapes"}, "network": {"name": network, "width": 0.5}, "seed": 1})
    images = data.images(run.data, "test", index=torch.arange(200))
    networks = [build(run.model_copy(update={"seed": seed})) for seed in (1, 2)]
    with torch.no_grad():
        for module in (module for each in networks for module in each.modules()):
            module.momentum = 1.0
        for each in networks:
            each.train()(images.pixels)
            each.eval()
    record = Probe(*networks, images, Pair(run.side(), run.side())).distances()
    rates = {name: value for name, value in record.items() if name.startswith("agreement.")}
    assert len(rates) == 3 and all(abs(rate - 0.5) < 0.1 for rate in rates.values())


@pytest.mark.parametrize("margin", [0.0, 0.5, 1.0, 4.0])
def test_the_slope_of_the_boundary_error_is_equation_5(margin):
    """−2(μ − S) where the teacher is active and S < μ, 2(μ + S) where it is not and S > −μ, else 0."""
    student, teacher = features(3, 4, 2, 5), features(3, 4, 2, 5, seed=2)
    error = boundary_error(student, teacher, margin)
    slope, = torch.autograd.grad(error * 3, student)
    expected = [(-2 * (margin - s) if s < margin else 0.0) if t > 0 else (2 * (margin + s) if s > -margin else 0.0)
                for s, t in zip(student.flatten().tolist(), teacher.flatten().tolist(), strict=True)]
    torch.testing.assert_close(slope.flatten(), torch.tensor(expected).double())
    literal = sum(replicas.boundary(t, s, margin)
                  for s, t in zip(student.flatten(), teacher.flatten(), strict=True)) / 3
    torch.testing.assert_close(error, literal)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 2, 5)], ids=["vectors", "maps"])
def test_gaussian_cost_has_one_scale_a_channel(shape):
    """It is the negative logarithm of the density, but for ½·log 2π an element."""
    mean, target = features(*shape), features(*shape, seed=2)
    scale = torch.tensor([0.5, 1.0, 2.0, 3.0]).double().requires_grad_()
    found = gaussian_cost(mean, target, scale)
    wide = scale.view(-1, *[1] * (len(shape) - 2)).expand(shape[1:])
    density = torch.distributions.Normal(mean, wide).log_prob(target).flatten(1).sum(1)
    constant = target[0].numel() * 0.5 * math.log(2 * math.pi)
    assert found.shape == ()
    torch.testing.assert_close(found, -density.mean() - constant)
    for a, b in zip(torch.autograd.grad(found, (mean, scale), retain_graph=True),
                    torch.autograd.grad(-density.mean(), (mean, scale)), strict=True):
        torch.testing.assert_close(a, b)


def test_a_learnt_scale_starts_at_the_root_of_five_and_stays_positive():
    code = Gaussian(nn.Identity(), 3)
    torch.testing.assert_close(code.scale, torch.full((3,), math.sqrt(5)))
    code.raw.data.fill_(-1e4)
    assert (code.scale > 0).all() and code.scale.log().isfinite().all()


PURE = {
    "attention_map": lambda s, t: attention_map(s),
    "attention_error": attention_error,
    "attention_error squared": lambda s, t: attention_error(s, t, form="squared"),
    "fsp": lambda s, t: fsp_error(fsp_matrix(s, s), fsp_matrix(t, t)),
    "boundary_error": lambda s, t: boundary_error(s, t.detach(), 1.0),
    "gaussian_cost": lambda s, t: gaussian_cost(s, t, torch.tensor([0.5, 2.0]).double()),
}


@pytest.mark.parametrize("name", PURE)
def test_pure_functions_are_differentiable(name):
    assert torch.autograd.gradcheck(lambda s, t: PURE[name](s, t), (features(2, 2, 3, 3), features(2, 2, 3, 3, seed=2)))


def test_maps_are_averaged_to_any_smaller_size():
    values = features(2, 3, 7, 8)
    for size in ((7, 8), (3, 4), (4, 3), (1, 1)):
        expected = torch.stack([replicas.pooled(one, size, replicas.mean) for one in values])
        torch.testing.assert_close(pooled(values, size), expected)
    vectors = features(2, 3)
    assert pooled(vectors, ()) is vectors


@pytest.mark.parametrize("shape", [(60, 3), (20, 3, 2, 2)], ids=["vectors", "maps"])
def test_least_squares_finds_a_linear_map_that_is_there(shape):
    """Almost: it is slightly shrunk."""
    inputs = features(*shape).detach()
    there = (nn.Linear(3, 4) if len(shape) == 2 else nn.Conv2d(3, 4, 1)).double()
    found = least_squares(inputs, there(inputs).detach())
    assert type(found) is type(there)
    torch.testing.assert_close(found(inputs), there(inputs), rtol=0, atol=0.02)


def test_least_squares_bears_silent_channels_and_few_images():
    silent = torch.cat([features(5, 2).detach(), torch.zeros(5, 9).double()], 1)
    assert least_squares(silent, features(5, 3, seed=2).detach()).weight.isfinite().all()


def linear_pair():
    """Two linear networks: no ReLU ever switches."""
    images = torch.rand(2, 1, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    networks = [nn.Sequential(nn.Flatten(), nn.Linear(6, 4)).double() for _ in range(2)]
    return *networks, images


@pytest.mark.parametrize("sigma", [0.1, 0.7])
def test_outputs_under_noise_are_outputs_and_jacobians(sigma):
    """Srinivas & Fleuret 2018, Prop. 1, exact where no ReLU switches, in the mean over ±√D along each pixel.

    Those have the mean 0 and the covariance 1 of the normal distribution, and a linear network knows no more of it.
    """
    teacher, student, images = linear_pair()
    pixels = images[0].numel()
    ways = pixels**0.5 * torch.eye(pixels, dtype=torch.float64).view(pixels, *images.shape[1:])

    def paid(kind, way=None, **settings):
        term, draws = TERMS[kind](**settings), Given(noise=way)
        ours, theirs = (Response(network, images, draws=draws) for network in (student, teacher))
        return term.distance(ours, term.teach(theirs)).detach()

    noisy = torch.stack([paid("noisy_outputs", sign * way, noise=sigma) for way in ways for sign in (1, -1)]).mean(0)
    torch.testing.assert_close(noisy, paid("logit_error") + sigma**2 * paid("jacobian_match", classes="all"))


@pytest.mark.parametrize("family", ["fc", "conv"])
def test_jacobian_norms_of_probabilities_are_squared_cost_gradients(family):
    """∂ log p_y/∂x = −∂CE/∂x (Srinivas & Fleuret 2018, eq. 3)."""
    _, student, images, labels = couple(family, (1, 6, 6))
    response = Response(student, images, labels)
    paid = TERMS["jacobian_norm"](form="probabilities", classes="label").distance(response, {})
    torch.testing.assert_close(paid, response.cost_gradient.square().flatten(1).sum(1))


def test_a_small_noise_hardly_changes_the_cross_entropy():
    """Srinivas & Fleuret 2018, eq. 2 without noise is the cross entropy with the teacher's probabilities."""
    teacher, student, images, _ = couple("fc", (1, 6, 6))
    term = TERMS["cross_entropy_jacobian"](noise=0)
    ours, theirs = Response(student, images), Response(teacher, images)
    expected = nn.functional.cross_entropy(ours.logits, theirs.logits.softmax(1), reduction="none")
    torch.testing.assert_close(term.distance(ours, term.teach(theirs)), expected)


def test_shuffling_permutes_the_teachers_channels_in_another_way_for_every_student():
    teacher, student, images, _ = made("wider")
    pair, term = paired(teacher, student, images), TERMS["flow_matrices"](shuffled=True)
    orders = [[order.tolist() for name, order in term.bind(pair, seed).state_dict().items() if "order" in name]
              for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert [sorted(order) for order in orders[0]] == [list(range(n)) for n in (5, 5, 4, 4)]


@pytest.mark.parametrize("kind", ["hint", "flow_matrices", "activation_boundary", "map_information", "second_head"])
def test_connectors_are_drawn_from_the_seed_alone(kind):
    teacher, student, images, _ = made("wider")
    pair = paired(teacher, student, images)

    def drawn(seed):
        torch.seed()
        return torch.cat([value.flatten().double() for value in TERMS[kind]().bind(pair, seed).state_dict().values()])

    before = torch.random.get_rng_state()
    TERMS[kind]().bind(pair, 1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(drawn(1), drawn(1)) and not torch.equal(drawn(1), drawn(2))


def test_fsp_matrices_are_asked_for_by_section():
    teacher, student, images, _ = made("wider")
    term = TERMS["flow_matrices"](groups=(("group1.first", "group1"),))
    assert "name sections, such as group1" in term.unsuited(paired(teacher, student, images))
