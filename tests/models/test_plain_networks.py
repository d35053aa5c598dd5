"""The networks of Ehmann & Samek 2018, Sec. 3.1."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from kdcore import models
from kdcore.errors import UserError
from kdcore.models import NetworkConfig
from kdcore.models.ehmann_samek import scaled_kernels
from tests.conftest import WIDTHS

MNIST = (1, 28, 28)


def build(name, shape=MNIST, classes=10, seed=0, **settings):
    return models.build(NetworkConfig(name=name, **settings), shape, classes, seed)


def layers(network, kind):
    return [module for module in network.modules() if isinstance(module, kind)]


@pytest.mark.parametrize("name, sizes", [("fc_student", (784, 1000, 10)), ("fc_teacher", (784, 1000, 500, 200, 10))])
def test_fully_connected_layers_are_the_papers(name, sizes):
    network = build(name)
    assert [(layer.in_features, layer.out_features) for layer in layers(network, nn.Linear)] == \
        list(pairwise(sizes))
    assert sum(p.numel() for p in network.parameters()) == sum((a + 1) * b for a, b in pairwise(sizes))


@pytest.mark.parametrize("name, kernels, maps", [
    ("conv_student", (15, 14), (10, 10)), ("conv_teacher", (10, 9, 8, 4), (10, 25, 100, 10))])
def test_convolutions_are_the_papers(name, kernels, maps):
    network = build(name)
    found = layers(network, nn.Conv2d)
    assert [layer.kernel_size for layer in found] == [(k, k) for k in kernels]
    assert [layer.out_channels for layer in found] == list(maps)
    assert all(layer.stride == (1, 1) and layer.padding == (0, 0) for layer in found)
    depths = (1, *maps)
    assert sum(p.numel() for p in network.parameters()) == sum(
        (k * k * a + 1) * b for k, (a, b) in zip(kernels, pairwise(depths), strict=True))


@pytest.mark.parametrize("name", WIDTHS)
def test_relus_between_the_layers_and_logits_at_the_end(name):
    modules = [module for module in build(name).children() if not isinstance(module, nn.Dropout)]
    assert all(isinstance(module, nn.ReLU) for module in modules[1::2])
    assert len(modules) % 2 == 1 and not any(isinstance(module, nn.ReLU) for module in modules[::2])


@pytest.mark.parametrize("name", ["conv_student", "conv_teacher"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 5, 5), (3, 32, 32), (3, 7, 12), (1, 28, 9), (1, 33, 64)],
                         ids=lambda shape: "x".join(map(str, shape)))
def test_the_last_map_is_one_pixel_for_other_image_sizes(name, shape):
    network = build(name, shape, 4, width=0.2)
    *hidden, last = layers(network, nn.Conv2d)
    assert all(k >= 2 for layer in (*hidden, last) for k in layer.kernel_size)
    assert len(hidden) == (1 if name == "conv_student" else 3)
    assert nn.Sequential(*list(network)[:-1])(torch.rand(2, *shape)).shape[2:] == last.kernel_size
    assert network(torch.rand(2, *shape)).shape == (2, 4)


@pytest.mark.parametrize("kernels", [(15, 14), (10, 9, 8, 4)])
def test_scaled_kernels_take_every_side_to_one_pixel(kernels):
    assert scaled_kernels(kernels, 28) == list(kernels)
    for side in range(len(kernels) + 1, 100):
        scaled = scaled_kernels(kernels, side)
        assert side - sum(k - 1 for k in scaled) == 1 and min(scaled) >= 2
        shares = [(k - 1) / (side - 1) - (paper - 1) / 27 for k, paper in zip(scaled, kernels, strict=True)]
        assert max(map(abs, shares)) < 1 / (side - 1)


@pytest.mark.parametrize("name, shape", [("conv_teacher", (1, 4, 4)), ("conv_teacher", (1, 28, 4)),
                                         ("conv_student", (1, 2, 8))])
def test_too_small_an_image_is_a_sentence(name, shape):
    with pytest.raises(UserError, match=r"^An image side of \d pixels is too small .*\.$"):
        build(name, shape)


@pytest.mark.parametrize("name", WIDTHS)
def test_width_scales_the_hidden_layers_alone(name):
    full, half = (layers(build(name, width=width), (nn.Linear, nn.Conv2d)) for width in (1, 0.5))
    for before, after in zip(full[:-1], half[:-1], strict=True):
        assert abs(len(after.weight) - len(before.weight) / 2) <= 0.5
    assert len(full[-1].weight) == len(half[-1].weight) == 10


@pytest.mark.parametrize("name", WIDTHS)
def test_truncated_normal_weights_and_zero_biases(name):
    """Standard deviation 0.01, cut at two of them: what is left has 0.8796 of it."""
    network = build(name)
    weights = torch.cat([p.flatten() for n, p in network.state_dict().items() if n.endswith("weight")])
    assert weights.abs().max() <= 0.02
    assert float(weights.std()) == pytest.approx(0.01 * 0.8796, rel=0.05) and abs(weights.mean()) < 5e-4
    assert all((p == 0).all() for n, p in network.named_parameters() if n.endswith("bias"))


def test_he_weights():
    for layer in layers(build("fc_teacher", initial="he"), nn.Linear):
        assert float(layer.weight.detach().std()) == pytest.approx((2 / layer.in_features) ** 0.5, rel=0.05)
        assert (layer.bias == 0).all()


@pytest.mark.parametrize("initial", ["truncated_normal", "he"])
def test_the_seed_alone_decides_the_weights(initial):
    torch.manual_seed(1)
    first = build("conv_teacher", initial=initial).state_dict()
    torch.manual_seed(2)
    again, other = (build("conv_teacher", seed=seed, initial=initial).state_dict() for seed in (0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not any(torch.equal(first[key], other[key]) for key in first if key.endswith("weight"))
