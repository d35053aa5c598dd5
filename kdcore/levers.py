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
    "batch_norm": Lever(
        "Batch norm, differentiated twice", "Its second derivative by six operations on the maps instead of 41.",
        {"cpu": True, "cuda": None, "mps": None}),
    "by_rows": Lever(
        "Large kernels by rows", "Where derivatives with respect to the images are asked for, an image's rows are the "
        "channels of a convolution whose kernel is at least a third as high.",
        {"cpu": True, "cuda": None, "mps": None}),
    "disk": Lever(
        "Kept on the disk", "What the teacher hands over is kept in a file, where memory is too small for it.",
        {"cpu": True, "cuda": None, "mps": None}),
    "compiled": Lever(
        "Compiled", "Networks are compiled by torch.compile, where no derivative with respect to the images is asked "
        "for. On a CPU half a minute goes by before the first step, and each is a tenth shorter: that is for long runs "
        "of large networks alone, and takes a C++ compiler.",
        {"cpu": False, "cuda": None, "mps": None}),
    "bfloat16": Lever(
        "bfloat16", "Networks compute in numbers of 16 bits. A run asks for it by its precision; it was slower on a "
        "processor without matrix units (AMX), and was never run on one with them.",
        {"cpu": False, "cuda": None, "mps": None}),
}
_switched: dict[str, bool] = {}


def on(name: str, device: torch.device) -> bool:
    """Whether a lever is on for this kind of device."""
    return _switched.get(name, LEVERS[name].pays.get(device.type) is True)


def states(device: torch.device) -> dict[str, str]:
    """{lever: whether it is on for this device, in words, and why not}."""
    told = {True: "off", False: f"off: it does not pay on {device.type}", None: f"off: never run on {device.type}"}
    return {name: "on" if on(name, device) else told[lever.pays.get(device.type)] for name, lever in LEVERS.items()}


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
    """The order in which the maps of one of the project's networks lie in memory."""
    lever = convolves(network) and on("channels_last", device)
    return torch.channels_last if lever else torch.contiguous_format


def dtype(precision: str, differentiates_input: bool) -> torch.dtype:
    """The numbers in which a network computes, of a run's precision: derivatives with respect to images in float32."""
    return torch.float32 if differentiates_input else getattr(torch, precision)


def convolves(network: nn.Module) -> bool:
    """Whether a network has convolutions."""
    return any(isinstance(module, nn.Conv2d) for module in network.modules())
