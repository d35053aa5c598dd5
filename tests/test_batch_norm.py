"""Batch norm that is differentiated twice: the values, running statistics and derivatives of torch's own."""

import pytest
import torch
from torch import nn
from torch.autograd import grad, gradcheck
from torch.nn import functional

from kdcore.batch_norm import TwiceDifferentiable
from kdcore.response import Response


def normalised(x, weight, bias, *running):
    with TwiceDifferentiable():
        return functional.batch_norm(x, *(running or (None, None)), weight, bias, training=True)


def slope(x, weight, bias):
    """A derivative with respect to the maps, as a loss is made of."""
    return grad(normalised(x, weight, bias).pow(3).sum(), x, create_graph=True)[0]


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, dtype=torch.double, generator=generator).requires_grad_()
            for shape in ((5, 3, 2, 2), (3,), (3,))]


def test_both_derivatives_are_those_of_finite_differences(tensors):
    assert gradcheck(normalised, tensors)
    assert gradcheck(slope, tensors)


def test_vectors_are_normalised_too(tensors):
    x, weight, bias = tensors
    assert gradcheck(slope, (x.detach()[:, :, 0, 0].requires_grad_(), weight, bias))


def twice(network, images):
    """Gradients of a loss that is made of every output's derivative."""
    images = images.clone().requires_grad_()
    outputs = network(images)
    rows = [grad(outputs[:, label].sum(), images, create_graph=True)[0] for label in range(outputs.shape[1])]
    (torch.stack(rows).square().sum() + outputs.square().sum()).backward()
    return [parameter.grad for parameter in network.parameters()]


@pytest.mark.parametrize("channels_last", (False, True))
def test_a_network_learns_the_same(channels_last):
    def network():
        torch.manual_seed(1)
        layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Softplus(), nn.Conv2d(4, 4, 3, stride=2),
                               nn.BatchNorm2d(4), nn.Softplus(), nn.Flatten(), nn.Linear(16, 5)).double()
        return layers.to(memory_format=torch.channels_last) if channels_last else layers

    images = torch.rand(6, 3, 8, 8, dtype=torch.double)
    plain, ours = network(), network()
    expected = twice(plain, images)
    with TwiceDifferentiable():
        found = twice(ours, images)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    for one, other in zip(ours.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_whole_jacobian_can_be_trained_on_whatever_the_layers():
    """Vectorised derivatives would not see into a Function of one's own."""
    torch.manual_seed(2)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.BatchNorm1d(6), nn.Softplus(), nn.Linear(6, 4)).double()
    images = torch.rand(5, 3, 2, 2, dtype=torch.double)
    response = Response(network, images)
    (response.jacobian.square().sum() + response.logits.square().sum()).backward()
    found = [parameter.grad for parameter in network.parameters()]
    network.zero_grad()
    for one, other in zip(found, twice(network, images), strict=True):
        torch.testing.assert_close(one, other)


def test_outside_of_training_it_is_left_to_torch(tensors):
    layer = nn.BatchNorm2d(3).double().eval()
    with TwiceDifferentiable():
        assert type(layer(tensors[0]).grad_fn).__name__ == "NativeBatchNormBackward0"
