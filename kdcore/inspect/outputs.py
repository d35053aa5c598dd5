"""What networks answer to an image, softened by a temperature."""

from __future__ import annotations

from functools import cache

import torch

from kdcore.inspect.networks import Named, class_names, entries, images_of, loaded
from kdcore.knowledge.outputs import SoftTargets
from kdcore.response import Response
from kdcore.store import Store
from kdcore.teaching import answer


@torch.no_grad()
def outputs(store: Store, networks: list[Named], index: int, teacher: Named | None = None, temperature: float = 1.0,
            part: str = "test") -> list[dict]:
    """The softmax of the logits over `temperature` (Hinton et al. 2015), and its distance to the teacher's.

    The image is one of the last network's. Each entry: {"shares" (classes,), "classes" (their names), "paid" (T²·KL of
    the teacher's and the network's, None without a teacher of the same classes), "reason" (why something is missing)}.
    """
    images, _ = images_of(store, networks[-1][0], [index], part)
    term = SoftTargets(temperature=temperature)
    taught = cache(lambda: answer(term, loaded(store, *teacher), images))

    def fill(named: Named, entry: dict) -> None:
        entry["classes"] = class_names(store, named[0])
        response = Response(loaded(store, *named), images.pixels, differentiable=False)
        entry["shares"] = (response.logits / temperature).softmax(1)[0].numpy()
        if teacher and class_names(store, teacher[0]) == entry["classes"]:
            entry["paid"] = float(term.loss(response, taught()))

    return entries(networks, fill, shares=None, classes=(), paid=None)
