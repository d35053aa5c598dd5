"""Reading a configuration's set: as arrays, as images on a device, and with the truth about where the object is."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kdcore.data import shapes
from kdcore.data.batches import ImageSet, on_device
from kdcore.data.config import DataConfig
from kdcore.data.sources import Arrays, load, read, source
from kdcore.errors import UserError
from kdcore.places import data_folder


def arrays(config: DataConfig) -> Arrays:
    """The set as stored: uint8 pixels and labels of both parts. Raises UserError where it is not on this machine."""
    found = source(config)
    return read(config.name, found) if found.of else _arrays(config.name, data_folder())


@lru_cache(maxsize=2)
def _arrays(name: str, folder: Path) -> Arrays:
    return load(name)


def images(config: DataConfig, part: str, device: torch.device | str = "cpu", index: Tensor | None = None,
           labels: Tensor | None = None) -> ImageSet:
    """Return the images of one part, "train" or "test", or those at `index`, on the device.

    `labels` (N,) replaces the true ones. A set too large for the device streams from the disk.
    """
    pixels, true = arrays(config)[part]
    rows = np.arange(len(true)) if index is None else index.numpy()
    given = torch.from_numpy(true[rows]) if labels is None else labels
    return on_device(pixels, rows, given, source(config).brightest, torch.device(device))


def masks(config: DataConfig, part: str, index: Tensor, of: str = "object") -> Tensor:
    """Where the truth lies in the images at `index` of a part: (N, H, W) bool, of the "object" or the "watermark".

    Raises UserError for a set of which it is not known.
    """
    if not source(config).masked:
        raise UserError(f"It is not known where the object is in {source(config).title}; only the shapes have masks.")
    drawn = shapes.drawn(part, config.watermark)
    return torch.from_numpy({"object": drawn.masks, "watermark": drawn.marks}[of][index.numpy()])
