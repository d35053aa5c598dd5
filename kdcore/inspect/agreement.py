"""How far activations agree with the teacher's: by layer, class, neuron and place (Heo et al. 2019, eq. 2 and 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from kdcore.inspect.histogram import Histogram, together
from kdcore.inspect.layers import bound_of, response_of
from kdcore.inspect.networks import Named, entries, images_of, loaded
from kdcore.knowledge.activation import ActivationBoundary, agreeing
from kdcore.store import Store
from kdcore.teaching import answer

CHUNK = 50


@torch.no_grad()
def agreement(store: Store, networks: list[Named], indices: list[int], teacher: Named,
              settings: dict | None = None) -> list[dict]:
    """For each network the shares of neurons that are on where the teacher's are, and off where they are.

    Over test images of the first network, by their positions. Each entry: {"layers": [{"teacher" and "student" (the
    taps), "rate", "per_class" (classes,) NaN without an image, "per_neuron" (channels,), and by place, (H, W) or None
    for vectors, "on", the share that the teacher has on, and "differing", the share that does not agree, "bins" (edges)
    and "counts" (shares) of the student's values before the activation, "beyond" the share that lies outside}],
    "connected" as in `layers`, "classes" of the images, "reason"}. The bins of a layer of the teacher are the same for
    all networks, and of none lies more than 1 % outside.
    """
    images, source = images_of(store, networks[0][0], indices, "test")
    term = ActivationBoundary(**(settings or {}))

    def fill(named: Named, entry: dict) -> None:
        network, theirs = loaded(store, *named), loaded(store, *teacher)
        bound, entry["connected"] = bound_of(store, named, term, network, theirs)
        sums = [_Sums(len(source.classes)) for _ in bound.layers]
        for start in range(0, len(images), CHUNK):
            some = images[start : start + CHUNK]
            taught, response = answer(term, theirs, some, bound), response_of(term, bound, network, some)
            for layer, (ours, active) in zip(sums, term.compared(response, taught, bound)):
                layer.add(ours, active, some.labels)
        entry["layers"] = [{"teacher": layer.teacher, "student": layer.student, **found.means()}
                           for layer, found in zip(bound.layers, sums)]

    found = entries(networks, fill, layers=[], connected="", classes=source.classes)
    _share_bins([layer for entry in found for layer in entry["layers"]])
    return found


def _share_bins(layers: list[dict]) -> None:
    """Put shares of values in common bins in the place of each layer's histogram."""
    for tap in {layer["teacher"] for layer in layers}:
        of_tap = [layer for layer in layers if layer["teacher"] == tap]
        bins, counts = together([layer.pop("values") for layer in of_tap])
        for layer, shares in zip(of_tap, counts):
            layer |= {"bins": bins, "counts": shares, "beyond": max(0.0, 1 - float(shares.sum()))}


class _Sums:
    """Over batches, sums of which the shares are made."""

    def __init__(self, classes: int):
        self.images, self.neuron, self.differing, self.on, self.values = 0, 0.0, 0.0, 0.0, Histogram()
        self.of_class, self.in_class = torch.zeros(classes), torch.zeros(classes)

    def add(self, ours: Tensor, active: Tensor, labels: Tensor) -> None:
        agree = agreeing(ours, active).float()
        self.images += len(agree)
        self.of_class.index_add_(0, labels, agree.flatten(1).mean(1))
        self.in_class.index_add_(0, labels, torch.ones(len(labels)))
        self.neuron += agree.flatten(2).mean(2).sum(0) if agree.dim() > 2 else agree.sum(0)
        if agree.dim() > 2:
            self.differing += (1 - agree).mean(1).sum(0)
            self.on += active.float().mean(1).sum(0)
        self.values.add(ours)

    def means(self) -> dict:
        maps = isinstance(self.on, Tensor)
        return {"rate": float(self.of_class.sum() / self.images), "per_class": (self.of_class / self.in_class).numpy(),
                "per_neuron": (self.neuron / self.images).numpy(),
                "on": (self.on / self.images).numpy() if maps else None,
                "differing": (self.differing / self.images).numpy() if maps else None, "values": self.values}
