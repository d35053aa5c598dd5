"""Resizing and normalisation as a network's first layer: every derivative is with respect to the same shared image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

AS_THEY_ARE = ((0.0,), (1.0,))
# One pair of numbers for every image set, close to the mean and deviation of natural images. With it, noise that a
# paper gives in normalised units is 0.25 of it in pixels, for every network.
FIXED = ((0.5,), (0.25,))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Preparation(nn.Module):
    """(N, C, H, W) in [0, 1] -> (N, channels, side, side), normalised.

    The numbers are buffers that the state holds: who goes on from a network's weights sees images as it did.
    """

    def __init__(self, channels: int, repeat: bool, side: int | None, numbers: tuple[tuple, tuple]):
        super().__init__()
        self.channels, self.repeat, self.side = channels, repeat, side
        for name, values in zip(("mean", "deviation"), numbers):
            self.register_buffer(name, torch.tensor(values).expand(channels).clone().view(-1, 1, 1))

    def normalise(self, numbers: tuple[tuple, tuple]) -> None:
        """Change the numbers."""
        for buffer, values in zip((self.mean, self.deviation), numbers):
            buffer.copy_(buffer.new_tensor(values).expand(self.channels).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        if self.side is not None:
            # antialias: where images shrink, bilinear alone would skip pixels
            images = nn.functional.interpolate(images, (self.side, self.side), mode="bilinear", antialias=True)
        if self.repeat:
            images = images.expand(-1, self.channels, -1, -1)
        return (images - self.mean) / self.deviation


class Prepared(nn.Module):
    """A network behind its preparation."""

    def __init__(self, prepare: Preparation, body: nn.Module):
        super().__init__()
        self.prepare, self.body = prepare, body
        self.taps = {tap: f"body.{node}".rstrip(".") for tap, node in body.taps.items()}

    def forward(self, images: Tensor) -> Tensor:
        return self.body(self.prepare(images))
