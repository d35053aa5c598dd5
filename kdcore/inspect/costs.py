"""What a run's network costs: labels to learn from, parameters, operations and time for an image."""

from __future__ import annotations

import statistics

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from kdcore import data, device
from kdcore.config import RunConfig
from kdcore.errors import UserError
from kdcore.inspect.networks import config_of, loaded
from kdcore.store import Store

BATCHES = (1, 64)
SECONDS, TIMES = 0.5, 25


def costs(store: Store, runs: list[int]) -> list[dict]:
    """What each run's network costs: {"labels", "parameters", "operations", "milliseconds", "reason"}.

    "labels" are the training images that have one; "operations" the multiplications, each with its addition, in
    convolutions and linear layers for one image; "milliseconds" {batch size: of one image}, the median of some batches,
    on one thread of this machine's processor. Networks of one architecture are timed once. An ensemble costs what its
    members do together. What cannot be said is None, and why is the "reason".
    """
    known: dict[str, dict] = {}
    return [_entry(store, run, known) for run in runs]


def _entry(store: Store, run: int, known: dict[str, dict]) -> dict:
    config = config_of(store, run)
    members = store.parts(run) if config.members() else [run]
    entry = {"labels": None, "parameters": None, "operations": None, "milliseconds": None, "reason": ""}
    try:
        side = config.side()
        kind = str((side.network, side.images, side.classes))
        if kind not in known:
            known[kind] = _measured(loaded(store, members[0], None), side.images)
        one = known[kind]
        entry |= {"parameters": len(members) * one["parameters"], "operations": len(members) * one["operations"],
                  "milliseconds": {batch: len(members) * taken for batch, taken in one["milliseconds"].items()}}
        entry["labels"] = _labels(config)
    except UserError as error:
        entry["reason"] = str(error)
    return entry


def _labels(config: RunConfig) -> int:
    return int((data.selection(config).labels >= 0).sum())


@torch.no_grad()
def _measured(network: nn.Module, shape: tuple[int, ...]) -> dict:
    with device.threads(1):
        milliseconds = {batch: 1000 * _seconds(network, torch.zeros(batch, *shape)) / batch for batch in BATCHES}
    return {"parameters": sum(parameter.numel() for parameter in network.parameters()),
            "operations": operations(network, shape), "milliseconds": milliseconds}


@torch.no_grad()
def operations(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Multiplications, each with its addition, of matrix products and convolutions for one image of this shape."""
    from torch.utils.flop_counter import FlopCounterMode  # takes two seconds when it first counts

    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # of attention in one piece nothing is counted
    try:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, *shape))
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return counter.get_total_flops() // 2


def _seconds(network: nn.Module, batch: torch.Tensor) -> float:
    """Median time of a batch, after one that warms up."""
    network(batch)
    taken: list[float] = []
    while not taken or len(taken) < TIMES and sum(taken) < SECONDS:
        taken.append(device.seconds(lambda: network(batch), batch.device))
    return statistics.median(taken)
