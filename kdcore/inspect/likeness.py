"""Maps over many test images: how alike a student's are to its teacher's, and how much of them lies on the object."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kdcore import data
from kdcore.errors import UserError
from kdcore.inspect.maps import asked_of, at_a_time, drawer, row_per_class
from kdcore.inspect.networks import Named, config_of, images_of
from kdcore.inspect.noise import under_noise
from kdcore.similarity import cosine, rank_correlation, share_inside, top_overlap
from kdcore.store import Store

Rows = list[int] | str | None  # of a map that has one a class: those of classes, "label" for each image's own, or all
Judge = Callable[[Tensor], dict[str, Tensor]]  # maps (N, ...) -> {measure: (N,)}
Drawn = Callable[[Named], Tensor]  # a network's maps (N, ...) of some images


def likeness(store: Store, networks: list[Named], kind: str, indices: list[int], teacher: Named,
             settings: dict | None = None, rows: Rows = None, shares: Sequence[float] = (0.1,), noise: float = 0.0,
             draws: int = 1) -> list[dict]:
    """How alike each network's maps of test images are to the teacher's, image by image.

    `kind`, `settings`, `noise` and `draws` as in `maps`: with noise an image's maps are means over the draws, which are
    the same for all networks. Each entry: {"cosine", "ranks" (Spearman's correlation), "top 0.1", … the overlap of so
    large a share of the strongest entries, for each of `shares`, all (N,) and NaN where not defined, "reason" (why
    there is nothing, in a sentence)}. Raises UserError where the teacher has no such map.
    """
    def judge_of(drawn: Drawn, at: slice) -> Judge:
        theirs = drawn(teacher)
        return lambda ours: {"cosine": cosine(ours, theirs), "ranks": rank_correlation(ours, theirs),
                             **{f"top {share}": top_overlap(ours, theirs, share) for share in shares}}

    return _judged(store, networks, kind, indices, teacher, settings, rows, noise, draws, judge_of)


def on_object(store: Store, networks: list[Named], kind: str, indices: list[int], teacher: Named | None = None,
              settings: dict | None = None, rows: Rows = None, noise: float = 0.0, draws: int = 1) -> dict:
    """How much of each network's maps of test images lies on the object, and on the watermark, image by image.

    `kind` to `draws` as in `likeness`. {"covers": {place: (N,), the share of the image that it covers}, "entries":
    [{place: (N,), the share of the map's absolute values that lies there, "reason"}]}; the places are "object", and
    "watermark" where the images have one. Raises UserError where it is not known where the object is.
    """
    config = config_of(store, asked_of(networks, teacher)).data
    masks = {place: data.masks(config, "test", torch.tensor(indices), of=place) for place in ("object", "watermark")}
    masks = {place: mask for place, mask in masks.items() if mask.any()}

    def judge_of(drawn: Drawn, at: slice) -> Judge:
        return lambda maps: {place: share_inside(maps, mask[at]) for place, mask in masks.items()}

    return {"covers": {place: mask.flatten(1).double().mean(1).numpy() for place, mask in masks.items()},
            "entries": _judged(store, networks, kind, indices, teacher, settings, rows, noise, draws, judge_of)}


def _judged(store: Store, networks: list[Named], kind: str, indices: list[int], teacher: Named | None,
            settings: dict | None, rows: Rows, noise: float, draws: int,
            judge_of: Callable[[Drawn, slice], Judge]) -> list[dict]:
    """For each network what a judge says of its maps, some images at a time."""
    images, source = images_of(store, asked_of(networks, teacher), indices, "test")
    several = rows is None and row_per_class(kind, settings)
    size = at_a_time(images, len(source.classes) if several else len(rows) if isinstance(rows, list) else 1)
    found: list[list[dict]] = [[] for _ in networks]
    reasons, judged, draws = [""] * len(networks), 0, draws if noise else 1
    for seen in under_noise(images, noise, draws, size):
        drawn = _means([drawer(store, kind, some, source.classes, teacher, settings, measured=False,
                               rows=_chosen(some.labels, rows)) for some in seen.chunks(size)], draws)
        judge = judge_of(drawn, slice(judged, judged := judged + len(seen) // draws))
        for i, named in enumerate(networks):
            try:
                found[i].append(judge(drawn(named)))
            except UserError as error:
                reasons[i] = str(error)
    return [{**{name: torch.cat([part[name] for part in parts]).numpy() for name in (parts[0] if parts else ())},
             "reason": reason} for parts, reason in zip(found, reasons)]


def _means(parts: list[Callable[[Named], tuple[Tensor, float | None]]], draws: int) -> Drawn:
    """What makes a network's maps of images, part by part, as means over the draws of each."""
    return lambda named: torch.cat([draw(named)[0] for draw in parts]).unflatten(0, (-1, draws)).mean(1)


def _chosen(labels: Tensor, rows: Rows) -> Tensor | None:
    """The classes whose maps are asked for, (N, k); None for all."""
    if rows == "label":
        return labels[:, None]
    return None if rows is None else torch.tensor(rows).expand(len(labels), -1)
