"""Image sets: where they come from, balanced subsets of them, and their batches on the device."""

from __future__ import annotations

import torch
from torch import Tensor

from kdcore.data.augment import augment
from kdcore.data.batches import Images, ImageSet, Packed, Streamed
from kdcore.data.config import DataConfig
from kdcore.data.read import arrays, images, masks
from kdcore.data.selection import Learner, Selection, selection, subset, training_images
from kdcore.data.sources import SOURCES, Source, source
from kdcore.errors import UserError


def of_run(run: Learner, part: str, device: torch.device | str = "cpu", index: Tensor | None = None) -> ImageSet:
    """Return what a run sees of its set: "train" with the labels it trains on, "validation" or "test".

    `index` picks among them by position. Raises UserError for a validation part that the run does not have.
    """
    if part == "test":
        return images(run.data, part, device, index)
    chosen = selection(run)
    rows, labels = (chosen.train, chosen.labels) if part == "train" else (chosen.validation, None)
    if part == "validation" and not len(rows):
        raise UserError("This run holds out no images for validation; choose the test images.")
    if index is not None:
        rows, labels = rows[index], None if labels is None else labels[index]
    return images(run.data, "train", device, rows, labels)


__all__ = ["SOURCES", "DataConfig", "ImageSet", "Images", "Learner", "Packed", "Selection", "Source", "Streamed",
           "arrays", "augment", "images", "masks", "of_run", "selection", "source", "subset", "training_images"]
