"""Images as the trainer sees them: batches on the device, whether the whole set lies there or streams from the disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kdcore.data.decoded import Rows

RESIDENT_BYTES = 2**31
"""A set that takes more than this as uint8 streams from the disk."""
FLOAT_BYTES = 2**28
"""A set that takes no more than this as float32 is kept as float32; a larger one as uint8, scaled batch by batch."""
CHUNK_BYTES = 2**25
"""Most that one chunk of a walk through a set takes as float32."""
READERS = 3
AHEAD = 4


class ImageSet(ABC):
    """Images and labels: `images[index]` is a batch on the device, `labels` (N,) int64 are all of them, there.

    A label of -1 is an image without one. `index_device` is where indices are best made.
    """

    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def __getitem__(self, index: Tensor | slice) -> Images:
        """The images at `index`, float32 in [0, 1], on the device."""

    @property
    def index_device(self) -> torch.device:
        """The device on which an index costs no wait."""
        return self.labels.device

    def prefetch(self, index: Tensor | slice) -> None:  # noqa: B027
        """Say which batch is asked for soon; a set that lies on the device has nothing to do."""

    def chunks(self, most: int) -> Iterator[Images]:
        """All images in order, `most` at a time, fewer where they are large."""
        size = max(1, min(most, CHUNK_BYTES // max(1, 4 * self.values_per_image)))
        slices = [slice(start, start + size) for start in range(0, len(self), size)]
        for part, following in zip(slices, [*slices[1:], None], strict=True):
            if following:
                self.prefetch(following)
            yield self[part]

    @property
    @abstractmethod
    def values_per_image(self) -> int:
        """C·H·W."""


@dataclass(frozen=True)
class Images(ImageSet):
    """Images and labels on a device: `pixels` (N, C, H, W) float32 in [0, 1], `labels` (N,) int64."""

    pixels: Tensor
    labels: Tensor

    def __getitem__(self, index: Tensor | slice) -> Images:
        return Images(self.pixels[index], self.labels[index])

    @property
    def values_per_image(self) -> int:
        """C·H·W."""
        return self.pixels[:1].numel()


@dataclass(frozen=True)
class Packed(ImageSet):
    """Images kept on the device as `stored` (N, C, H, W) uint8, a quarter of the room, and scaled batch by batch."""

    stored: Tensor
    labels: Tensor
    brightest: float

    def __getitem__(self, index: Tensor | slice) -> Images:
        return Images(_scaled(self.stored[index], self.brightest), self.labels[index])

    @property
    def pixels(self) -> Tensor:
        """(N, C, H, W) float32: all of them at once."""
        return _scaled(self.stored, self.brightest)

    @property
    def values_per_image(self) -> int:
        """C·H·W."""
        return self.stored[:1].numel()


class Streamed(ImageSet):
    """Images that stay on the disk: a few threads read the batches that were announced while the device computes.

    At most `AHEAD` batches wait; one that was not announced is read when it is asked for, so that the batches are the
    same whatever was announced.
    """

    def __init__(self, stored: Rows, rows: np.ndarray, labels: Tensor, brightest: float):
        self.labels = labels
        self._stored, self._rows, self._brightest = stored, rows, brightest
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="images")
        self._coming: OrderedDict[bytes, Future] = OrderedDict()

    def __getitem__(self, index: Tensor | slice) -> Images:
        positions = self._positions(index)
        coming = self._coming.pop(positions.tobytes(), None)
        pixels = coming.result() if coming else self._read(positions)
        on_device = pixels.to(self.labels.device, non_blocking=True)
        return Images(_scaled(on_device, self._brightest), self.labels[index])

    @property
    def index_device(self) -> torch.device:
        """The CPU: indices are read there."""
        return torch.device("cpu")

    @property
    def values_per_image(self) -> int:
        """C·H·W."""
        return int(np.prod(self._stored.shape[1:]))

    def prefetch(self, index: Tensor | slice) -> None:
        """Start to read a batch; what was announced longest ago is forgotten where too many wait."""
        positions = self._positions(index)
        key = positions.tobytes()
        if key in self._coming:
            return
        while len(self._coming) >= AHEAD:
            self._coming.popitem(last=False)[1].cancel()
        self._coming[key] = self._pool.submit(self._read, positions)

    def _positions(self, index: Tensor | slice) -> np.ndarray:
        return np.arange(len(self))[index] if isinstance(index, slice) else index.cpu().numpy()

    def _read(self, positions: np.ndarray) -> Tensor:
        pixels = torch.from_numpy(self._stored[self._rows[positions]])
        return pixels.pin_memory() if self.labels.device.type == "cuda" else pixels


def on_device(stored: Rows, rows: np.ndarray, labels: Tensor, brightest: float, device: torch.device) -> ImageSet:
    """The images at `rows` of `stored`, with these labels (N,), in the form that suits their size."""
    values, labels = len(rows) * int(np.prod(stored.shape[1:])), labels.to(device)
    if values > RESIDENT_BYTES:
        return Streamed(stored, rows, labels, brightest)
    resident = torch.from_numpy(stored[rows]).to(device)
    return Images(_scaled(resident, brightest), labels) if 4 * values <= FLOAT_BYTES else Packed(
        resident, labels, brightest)


def _scaled(pixels: Tensor, brightest: float) -> Tensor:
    return pixels.float().div_(brightest)
