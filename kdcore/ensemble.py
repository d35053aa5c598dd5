"""Ensembles: the averaged probabilities of several students, evaluated and stored like one run's result."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

import torch
from torch import Tensor

from kdcore import data, device, settings, snapshots
from kdcore.config import RunConfig, read
from kdcore.store import Store
from kdcore.train import Measurement, log_probabilities, score


@torch.no_grad()
def measure(store: Store, run: int) -> Iterator[Measurement]:
    """What a run is measured by, of the members' averaged softmax, at every step of which all have a snapshot.

    "accuracy" and "loss.test", the same of "validation" where images are held out; "accuracy.members" is the mean of
    the members' own accuracies, "seconds" the sum of theirs, in which the stages that one learns for all count once.
    """
    config = read(store.run(run)["config"])
    with device.threads(config.threads), device.determinism(settings.read().deterministic):
        yield from _measured(store, run, config)


def _measured(store: Store, run: int, config: RunConfig) -> Iterator[Measurement]:
    where = device.pick(config.device)
    members = store.parts(run)
    parts = {part: data.of_run(config, part, where) for part in ("validation", "test")
             if part == "test" or config.data.validation}
    spent = [dict(zip(*curve)) for curve in store.curves(members, "seconds").values()]
    sharing = sum(bool(store.parts(member)) for member in members)
    for step in sorted(set.intersection(*(set(store.snapshot_steps(member)) for member in members))):
        networks = [snapshots.network(store, member, step).to(where) for member in members]
        answers = {part: [log_probabilities(network, images) for network in networks]
                   for part, images in parts.items()}
        together = {}
        for part, each in answers.items():
            together |= score(averaged(each), parts[part].labels, part)
        alone = [score(each, parts["test"].labels, "test")["accuracy"] for each in answers["test"]]
        yield Measurement(step, {**together, "accuracy.members": statistics.mean(alone),
                                 "seconds": sum(seconds[step] for seconds in spent)
                                 - sharing * spent[0][min(step, config.shared_end())]})


def averaged(each: list[Tensor]) -> Tensor:
    """Members' log probabilities, (N, C) each -> (N, C): the logarithm of their mean probability."""
    return torch.stack(each).logsumexp(0) - math.log(len(each))
