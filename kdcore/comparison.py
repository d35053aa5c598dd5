"""Comparisons of runs: means over seeds, tests of ranks, and what the answers of networks come to. No torch."""

from __future__ import annotations

import math

import numpy as np

BINS = 10
ALL_ORDERS = 20_000  # so many ways to share values out are gone through one by one
ALL_PAIRS = 10_000  # of so many pairs of values the exact test is computed without ties: it takes a tenth of a second


def mean_curve(curves: list[tuple[list, list]], most: int = 300) -> dict[str, np.ndarray]:
    """The mean of several curves, (steps, values) each, and its standard error.

    {"steps", "mean", "error", "count"}, (S,) each, S at most `most`. Between two points a curve is straight; where it
    has not begun or has ended it does not count. The error is NaN where one curve counts.
    """
    steps = np.unique(np.concatenate([steps for steps, _ in curves]))
    if len(steps) > most:
        steps = steps[np.unique(np.linspace(0, len(steps) - 1, most).round().astype(int))]
    values = np.stack([np.interp(steps, *curve, left=np.nan, right=np.nan) for curve in curves])
    there = np.isfinite(values)
    count = there.sum(0)
    mean = np.where(there, values, 0).sum(0) / count
    square = np.where(there, values - mean, 0.0) ** 2
    variance = square.sum(0) / np.where(count > 1, count - 1, np.nan)
    return {"steps": steps, "mean": mean, "error": np.sqrt(variance / count), "count": count}


def rank_sums(pairs: list[tuple[list[float], list[float]]]) -> dict[str, list[float]]:
    """Wilcoxon's rank-sum test (1945), two-sided, of each pair of samples of two values or more: {"p", "holm"}.

    Exact up to 100 values each without ties, and with ties where the values can be shared out in at most 20 000 ways;
    else by the normal distribution.
    """
    from scipy.stats import PermutationMethod, mannwhitneyu  # takes a second, of which pages know nothing

    found = []
    for ours, theirs in pairs:
        few = math.comb(len(ours) + len(theirs), len(ours)) <= ALL_ORDERS
        apart = len({*ours, *theirs}) == len(ours) + len(theirs) and len(ours) * len(theirs) <= ALL_PAIRS
        method = "exact" if apart else PermutationMethod(n_resamples=np.inf) if few else "asymptotic"
        found.append(float(mannwhitneyu(ours, theirs, method=method).pvalue))
    return {"p": found, "holm": holm(found)}


def smallest_p(ours: int, theirs: int) -> float:
    """The smallest two-sided p that the exact rank-sum test has for samples of these sizes."""
    return min(1.0, 2 / math.comb(ours + theirs, ours))


def holm(p: list[float]) -> list[float]:
    """Values of p of several tests, corrected so that all are right at once (Holm 1979)."""
    order, corrected, before = np.argsort(p, kind="stable"), [1.0] * len(p), 0.0
    for rank, i in enumerate(order):
        corrected[i] = before = max(before, min(1.0, (len(p) - rank) * p[i]))
    return corrected


def calibration(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> dict:
    """How often a network is right when it is so sure (Guo et al. 2017, eq. 3).

    `confidence` (N,) is the probability of its answer, `right` (N,) whether that is correct. {"edges" (bins + 1,),
    "count", "confidence" and "accuracy" (bins,), means of the images in a bin, NaN without one, "error": the expected
    calibration error}. A bin has its upper edge.
    """
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        sure, correct = (np.bincount(place, values, bins) / count for values in (confidence, right))
    return {"edges": edges, "count": count, "confidence": sure, "accuracy": correct,
            "error": float(np.nansum(count * np.abs(correct - sure)) / len(place))}


def confusion(first: np.ndarray, second: np.ndarray, classes: int) -> np.ndarray:
    """How many images the first calls i and the second j: (N,), (N,) -> (classes, classes)."""
    return np.bincount(first * classes + second, minlength=classes**2).reshape(classes, classes)


def of_each_class(labels: np.ndarray, right: np.ndarray, classes: int) -> np.ndarray:
    """Accuracy on the images of each class, (classes,), NaN where there is no image."""
    with np.errstate(invalid="ignore"):
        return np.bincount(labels, right, classes) / np.bincount(labels, minlength=classes)
