"""What each family computes, written a second time from its paper, with the weights of a state_dict."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as f

from kdcore import models
from kdcore.models import NetworkConfig
from kdcore.models.ehmann_samek import scaled_kernels
from tests.conftest import shaken

State = dict[str, Tensor]


def conv(state: State, name: str, x: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
    """As many pixels as before at stride 1; no bias."""
    weight = state[f"{name}.weight"]
    return f.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)


def normed(state: State, name: str, x: Tensor, training: bool) -> Tensor:
    """(x − mean) / √(variance + 1e-5) · γ + β; of the batch in training."""
    mean, variance = (x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)) if training else (
        state[f"{name}.running_mean"], state[f"{name}.running_var"])
    gamma, beta, mean, variance = (v.view(-1, 1, 1) for v in (state[f"{name}.weight"], state[f"{name}.bias"], mean,
                                                              variance))
    return (x - mean) / (variance + 1e-5).sqrt() * gamma + beta


def relu(x: Tensor) -> Tensor:
    return x * (x > 0)


def answer(state: State, maps: Tensor) -> Tensor:
    """Each map's mean, then one fully connected layer."""
    return maps.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]


def fully_connected(state: State, x: Tensor, training: bool, layers: int) -> Tensor:
    """Ehmann & Samek 2018, Sec. 3.1."""
    values = x.flatten(1)
    for number in range(1, layers):
        values = relu(values @ state[f"layer{number}.weight"].T + state[f"layer{number}.bias"])
    return values @ state["output.weight"].T + state["output.bias"]


def convolutional(state: State, x: Tensor, training: bool, kernels: tuple[int, ...]) -> Tensor:
    """Ehmann & Samek 2018, Sec. 3.1: stride 1, no padding; the last map is one pixel."""
    sides = scaled_kernels(kernels, x.shape[-1])
    for number, side in enumerate(sides, start=1):
        name = "output" if number == len(sides) else f"layer{number}"
        assert state[f"{name}.weight"].shape[2:] == (side, side)
        x = f.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"])
        x = x if name == "output" else relu(x)
    assert x.shape[2:] == (1, 1)
    return x.flatten(1)


def wide_residual(state: State, x: Tensor, training: bool, count: int) -> Tensor:
    """Zagoruyko & Komodakis 2016: what is activated goes into the shortcut too, where sizes differ."""
    x = conv(state, "conv", x)
    for group in (1, 2, 3):
        for block in range(count):
            name, stride = f"group{group}.{block}", 2 if group > 1 and block == 0 else 1
            opened = relu(normed(state, f"{name}.bn1", x, training))
            inner = relu(normed(state, f"{name}.bn2", conv(state, f"{name}.conv1", opened, stride), training))
            widened = f"{name}.shortcut.weight" in state
            x = conv(state, f"{name}.conv2", inner) + (
                conv(state, f"{name}.shortcut", opened, stride) if widened else x)
            assert widened == (block == 0 and (stride == 2 or opened.shape[1] != inner.shape[1]))
    return answer(state, relu(normed(state, "bn", x, training)))


def small_residual(state: State, x: Tensor, training: bool, count: int) -> Tensor:
    """He et al. 2016, Sec. 4.2: batch norm after each convolution; shortcuts skip pixels and add empty maps."""
    x = relu(normed(state, "bn1", conv(state, "conv1", x), training))
    for group in (1, 2, 3):
        for block in range(count):
            name, stride = f"layer{group}.{block}", 2 if group > 1 and block == 0 else 1
            inner = relu(normed(state, f"{name}.bn1", conv(state, f"{name}.conv1", x, stride), training))
            maps = normed(state, f"{name}.bn2", conv(state, f"{name}.conv2", inner), training)
            shortcut = torch.zeros_like(maps)
            shortcut[:, : x.shape[1]] = x[:, :, ::stride, ::stride]
            x = relu(maps + shortcut)
    return answer(state, x)


def vgg(state: State, x: Tensor, training: bool, sections: int, count: int) -> Tensor:
    """Srinivas & Fleuret 2018, Sec. 6.1: sections of 3×3 convolutions with batch norm, a max-pooling after each."""
    for section in range(1, sections + 1):
        for place in range(1, count + 1):
            name = f"section{section}"
            x = relu(normed(state, f"{name}.bn{place}", conv(state, f"{name}.conv{place}", x), training))
        x = x.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).max(4).values
    return answer(state, x)


def mobilenet(state: State, x: Tensor, training: bool) -> Tensor:
    """Howard et al. 2017, Table 1: each map by itself, then all maps at each place."""
    x = relu(normed(state, "stem.bn", conv(state, "stem.conv", x, 2), training))
    for group, blocks in enumerate((1, 2, 2, 6, 2), start=1):
        for block in range(blocks):
            name, stride = f"group{group}.{block}", 2 if group > 1 and block == 0 else 1
            x = conv(state, f"{name}.depthwise", x, stride, groups=x.shape[1])
            x = conv(state, f"{name}.pointwise", relu(normed(state, f"{name}.bn1", x, training)))
            x = relu(normed(state, f"{name}.bn2", x, training))
    return answer(state, x)


CASES = {"fc_student": (fully_connected, 2), "fc_teacher": (fully_connected, 4),
         "conv_student": (convolutional, (15, 14)), "conv_teacher": (convolutional, (10, 9, 8, 4)),
         "residual8": (small_residual, 1), "residual14": (small_residual, 2), "wrn_10_1": (wide_residual, 1),
         "wrn_16_2": (wide_residual, 2), "vgg4": (vgg, 3, 1), "vgg9": (vgg, 4, 2), "mobilenet": (mobilenet,)}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_a_network_computes_what_its_paper_says(name, training):
    forward, *settings = CASES[name]
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(5, 3, 48, 48, generator=generator, dtype=torch.float64)
    network = shaken(models.build(NetworkConfig(name=name, width=0.1), (3, 48, 48), 4, 0), 7).train(training)
    state, prepared = dict(network.state_dict()), images
    if "prepare.mean" in state:
        prepared = (images - state["prepare.mean"]) / state["prepare.deviation"]
        state = {key.removeprefix("body."): value for key, value in state.items()}
    expected = forward(state, prepared, training, *settings)  # before the network's statistics move
    assert expected.std() > 1e-3
    torch.testing.assert_close(network(images), expected)
