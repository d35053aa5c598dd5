"""Large kernels by rows: the values and derivatives of torch's own convolution."""

import pytest
import torch
from torch.autograd import grad
from torch.nn import functional

from kdcore import by_rows, levers
from kdcore.models import NetworkConfig, build
from kdcore.response import Response


def tensors(channels, image, kernel):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, dtype=torch.double, generator=generator).requires_grad_()
            for shape in ((4, channels, *image), (5, channels, *kernel), (5,))]


def twice(convolve, images, weight, bias):
    """The maps, what comes back to the images, and what comes back of that to all."""
    maps = convolve(images, weight, bias)
    slope, = grad(maps.pow(3).sum(), images, create_graph=True)
    return [maps, slope, *grad(slope.square().sum() + maps.sum(), (images, weight, bias))]


@pytest.mark.parametrize("image, kernel", [((12, 9), (5, 4)), ((8, 8), (7, 8)), ((6, 11), (2, 3)), ((5, 5), (5, 2))])
@pytest.mark.parametrize("channels", (1, 3))
def test_values_and_both_derivatives_are_those_of_a_convolution(channels, image, kernel):
    given = tensors(channels, image, kernel)
    for ours, expected in zip(twice(by_rows.by_rows, *given), twice(functional.conv2d, *given), strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.fixture
def counted(monkeypatch):
    """The shapes of kernels that went by rows."""
    went, before = [], by_rows.by_rows
    monkeypatch.setattr(by_rows, "by_rows", lambda images, weight, *bias: (
        went.append(tuple(weight.shape)), before(images, weight, *bias))[1])
    return went


def test_small_kernels_many_maps_and_padded_ones_are_left_to_torch(counted):
    for channels, kernel, others in ((1, 3, {}), (4, 5, {}), (1, 12, {}), (1, 5, {"padding": 1}), (1, 5, {"stride": 2}),
                                     (1, 4, {"dilation": (2, 2)}), (1, 5, {"padding": "same"})):
        images, weight, _ = tensors(channels, (12, 12), (kernel, kernel))
        with by_rows.ByRows():
            ours = functional.conv2d(images, weight, **others)
        assert torch.equal(ours, functional.conv2d(images, weight, **others))
    assert not counted
    images, weight, _ = tensors(1, (12, 12), (5, 5))
    with by_rows.ByRows():
        functional.conv2d(images, weight, None, (1, 1), padding=(0, 0))
    assert counted == [(5, 1, 5, 5)]


def test_responses_go_by_rows_where_it_pays_and_images_are_differentiated(counted):
    network, images = build(NetworkConfig(name="conv_student"), (1, 28, 28), 10), torch.rand(2, 1, 28, 28)
    Response(network, images, differentiable=False).logits  # noqa: B018
    with levers.switched(by_rows=False):
        plain = Response(network, images).jacobian
    assert not counted
    torch.testing.assert_close(Response(network, images).jacobian, plain)
    assert counted == [(10, 1, 15, 15)]
