"""The device that runs compute on: CUDA, then MPS, then the CPU, or the one that is asked for."""

import os
import platform
import time
from collections.abc import Callable
from contextlib import contextmanager

import torch

from kdcore.errors import UserError


def pick(wanted: str = "auto") -> torch.device:
    """Return the device to compute on.

    `wanted` is "auto", "cpu", "cuda", "cuda:1", "mps"; "auto" follows `$KD_DEVICE` where that is set.
    Raises UserError where the device is not on this machine.
    """
    if wanted == "auto":
        wanted = os.environ.get("KD_DEVICE") or "auto"
    present = available()
    if wanted == "auto":
        return torch.device(present[0])
    if wanted not in present:
        raise UserError(f"There is no device {wanted!r} on this machine; there is {', '.join(present)}.")
    return torch.device(wanted)


def available() -> list[str]:
    """Devices of this machine, the preferred one first."""
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*(["cuda"] if cuda else []), *cuda, *mps, "cpu"]


def describe() -> dict:
    """The device that "auto" means.

    {"device", "title" in words, "slots" for runs at a time, "gpus", "cores", "available"}.
    """
    device = pick()
    gpus = torch.cuda.device_count() if device.type == "cuda" else 0
    apple = device.type == "mps"
    title = (torch.cuda.get_device_name(device) if gpus else "Apple GPU" if apple
             else f"{platform.machine()} processor, {cores()} cores")
    return {"device": device.type, "title": title, "slots": gpus or (1 if apple else cores()), "gpus": gpus,
            "cores": cores(), "available": available()}


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def finish(device: torch.device) -> None:
    """Wait until the device has done what it was given; a CPU always has."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """How long the device takes for the work."""
    began = time.perf_counter()
    work()
    finish(device)
    return time.perf_counter() - began


@contextmanager
def threads(count: int):
    """Compute with `count` CPU threads inside the block; sums are only repeatable at a fixed count."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def determinism(wanted: bool):
    """Compute the same bits each time inside the block, on CUDA too, where it is wanted; slower.

    An operation that has no such form raises RuntimeError then.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it is first used
        torch.utils.deterministic.fill_uninitialized_memory = False  # which nothing here reads
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.utils.deterministic.fill_uninitialized_memory = before[1]
