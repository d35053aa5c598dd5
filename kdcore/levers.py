"""What makes a step faster, each on where it was measured to pay, and off elsewhere: benchmarks/results/speed.md.

A lever that was never run on a kind of device is off there, whatever may be hoped of it. What is on by its own logic
everywhere, such as images that lie on the device, is in its own module.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Lever:
    """One way to save time; `pays` says for each kind of device whether it does, None where it was never run."""

    title: str
    sentence: str
    pays: dict[str, bool | None]


LEVERS = {
    "channels_last": Lever(
        "Channels last", "Convolutional networks keep the channels of a place beside each other in memory.",
        {"cpu": True, "cuda": None, "mps": None}),
    "bfloat16": Lever(
        "bfloat16", "Convolutional networks compute in numbers of 16 bits, where the processor has them; weights, "
        "losses, measurements and derivatives with respect to images stay in float32.",
        {"cpu": True, "cuda": None, "mps": None}),
    "batch_norm": Lever(
        "Batch norm, differentiated twice", "Its second derivative in four passes instead of twelve.",
        {"cpu": True, "cuda": None, "mps": None}),
    "disk": Lever(
        "Kept on the disk", "What the teacher hands over is kept in a file, where memory is too small for it.",
        {"cpu": True, "cuda": None, "mps": None}),
}
_switched: dict[str, bool] = {}


def on(name: str, device: torch.device) -> bool:
    """Whether a lever is on for this kind of device."""
    return _switched.get(name, LEVERS[name].pays.get(device.type) is True)


def states(device: torch.device) -> dict[str, str]:
    """{lever: whether it is on for this device, in words, and why not}."""
    told = {True: "on", False: f"off: it does not pay on {device.type}", None: f"off: never run on {device.type}"}
    found = {name: told[lever.pays.get(device.type)] for name, lever in LEVERS.items()}
    if LEVERS["bfloat16"].pays.get(device.type) and not has_bfloat16(device):
        found["bfloat16"] = "off: this processor has no such numbers"
    return found


@contextmanager
def switched(**levers: bool) -> Iterator[None]:
    """Inside the block, these levers are on or off whatever was measured, to measure them."""
    before = dict(_switched)
    _switched.update(levers)
    try:
        yield
    finally:
        _switched.clear()
        _switched.update(before)


def memory_format(network: nn.Module, device: torch.device) -> torch.memory_format:
    """The order in which the network's maps lie in memory."""
    lever = convolves(network) and on("channels_last", device)
    return torch.channels_last if lever else torch.contiguous_format


def dtype(precision: str, network: nn.Module, device: torch.device, differentiates_input: bool) -> torch.dtype:
    """The numbers in which a network computes: as `precision` says ("float32", "bfloat16"), or "auto"."""
    if precision != "auto":
        return getattr(torch, precision)
    lever = convolves(network) and not differentiates_input and has_bfloat16(device) and on("bfloat16", device)
    return torch.bfloat16 if lever else torch.float32


def convolves(network: nn.Module) -> bool:
    """Whether a network has convolutions."""
    return any(isinstance(module, nn.Conv2d) for module in network.modules())


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 itself; elsewhere it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return device.type == "cpu" and any(ask() for ask in known if ask)
