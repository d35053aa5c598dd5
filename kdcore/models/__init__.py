"""The networks, by name, each with its table of taps: the names under which terms read intermediate values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

from kdcore.models import ehmann_samek, initial


@dataclass(frozen=True)
class Architecture:
    """A network that can be chosen: `build(image_shape, classes, width)` makes it without its initial weights."""

    title: str
    sentence: str
    paper: str
    build: Callable[[tuple[int, int, int], int, float], nn.Module]


ARCHITECTURES: dict[str, Architecture] = {
    "fc_student": Architecture(
        "FC student", "Two fully connected layers; at width 1, 1000 hidden neurons.",
        "Ehmann & Samek 2018",
        lambda shape, classes, width: ehmann_samek.fully_connected(shape, classes, (1000,), width)),
    "fc_teacher": Architecture(
        "FC teacher", "Four fully connected layers; at width 1, 1000, 500 and 200 hidden neurons.",
        "Ehmann & Samek 2018",
        lambda shape, classes, width: ehmann_samek.fully_connected(shape, classes, (1000, 500, 200), width)),
    "conv_student": Architecture(
        "Convolutional student", "Two convolutions, no pooling; at width 1, 10 maps between them.",
        "Ehmann & Samek 2018",
        lambda shape, classes, width: ehmann_samek.convolutional(shape, classes, (15, 14), (10,), width)),
    "conv_teacher": Architecture(
        "Convolutional teacher", "Four convolutions, no pooling; at width 1, 10, 25 and 100 maps between them.",
        "Ehmann & Samek 2018",
        lambda shape, classes, width: ehmann_samek.convolutional(shape, classes, (10, 9, 8, 4), (10, 25, 100), width)),
}


class NetworkConfig(BaseModel):
    """Which network, and how wide."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="The architecture.")
    width: float = Field(1.0, gt=0, le=8, description="Factor on the number of hidden neurons or maps; 1 is the "
                         "paper's network, made for images of 28×28.")
    initial: Literal["truncated_normal", "he"] = Field(
        "truncated_normal", title="Initial weights", description="How they are drawn: the paper's small truncated "
        "normal, or He's, which suits smaller images.")

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ARCHITECTURES:
            raise ValueError(f"There is no network {name!r}; choose one of {', '.join(ARCHITECTURES)}.")
        return name


def build(config: NetworkConfig, image_shape: tuple[int, int, int], classes: int, seed: int = 0) -> nn.Module:
    """Return the network with its initial weights drawn from `seed`, for images of `image_shape` (channels, H, W)."""
    network = ARCHITECTURES[config.name].build(image_shape, classes, config.width)
    initial.draw(network, config.initial, seed)
    return network


@lru_cache(maxsize=256)
def shapes(config: NetworkConfig, image_shape: tuple[int, int, int], classes: int) -> dict[str, tuple[int, ...]]:
    """The shape of every tap, without the batch, found without computing anything."""
    with torch.device("meta"):
        network = ARCHITECTURES[config.name].build(image_shape, classes, config.width).eval()
        values = tapped(network, tuple(network.taps))(torch.empty(1, *image_shape))
    return {name: tuple(value.shape[1:]) for name, value in values.items()}


@lru_cache(maxsize=8)
def tapped(network: nn.Module, names: tuple[str, ...]) -> Callable[[Tensor], dict[str, Tensor]]:
    """Return a module that shares `network`'s weights and answers with the values at the named taps."""
    nodes: dict[str, list[str]] = {}
    for name in names:
        nodes.setdefault(network.taps[name], []).append(name)
    return _Renamed(create_feature_extractor(network, {node: node for node in nodes}), nodes)


class _Renamed(nn.Module):
    """Gives each value of a feature extractor all its tap names; two taps may be one value."""

    def __init__(self, extractor: nn.Module, names: dict[str, list[str]]):
        super().__init__()
        self.extractor, self.names = extractor, names

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        values = self.extractor(images)
        return {name: values[node] for node, names in self.names.items() for name in names}
