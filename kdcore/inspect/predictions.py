"""What networks answer for test images: as they are, and under noise."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from kdcore import data, ensemble, train
from kdcore.errors import UserError
from kdcore.inspect.networks import Named, Snapshot, config_of, drawn, kept, snapshot_of
from kdcore.inspect.noise import noisy
from kdcore.store import Store

COUNT = 1000
CHUNK = 250


def predictions(store: Store, networks: list[Named], of: int, count: int = COUNT) -> list[dict]:
    """What each network answers for a fixed random choice of `count` test images of the run `of`.

    Each: {"predicted" (N,) the class, "confidence" (N,) its probability, "labels" (N,), "reason" (why there are no
    answers, in a sentence)}. An ensemble answers with its members' averaged probabilities, each at the step.
    """
    entries = []
    for named in networks:
        entry = {"predicted": None, "confidence": None, "labels": None, "reason": ""}
        try:
            entry |= _predicted(store, named, of, 0.0, count)
        except UserError as error:
            entry["reason"] = str(error)
        entries.append(entry)
    return entries


def robustness(store: Store, networks: list[Named], of: int, stds: list[float], count: int = COUNT) -> list[dict]:
    """Accuracy of each network on the images of `predictions` under Gaussian noise of these standard deviations.

    Pixels lie in [0, 1], and are not clipped; the noise is the same for every network and, but for its size, for every
    standard deviation. Each: {"accuracy" (stds,), "reason"}.
    """
    entries = []
    for named in networks:
        try:
            found = [_predicted(store, named, of, std, count) for std in stds]
            entries.append({"reason": "", "accuracy": np.array(
                [(one["predicted"] == one["labels"]).mean() for one in found])})
        except UserError as error:
            entries.append({"reason": str(error), "accuracy": None})
    return entries


def _predicted(store: Store, named: Named, of: int, std: float, count: int) -> dict:
    (run, step), config = named, config_of(store, of)
    own = config_of(store, run)
    if own.side().classes != config.side().classes or own.side().images != config.side().images:
        raise UserError("It tells other classes apart, or looks at other images, and is left out here.")
    members = store.parts(run) if own.members() else [run]
    return _answers(store, tuple(snapshot_of(store, member, step) for member in members), of, std, count)


@lru_cache(maxsize=2000)
@torch.no_grad()
def _answers(store: Store, members: tuple[Snapshot, ...], of: int, std: float, count: int) -> dict:
    config = config_of(store, of)
    networks = [kept(store, member) for member in members]
    images = data.of_run(config, "test", index=drawn(data.source(config.data).test, count))
    answers, first = [], 0
    for some in images.chunks(CHUNK):
        seen = data.Images(noisy(some.pixels, std, 0, first), some.labels)
        answers.append(ensemble.averaged([train.log_probabilities(network, seen) for network in networks]))
        first += len(some)
    confidence, predicted = torch.cat(answers).exp().max(1)
    return {"predicted": predicted.numpy(), "confidence": confidence.numpy(), "labels": images.labels.numpy()}
