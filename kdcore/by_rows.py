"""Convolutions of images by large kernels, whose derivative with respect to the image is slow on a processor.

An image has one or three channels, so that what comes back to it keeps most lanes of a vector unit idle: less than a
tenth of the matrix rate where a kernel is half as large as the image. With its rows as channels (I·H of them in,
O·(H − h + 1) out, a Toeplitz matrix of kernels between them) it is a one-dimensional convolution of many channels: H/h
times the operations, in less than half of the time.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

FEW_CHANNELS = 3
LARGEST_FACTOR = 3  # of operations


class ByRows(TorchFunctionMode):
    """Inside the block, large kernels on few channels are computed so; all other convolutions as ever."""

    _names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    _plain = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}

    def __torch_function__(self, function, types, args=(), kwargs=None):
        given = kwargs or {}
        if function is functional.conv2d:
            named = {**dict(zip(self._names, args)), **given}
            plain = all(named.get(name, value) in (value, (value, value)) for name, value in self._plain.items())
            if plain and _pays(named["input"], named["weight"]):
                return by_rows(named["input"], named["weight"], named.get("bias"))
        return function(*args, **given)


def by_rows(images: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The convolution, stride 1 and no padding: (N, I, H, W), (O, I, h, w), (O,) -> (N, O, H − h + 1, W − w + 1)."""
    height, kernel = images.shape[2], weight.shape[2]
    rows = height - kernel + 1
    # Toeplitz: kernels one below the other, each in a line one longer than an image's column, are shifted by one each
    # when they are cut at its length.
    lines = functional.pad(weight.transpose(2, 3).unsqueeze(3).expand(-1, -1, -1, rows, -1), (0, rows))
    shifted = lines.flatten(3)[..., : rows * height].unflatten(3, (rows, height))  # (O, I, w, rows, H)
    matrix = shifted.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)  # (O·rows, I·H, w)
    biases = None if bias is None else bias.repeat_interleave(rows)
    return functional.conv1d(images.flatten(1, 2), matrix, biases).unflatten(1, (-1, rows))


def _pays(images: Tensor, weight: Tensor) -> bool:
    fits = images.dim() == 4 and weight.shape[2] < images.shape[2]
    return fits and images.shape[1] <= FEW_CHANNELS and images.shape[2] <= LARGEST_FACTOR * weight.shape[2]
