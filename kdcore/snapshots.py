"""Weights on disk: written whole or not at all, read without trusting them."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import nn

from kdcore import models
from kdcore.config import read
from kdcore.errors import UserError
from kdcore.places import replace_file
from kdcore.store import Store


def save(path: Path, state: dict) -> None:
    """Write a state of tensors and numbers, replacing the file at once."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    replace_file(path, buffer.getvalue())


def load(path: Path) -> dict:
    """Read a state. Raises UserError where the file is missing, truncated, or holds more than tensors and numbers."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"The snapshot {path.name} is missing; choose another step, or run it again.") from error
    except Exception as error:  # torch.load fails in many ways on foreign bytes
        raise UserError(f"The snapshot {path.name} is damaged or not a snapshot; choose another step, or run it "
                        "again.") from error


def network(store: Store, run: int, step: int | None = None) -> nn.Module:
    """Return a run's network at a step (its last snapshot, if none is given), in evaluation mode, on the CPU.

    Raises UserError where there is no such snapshot, or it does not belong to the run's network.
    """
    row = store.run(run)
    steps = store.snapshot_steps(run)
    if not steps:
        raise UserError(f"Run {run} ({row['name']}) has no snapshot yet; wait until it has started.")
    path = store.snapshot(run, steps[-1] if step is None else step)
    config = read(row["config"])
    side, state = config.side(), load(path)
    if not isinstance(state, dict) or "network" not in state:
        state = {"network": state}  # as version 0.1.0 wrote them
    try:
        made = models.loaded(config.network, side.images, len(side.classes), state["network"])
    except (LookupError, RuntimeError, TypeError, AttributeError) as error:
        raise UserError(f"The snapshot {path.name} of run {run} belongs to another network; run it again.") from error
    return made.eval()
