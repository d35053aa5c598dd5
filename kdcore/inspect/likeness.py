"""Maps over many test images: how alike a student's are to its teacher's, and how much of them lies on the object."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kdcore import data
from kdcore.errors import UserError
from kdcore.inspect.maps import asked_of, at_a_time, drawer
from kdcore.inspect.networks import Named, config_of, images_of
from kdcore.similarity import cosine, rank_correlation, share_inside, top_overlap
from kdcore.store import Store

Rows = list[int] | str | None  # of a map that has one a class: those of classes, "label" for each image's own, or all
Judge = Callable[[Tensor], dict[str, Tensor]]  # maps (N, ...) -> {measure: (N,)}


def likeness(store: Store, networks: list[Named], kind: str, indices: list[int], teacher: Named,
             settings: dict | None = None, rows: Rows = None, shares: Sequence[float] = (0.1,)) -> list[dict]:
    """How alike each network's maps of test images are to the teacher's, image by image.

    `kind` and `settings` as in `maps`. Each entry: {"cosine", "ranks" (Spearman's correlation), "top 0.1", … the
    overlap of so large a share of the strongest entries, for each of `shares`, all (N,) and NaN where not defined,
    "reason" (why there is nothing, in a sentence)}. Raises UserError where the teacher has no such map.
    """
    def judge_of(draw: Callable, at: slice) -> Judge:
        theirs = draw(teacher)[0]
        return lambda ours: {"cosine": cosine(ours, theirs), "ranks": rank_correlation(ours, theirs),
                             **{f"top {share}": top_overlap(ours, theirs, share) for share in shares}}

    return _judged(store, networks, kind, indices, teacher, settings, rows, judge_of)


def on_object(store: Store, networks: list[Named], kind: str, indices: list[int], teacher: Named | None = None,
              settings: dict | None = None, rows: Rows = None) -> dict:
    """How much of each network's maps of test images lies on the object, and on the watermark, image by image.

    `kind` and `settings` as in `maps`. {"covers": {place: (N,), the share of the image that it covers}, "entries":
    [{place: (N,), the share of the map's absolute values that lies there, "reason"}]}; the places are "object", and
    "watermark" where the images have one. Raises UserError where it is not known where the object is.
    """
    config = config_of(store, asked_of(networks, teacher)).data
    masks = {place: data.masks(config, "test", torch.tensor(indices), of=place) for place in ("object", "watermark")}
    masks = {place: mask for place, mask in masks.items() if mask.any()}

    def judge_of(draw: Callable, at: slice) -> Judge:
        return lambda maps: {place: share_inside(maps, mask[at]) for place, mask in masks.items()}

    return {"covers": {place: mask.flatten(1).double().mean(1).numpy() for place, mask in masks.items()},
            "entries": _judged(store, networks, kind, indices, teacher, settings, rows, judge_of)}


def _judged(store: Store, networks: list[Named], kind: str, indices: list[int], teacher: Named | None,
            settings: dict | None, rows: Rows, judge_of: Callable[[Callable, slice], Judge]) -> list[dict]:
    """For each network what a judge says of its maps, some images at a time."""
    images, source = images_of(store, asked_of(networks, teacher), indices, "test")
    chosen = _chosen(images.labels, rows)
    size = at_a_time(images, len(source.classes) if chosen is None else chosen.shape[1])
    found: list[list[dict]] = [[] for _ in networks]
    reasons = [""] * len(networks)
    for start in range(0, len(images), size):
        at = slice(start, start + size)
        draw = drawer(store, kind, images[at], source.classes, teacher, settings, measured=False,
                      rows=None if chosen is None else chosen[at])
        judge = judge_of(draw, at)
        for i, named in enumerate(networks):
            try:
                found[i].append(judge(draw(named)[0]))
            except UserError as error:
                reasons[i] = str(error)
    return [{**{name: torch.cat([part[name] for part in parts]).numpy() for name in (parts[0] if parts else ())},
             "reason": reason} for parts, reason in zip(found, reasons)]


def _chosen(labels: Tensor, rows: Rows) -> Tensor | None:
    """The classes whose maps are asked for, (N, k); None for all."""
    if rows == "label":
        return labels[:, None]
    return None if rows is None else torch.tensor(rows).expand(len(labels), -1)
