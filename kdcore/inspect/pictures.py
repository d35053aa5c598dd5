"""What the images of a set look like, how many there are of each class, and which of them a run learns from.

A set is given by its settings as data (`content`), or by a `run`, whose part of the set is then told apart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kdcore import data
from kdcore.config import parse
from kdcore.data import DataConfig
from kdcore.errors import UserError
from kdcore.inspect.networks import config_of
from kdcore.randomness import Draws
from kdcore.store import Store

SIDE = 64  # pixels of an example's longest side, where it is larger
LARGE_SIDE = 192  # the same of one image


class _Group(NamedTuple):
    """Some images of a stored part, by position, with the labels that they are trained on (-1: none)."""

    part: str
    rows: Tensor
    given: Tensor


def image_groups(store: Store, content: dict | None = None, run: int | None = None) -> dict[str, np.ndarray]:
    """How many images there are of each true class: {group: (classes,) int64}.

    Of a set the groups are "training" and "test"; of what a run sees "labelled", "wrongly labelled", "unlabelled" and
    "held out". Raises UserError where there is no such set or run.
    """
    config, groups = _of(store, content, run)
    true, classes = data.arrays(config), len(data.source(config).classes)
    return {name: np.bincount(true[group.part][1][group.rows.numpy()], minlength=classes)
            for name, group in groups.items()}


def examples(store: Store, groups: list[str], classes: list[int], each: int = 10, seed: int = 0,
             content: dict | None = None, run: int | None = None) -> list[list[dict]]:
    """Images drawn at random from the named groups of `image_groups`: for each of the classes at most `each`.

    An image is {"part", "index" (its position there), "group", "given" (the label that it is trained on, None without
    one), "pixels" (C, H, W) uint8, no more than 64 pixels a side}. Raises UserError as `image_groups`.
    """
    config, found = _of(store, content, run)
    if wrong := [name for name in groups if name not in found]:
        raise UserError(f"There is no group {wrong[0]} of these images; there are {', '.join(found)}.")
    true, names = data.arrays(config), data.source(config).classes
    of_group = np.concatenate([np.full(len(found[name].rows), at) for at, name in enumerate(groups)])
    position, given = (torch.cat([getattr(found[name], what) for name in groups]).numpy() for what in ("rows", "given"))
    label = np.concatenate([true[found[name].part][1][found[name].rows.numpy()] for name in groups])
    rows = []
    for known in classes:
        drawn = np.random.default_rng((seed, known)).permutation(np.flatnonzero(label == known))[:each]
        rows.append([{"part": found[groups[of_group[at]]].part, "index": int(position[at]),
                      "group": groups[of_group[at]], "given": names[given[at]] if given[at] >= 0 else None}
                     for at in np.sort(drawn)])
    for part in {one["part"] for row in rows for one in row}:
        here = [one for row in rows for one in row if one["part"] == part]
        pixels = data.images(config, part, index=torch.tensor([one["index"] for one in here]))[:].pixels
        for one, thumbnail in zip(here, _thumbnails(pixels, SIDE)):
            one["pixels"] = thumbnail
    return rows


def varied(store: Store, part: str, index: int, how: str, draws: int = 8, seed: int = 0, content: dict | None = None,
           run: int | None = None) -> dict:
    """One image of a stored part, where its object is, and as a network sees it while it trains.

    {"label", "image" (C, H, W) uint8, no more than 192 pixels a side, "masks" {"object" or "watermark": (1, H, W), 255
    where it is} where they are known, "draws" (draws, C, H, W): by the very function that varies a run's batches, `how`
    as in a run's `data.augment`}. Raises UserError for a position that there is not.
    """
    config, _ = _of(store, content, run)
    source, count = data.source(config), len(data.arrays(config)[part][1])
    if not 0 <= index < count:
        raise UserError(f"{source.title} has {part} images 0 to {count - 1}; there is no image {index}.")
    at = torch.tensor([index])
    one = data.images(config, part, index=at)[:]
    known = [*["object"] * source.masked, *["watermark"] * config.watermark]
    seen = data.augment(one.pixels.expand(draws, -1, -1, -1), Draws(seed, 0, torch.device("cpu")), how)
    return {"label": source.classes[int(one.labels[0])], "image": _thumbnails(one.pixels, LARGE_SIDE)[0],
            "draws": _thumbnails(seen, LARGE_SIDE),
            "masks": {what: _thumbnails(data.masks(config, part, at, what).float(), LARGE_SIDE) for what in known}}


def _of(store: Store, content: dict | None, run: int | None) -> tuple[DataConfig, dict[str, _Group]]:
    """The set, and its images by group."""
    if run is None:
        config = parse(DataConfig, content)
        labels = {part: torch.from_numpy(labels) for part, (_, labels) in data.arrays(config).items()}
        return config, {name: _Group(part, torch.arange(len(labels[part])), labels[part])
                        for name, part in (("training", "train"), ("test", "test"))}
    learner = config_of(store, run)
    chosen, true = data.selection(learner), torch.from_numpy(data.arrays(learner.data)["train"][1])
    right = chosen.labels == true[chosen.train]
    among = {"labelled": right, "wrongly labelled": ~right & (chosen.labels >= 0), "unlabelled": chosen.labels < 0}
    groups = {name: _Group("train", chosen.train[where], chosen.labels[where]) for name, where in among.items()}
    return learner.data, {**groups, "held out": _Group("train", chosen.validation, true[chosen.validation])}


def _thumbnails(pixels: Tensor, side: int) -> np.ndarray:
    """(..., H, W) in [0, 1] -> uint8, larger images averaged to `side` pixels a side."""
    if max(pixels.shape[-2:]) > side:
        pixels = functional.adaptive_avg_pool2d(pixels, tuple(min(length, side) for length in pixels.shape[-2:]))
    return (255 * pixels).round().byte().numpy()
