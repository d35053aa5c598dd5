"""Ensembles: the averaged probabilities of several students, evaluated and stored like one run's result."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from kdcore import data, device, snapshots
from kdcore.config import read
from kdcore.store import Store
from kdcore.train import Measurement, log_probabilities, score


@torch.no_grad()
def measure(store: Store, run: int) -> Iterator[Measurement]:
    """"accuracy" and "loss.test" of the members' averaged softmax at every step of which all have a snapshot.

    "accuracy.members" is the mean of their own accuracies.
    """
    config = read(store.run(run)["config"])
    where = device.pick(config.device)
    members = store.members(run)
    images = data.images(config.data, "test", where)
    for step in sorted(set.intersection(*(set(store.snapshot_steps(member)) for member in members))):
        each = [log_probabilities(snapshots.network(store, member, step).to(where), images) for member in members]
        alone = [score(one, images.labels)["accuracy"] for one in each]
        together = score(averaged(each), images.labels)
        yield Measurement(step, {**together, "accuracy.members": sum(alone) / len(alone)})


def averaged(each: list[Tensor]) -> Tensor:
    """Members' log probabilities, (N, C) each -> (N, C): the logarithm of their mean probability."""
    return torch.stack(each).logsumexp(0) - math.log(len(each))
