"""Augmentation of a batch, on its device and without waiting for it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from kdcore.randomness import Draws

Augmentation = Literal["none", "crop", "crop_flip", "flip"]
PAD = 4


def augment(pixels: Tensor, draws: Draws, how: Augmentation) -> Tensor:
    """Each image (N, C, H, W) cropped at random after padding by 4 black pixels ("crop", "crop_flip"), and mirrored or
    not ("flip", "crop_flip").

    The draws belong to the step, so that a continued run sees the same crops.
    """
    if how == "none":
        return pixels
    count, channels, height, width = pixels.shape
    device = pixels.device
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    if how == "crop":
        columns = columns.expand(count, width)
    else:
        mirrored = draws.integers("flip", 0, 2, count)[:, None].bool()
        columns = torch.where(mirrored, width - 1 - columns, columns)  # (N, W)
    rows = rows.expand(count, height)
    if how != "flip":
        pixels = functional.pad(pixels, (PAD,) * 4)
        rows = rows + draws.integers("crop.rows", 0, 2 * PAD + 1, count)[:, None]
        columns = columns + draws.integers("crop.columns", 0, 2 * PAD + 1, count)[:, None]
    images, maps = torch.arange(count, device=device), torch.arange(channels, device=device)
    return pixels[images[:, None, None, None], maps[:, None, None], rows[:, None, :, None], columns[:, None, None, :]]
