"""Which network: its configuration, and building it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from torch import Tensor, nn

from kdcore.errors import UserError, meant
from kdcore.models import initial, start
from kdcore.models.architectures import ARCHITECTURES, Architecture
from kdcore.models.prepared import AS_THEY_ARE, FIXED, Preparation, Prepared
from kdcore.models.start import Start, State
from kdcore.models.taps import Tapped

ImageShape = tuple[int, int, int]


class NetworkConfig(BaseModel):
    """Which network, how wide, and where its weights come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="The architecture.")
    width: float = Field(1.0, gt=0, le=8, description="Factor on the number of hidden neurons or maps; 1 is the "
                         "paper's network.")
    initial: Literal["truncated_normal", "he"] | None = Field(
        None, title="Initial weights", description="How they are drawn: as the network's paper says, a small truncated "
        "normal, or He's, which suits small images and deep networks.")
    resize: int | None = Field(None, ge=1, le=1024, title="Resize to", description="Side in pixels to which the "
                               "network scales its images; none: as they are.")
    start: Start | None = Field(None, title="Starts from", description="Weights to go on from: published ones, a file "
                                "or a run; none: drawn fresh. A last layer with another number of outputs is drawn "
                                "fresh.")
    classes: int | None = Field(None, ge=1, le=100_000, title="Outputs", description="How many; none: one for each "
                                "class of the images.")

    @model_validator(mode="before")
    @classmethod
    def _as_the_paper_says(cls, content: Any) -> Any:
        """Keep the answer in the configuration, so that a later change of the default does not change the network."""
        name = content.get("name") if isinstance(content, dict) else None
        if isinstance(name, str) and content.get("initial") is None and name in ARCHITECTURES:
            return {**content, "initial": ARCHITECTURES[name].initial}
        return content

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ARCHITECTURES:
            raise ValueError(f"There is no network {name!r}{meant(name, ARCHITECTURES)}; choose one of "
                             f"{', '.join(ARCHITECTURES)}.")
        return name

    def has_published_weights(self) -> bool:
        """Whether weights of this network are published."""
        return ARCHITECTURES[self.name].published is not None and self.width == 1

    @model_validator(mode="after")
    def _has_published_weights(self) -> NetworkConfig:
        if isinstance(self.start, start.Published):
            title = ARCHITECTURES[self.name].title
            if not ARCHITECTURES[self.name].published:
                known = ", ".join(other.title for other in ARCHITECTURES.values() if other.published)
                raise ValueError(f"There are no published weights for {title}; there are for {known}.")
            if self.width != 1:
                raise ValueError(f"The published weights of {title} are for width 1, not {self.width:g}.")
        return self


def build(config: NetworkConfig, image_shape: ImageShape, classes: int, seed: int = 0) -> nn.Module:
    """Return the network for images of `image_shape` (channels, H, W), its fresh weights drawn from `seed`.

    Raises UserError where the images are too small for it, or the weights that it starts from are missing or another
    network's.
    """
    architecture = ARCHITECTURES[config.name]
    state = config.start.read(architecture.published) if config.start else None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # for modules of one's own, which draw while they are made
        network = bare(config, image_shape, classes, state)
    if config.initial:
        initial.draw(network, config.initial, seed)
    if state:
        start.fill(network, state, published=architecture.published is not None)
    return network


@lru_cache(maxsize=64)
def tried(config: NetworkConfig, fingerprint: str, image_shape: ImageShape, classes: int) -> bool:
    """Build the network, and return whether a method's dropout has a place in it. Raises UserError as `build` does.

    `fingerprint` tells the weights that it starts from from others under the same name.
    """
    return bool(places_for_dropout(build(config, image_shape, classes)))


def places_for_dropout(network: nn.Module) -> list[nn.Dropout]:
    """Where a method's dropout goes; a layer that drops of itself is the network's own affair."""
    return [module for module in network.modules() if isinstance(module, nn.Dropout) and module.p == 0]


def loaded(config: NetworkConfig, image_shape: ImageShape, classes: int, state: State) -> nn.Module:
    """Return the network that has `state`, its own state_dict, whatever it started from.

    Raises RuntimeError, as torch does, where it is another network's.
    """
    with torch.random.fork_rng(devices=[]):  # modules of one's own draw while they are made
        network = bare(config, image_shape, classes, state)
    network.load_state_dict(state)
    return network


def bare(config: NetworkConfig, image_shape: ImageShape, classes: int, state: State | None = None) -> nn.Module:
    """Return the network before its weights are drawn; `state` is what will be loaded into it.

    Weights for colour images get grey ones three times over.
    """
    architecture = ARCHITECTURES[config.name]
    channels, *size = image_shape
    side = config.resize or min(size)
    if side < architecture.smallest:
        raise UserError(f"{architecture.title} needs images of at least {architecture.smallest}×"
                        f"{architecture.smallest} pixels and these are "
                        f"{'×'.join(map(str, (side, side) if config.resize else size))}; set resize to "
                        f"{max(architecture.smallest, 32)} or more, or choose another network.")
    repeat = channels == 1 and state is not None and start.channels(state) == 3
    channels = 3 if repeat else channels
    seen = (channels, config.resize, config.resize) if config.resize else (channels, *size)
    network = architecture.build(seen, config.classes or classes, config.width)
    if architecture.normalises or config.resize or repeat:
        numbers = FIXED if architecture.normalises else AS_THEY_ARE
        return Prepared(Preparation(channels, repeat, config.resize, numbers), network)
    return network


def shapes(config: NetworkConfig, image_shape: ImageShape, classes: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tap's value for one image, without making weights. Raises UserError as `build` does."""
    return dict(_shapes(ARCHITECTURES[config.name], config, tuple(image_shape), config.classes or classes))


def learns_from_one(config: NetworkConfig, image_shape: ImageShape, classes: int) -> bool:
    """Whether a batch of one image can be trained on: batch normalisation cannot, where maps are 1×1."""
    try:
        _shapes(ARCHITECTURES[config.name], config, tuple(image_shape), config.classes or classes, training=True)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=256)
def _shapes(architecture: Architecture, config: NetworkConfig, image_shape: ImageShape,
            classes: int, training: bool = False) -> dict[str, tuple[int, ...]]:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        with torch.device("cpu" if architecture.own else "meta"):  # foreign code may need its weights to be made
            network = bare(config, image_shape, classes).train(training)
        # Weights are made room for and never filled. To compute on the meta device instead would import torch's
        # compiler: two seconds in every process that trains.
        network = network if architecture.own else network.to_empty(device="cpu")
        values = Tapped(network, tuple(network.taps))(torch.zeros(1, *image_shape))
    if others := [tap for tap, value in values.items() if not isinstance(value, Tensor)]:
        raise UserError(f"The tap {others[0]!r} of {architecture.title} must be one tensor; name a value that is.")
    found = {tap: tuple(value.shape[1:]) for tap, value in values.items()}
    if odd := [tap for tap, shape in found.items() if tap != "embedding" and len(shape) not in (1, 3)]:
        size = "×".join(map(str, found[odd[0]])) or "a number"
        raise UserError(f"The tap {odd[0]!r} of {architecture.title} is {size} for each image, and a tap is a vector "
                        "or a stack of maps (channels×height×width); name a value of that kind.")
    if found["logits"] != (classes,):
        raise UserError(f"{architecture.title} should have {classes} outputs an image; it has "
                        f"{'×'.join(map(str, found['logits'])) or 'one'}.")
    return found
