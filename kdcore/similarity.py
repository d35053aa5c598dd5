"""How alike two maps are, image by image, and how much of a map lies in a place.

Maps are (N, ...): all entries of an image count, colours and rows included. Where a measure is not defined it is NaN.
"""

from __future__ import annotations

import torch
from torch import Tensor


def cosine(one: Tensor, other: Tensor) -> Tensor:
    """The cosine of the angle between two maps, (N, ...) -> (N,) in [-1, 1]: 1 is the same up to a positive factor.

    NaN where a map is zero everywhere.
    """
    one, other = one.flatten(1).double(), other.flatten(1).double()
    return (one * other).sum(1) / (one.norm(dim=1) * other.norm(dim=1))


def rank_correlation(one: Tensor, other: Tensor) -> Tensor:
    """Spearman's rank correlation of two maps' entries, (N, ...) -> (N,) in [-1, 1]: 1 is the same order of entries.

    Equal entries share the mean of their ranks. NaN where a map is the same everywhere.
    """
    from scipy.stats import rankdata  # takes half a second

    ranks = [torch.from_numpy(rankdata(each.flatten(1).cpu().numpy(), axis=1)) for each in (one, other)]
    return cosine(*(each - each.mean(1, keepdim=True) for each in ranks))


def top_overlap(one: Tensor, other: Tensor, share: float) -> Tensor:
    """Of the `share` of entries that are strongest in one map, how many are in the other: (N, ...) -> (N,) in [0, 1].

    An entry is strong by its absolute value; there is one at least. Chance gives `share`. NaN where a map is zero
    everywhere.
    """
    count = max(1, round(share * one[0].numel()))
    strongest = [torch.zeros_like(each).scatter(1, each.topk(count).indices, 1)
                 for each in (one.flatten(1).abs(), other.flatten(1).abs())]
    defined = one.flatten(1).any(1) & other.flatten(1).any(1)
    return ((strongest[0] * strongest[1]).sum(1) / count).where(defined, torch.nan)


def share_inside(maps: Tensor, mask: Tensor) -> Tensor:
    """How much of a map lies inside a mask, Σ|map| there over Σ|map|: (N, ..., H, W) and (N, H, W) bool -> (N,).

    A map without any preference gives the share of the area that the mask covers. NaN where a map is zero everywhere.
    """
    strength = maps.abs().reshape(len(maps), -1, *mask.shape[1:]).sum(1).double()
    return (strength * mask).flatten(1).sum(1) / strength.flatten(1).sum(1)
