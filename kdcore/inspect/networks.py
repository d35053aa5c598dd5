"""Networks of a store, and the images that they are asked about."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from kdcore import data, snapshots
from kdcore.config import RunConfig, read
from kdcore.data.sources import Source
from kdcore.errors import UserError
from kdcore.store import Store

Named = tuple[int, int | None]  # run, step: None is the last snapshot
Snapshot = tuple[int, int | None, int]  # run, step, and when it was written: None and 0 where there is none
KEPT_BYTES = 2**29  # of networks in memory


@torch.no_grad()
def probabilities(network: nn.Module, pixels: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, classes): the network's softmax."""
    return network(pixels).softmax(1)


def loaded(store: Store, run: int, step: int | None) -> nn.Module:
    """A run's network at a step, in evaluation mode. Raises UserError where it is gone."""
    return kept(store, snapshot_of(store, run, step))


def last_step(store: Store, run: int, step: int | None) -> int | None:
    """The step itself, or else that of the last snapshot."""
    steps = store.snapshot_steps(run)
    return steps[-1] if step is None and steps else step


def snapshot_of(store: Store, run: int, step: int | None) -> Snapshot:
    """What tells a run's network at a step from all others, also where the file was written anew or is gone."""
    step = last_step(store, run, step)
    path = store.snapshot(run, step)
    return run, step, path.stat().st_mtime_ns if path.exists() else 0


class _Kept:
    """Networks in memory, those that were asked for last, of so many bytes in all; the last one in any case."""

    def __init__(self, most: int):
        self.most, self.networks = most, OrderedDict()

    def __call__(self, store: Store, snapshot: Snapshot) -> nn.Module:
        if (store, snapshot) not in self.networks:
            self.networks[store, snapshot] = snapshots.network(store, *snapshot[:2]).requires_grad_(False)
            while len(self.networks) > 1 and sum(map(_bytes, self.networks.values())) > self.most:
                self.networks.popitem(last=False)
        self.networks.move_to_end((store, snapshot))
        return self.networks[store, snapshot]


def _bytes(network: nn.Module) -> int:
    return sum(values.nbytes for values in network.state_dict().values())


kept = _Kept(KEPT_BYTES)


def drawn(count: int, most: int) -> Tensor:
    """Positions of a fixed random choice of so many at most, ascending: image files come class by class."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:most].sort().values


def entries(networks: list[Named], fill: Callable[[Named, dict], None], **empty: Any) -> list[dict]:
    """An entry for each network: what is `empty`, as far as `fill` puts something in its place.

    And its "reason", why it could not, in a sentence.
    """
    found = [{**empty, "reason": ""} for _ in networks]
    for named, entry in zip(networks, found):
        try:
            fill(named, entry)
        except UserError as error:
            entry["reason"] = str(error)
    return found


def images_of(store: Store, run: int, indices: list[int], part: str) -> tuple[data.Images, Source]:
    """Images of the set that a run belongs to, by their positions in a part of it. Raises UserError."""
    config = config_of(store, run)
    source = data.source(config.data)
    rows = _rows(config, source, part)
    if outside := [index for index in indices if not 0 <= index < len(rows)]:
        raise UserError(f"{source.title} has {part} images 0 to {len(rows) - 1}; there is no image {outside[0]}.")
    stored = "test" if part == "test" else "train"
    return data.images(config.data, stored, index=rows[indices])[:], source


def _rows(config: RunConfig, source: Source, part: str) -> Tensor:
    """Positions of a part's images in the set: all to train or to test on, or those that the run holds out."""
    if part == "validation":
        held_out = data.selection(config).validation
        if not len(held_out):
            raise UserError("This run holds out no images for validation; choose the test images.")
        return held_out
    return torch.arange(source.test if part == "test" else source.train)


def class_names(store: Store, run: int) -> tuple[str, ...]:
    """What a network's outputs are called."""
    return config_of(store, run).side().classes


def config_of(store: Store, run: int) -> RunConfig:
    """A run's configuration. Raises UserError where there is no such run."""
    return _read(store.run(run)["config"])


_read = lru_cache(maxsize=1000)(read)  # each question asks for it many times
