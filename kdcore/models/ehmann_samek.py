"""The four networks of Ehmann & Samek 2018, Sec. 3.1: ReLU, no pooling, no normalisation, the last layer gives logits.

Made for MNIST's 28×28. On other sizes the convolutional nets keep their number of layers and maps and scale their
kernels so that the last map is 1×1.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from kdcore.errors import UserError
from kdcore.models.layers import scaled


class _FlatInput(nn.Sequential):
    logits = "output"

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.flatten(1))


class _FlatOutput(nn.Sequential):
    logits = "flatten"  # the node after the last map

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).flatten(1)


def fully_connected(image_shape: tuple[int, int, int], classes: int, hidden: tuple[int, ...],
                    width: float = 1.0) -> nn.Module:
    """Fully connected layers with `hidden`·width neurons between image and logits; each hidden layer is a group."""
    channels, height, columns = image_shape
    sizes = [channels * height * columns, *(scaled(neurons, width) for neurons in hidden), classes]
    layers = [nn.Linear(before, after) for before, after in zip(sizes, sizes[1:])]
    return _chain(_FlatInput, layers)


def convolutional(image_shape: tuple[int, int, int], classes: int, kernels: tuple[int, ...], maps: tuple[int, ...],
                  width: float = 1.0) -> nn.Module:
    """Convolutions, stride 1, no padding, with `maps`·width maps between image and logits; each is a group."""
    channels, *size = image_shape
    per_side = [scaled_kernels(kernels, side) for side in size]
    depths = [channels, *(scaled(count, width) for count in maps), classes]
    layers = [nn.Conv2d(before, after, kernel) for before, after, kernel in zip(depths, depths[1:], zip(*per_side))]
    return _chain(_FlatOutput, layers)


def scaled_kernels(kernels: tuple[int, ...], side: int) -> list[int]:
    """Kernel sizes, in the proportions of `kernels`, whose unpadded convolutions take `side` pixels to one.

    Each kernel k shortens the side by k − 1; the side − 1 pixels to lose are shared by largest remainder.
    Raises UserError where there are fewer pixels to lose than layers.
    """
    if side <= len(kernels):
        raise UserError(f"An image side of {side} pixels is too small for {len(kernels)} convolutions without padding; "
                        f"it takes {len(kernels) + 1} pixels or a fully connected network.")
    falls = [k - 1 for k in kernels]
    exact = [fall * (side - 1) / sum(falls) for fall in falls]
    whole = [int(share) for share in exact]
    by_remainder = sorted(range(len(kernels)), key=lambda i: whole[i] - exact[i])
    for i in by_remainder[: side - 1 - sum(whole)]:
        whole[i] += 1
    return [fall + 1 for fall in whole]


def _chain(container: type[nn.Sequential], layers: list[nn.Module]) -> nn.Module:
    *hidden, last = layers
    modules, taps = OrderedDict(), {}
    for number, layer in enumerate(hidden, start=1):
        modules[f"layer{number}"], modules[f"relu{number}"] = layer, nn.ReLU()
        taps |= {f"group{number}": f"relu{number}", f"group{number}.pre": f"layer{number}"}
    modules["dropout"], modules["output"] = nn.Dropout(0.0), last
    network = container(modules)
    network.taps = {**taps, "embedding": f"relu{len(hidden)}", "logits": container.logits}
    return network
