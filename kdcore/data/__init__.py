"""Image sets: where they come from, balanced subsets of them, and their batches on the device.

A set of this size lives on the device as one tensor; nothing streams, so there are no loader workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from torch import Tensor

from kdcore.data.sources import SOURCES, Arrays, load
from kdcore.errors import UserError
from kdcore.places import data_folder
from kdcore.randomness import stream


class DataConfig(BaseModel):
    """Which images a run trains on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="The image set.")
    images: int | None = Field(None, ge=1, description="Training images in total, in equal parts of each class. "
                               "Empty: all of them.")
    per_class: int | None = Field(None, ge=1, description="Training images of each class, instead of a total.")
    seed: int | None = Field(None, ge=0, description="Which images are drawn. Empty: the run's own seed decides, so "
                             "that each seed sees images of its own.")

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in SOURCES:
            raise ValueError(f"There is no image set {name!r}; choose one of {', '.join(SOURCES)}.")
        return name

    @model_validator(mode="after")
    def _one_size(self) -> DataConfig:
        if self.images is not None and self.per_class is not None:
            raise ValueError("Give either images or per_class, not both.")
        source = SOURCES[self.name]
        size = self.images or (self.per_class or 0) * len(source.classes)
        if size > source.train:
            raise ValueError(f"{source.title} has {source.train} training images; {size} were asked for.")
        return self


@dataclass(frozen=True)
class Images:
    """Images and labels on a device: `pixels` (N, C, H, W) float32 in [0, 1], `labels` (N,) int64."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor | slice) -> Images:
        return Images(self.pixels[index], self.labels[index])


def arrays(name: str) -> Arrays:
    """The set as stored: uint8 pixels and labels of both parts. Raises UserError where it is not on this machine."""
    return _arrays(name, data_folder())


@lru_cache(maxsize=2)
def _arrays(name: str, folder: Path) -> Arrays:
    return load(name)


def images(name: str, part: str, device: torch.device | str = "cpu", index: Tensor | None = None) -> Images:
    """Return the images of one part, "train" or "test", or those at `index`, on the device."""
    pixels, labels = arrays(name)[part]
    if index is not None:
        pixels, labels = pixels[index.numpy()], labels[index.numpy()]
    scaled = torch.from_numpy(pixels).to(device).float().div_(SOURCES[name].brightest)
    return Images(scaled, torch.from_numpy(labels).to(device))


def subset(config: DataConfig, run_seed: int, inside: Tensor | None = None) -> Tensor:
    """Indices of the training images of a run: a balanced random subset, sorted by draw.

    The first k images of each class in one seeded order, so that with one seed smaller subsets lie inside larger
    ones. `inside` limits the draw to these indices (the images that a teacher saw).
    Raises UserError where a class has too few.
    """
    labels = torch.from_numpy(arrays(config.name)["train"][1])
    allowed = torch.arange(len(labels)) if inside is None else inside.sort().values
    if config.images is None and config.per_class is None:
        return allowed
    seed = run_seed if config.seed is None else config.seed
    order = allowed[torch.randperm(len(allowed), generator=torch.Generator().manual_seed(stream(seed, 1)))]
    classes = len(SOURCES[config.name].classes)
    counts = [config.per_class] * classes if config.per_class else _shared(config.images, classes)
    drawn = []
    for label, count in enumerate(counts):
        of_class = order[labels[order] == label]
        if len(of_class) < count:
            raise UserError(f"{SOURCES[config.name].title} has {len(of_class)} images of class "
                            f"{SOURCES[config.name].classes[label]} to draw from; {count} were asked for.")
        drawn.append(of_class[:count])
    return torch.cat(drawn)


def _shared(total: int, classes: int) -> list[int]:
    return [total // classes + (label < total % classes) for label in range(classes)]
