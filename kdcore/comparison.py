"""Comparisons of runs: means over seeds, tests of ranks, and what the answers of networks come to. No torch."""

from __future__ import annotations

import math
import statistics

import numpy as np

BINS = 10
ALL_ORDERS = 20_000  # so many ways to share values out are gone through one by one
ALL_PAIRS = 10_000  # of so many pairs of values the exact test is computed without ties: it takes a tenth of a second
T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)  # of 2 to 10 values, and hardly less of more

Mean = tuple[float, float | None, int]  # of some values, its standard error, None of a single one, and their number


def mean(values: list[float]) -> Mean | None:
    """Mean, standard error and number of some values; None of none."""
    if not values:
        return None
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return statistics.mean(values), error, len(values)


def sign(found: Mean | None) -> int:
    """1 where a mean is clearly above 0, -1 where it is clearly below, else 0.

    Clearly is outside of the 95 % interval of Student's t (1908), which a single value has not.
    """
    average, error, count = found or (0.0, None, 0)
    clear = error is not None and abs(average) > T[min(count, len(T) + 1) - 2] * error
    return int(math.copysign(clear, average))


def spread_out(count: int, most: int) -> np.ndarray:
    """The positions of at most so many of `count` values, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def mean_curve(curves: list[tuple[list, list]], most: int = 300,
               spent: list[tuple[list, list]] | None = None) -> dict[str, np.ndarray]:
    """The mean of several curves, (steps, values) each, and its standard error.

    {"x", "mean", "error", "count"}, (S,) each, S at most `most`. "x" are the steps; or, where it is told what each
    curve had `spent` when, (steps, seconds) each, the mean of what they had spent when they came to a step. Between two
    points a curve is straight; where it has not begun or has ended it does not count. The error is NaN where one curve
    counts.
    """
    steps = np.unique(np.concatenate([steps for steps, _ in curves]))
    steps = steps[spread_out(len(steps), most)]
    values = np.stack([np.interp(steps, *curve, left=np.nan, right=np.nan) for curve in curves])
    there = np.isfinite(values)
    count = there.sum(0)
    average = np.where(there, values, 0).sum(0) / count
    square = np.where(there, values - average, 0.0) ** 2
    variance = square.sum(0) / np.where(count > 1, count - 1, np.nan)
    times = mean_curve(spent, most) if spent else None
    return {"x": np.interp(steps, times["x"], times["mean"]) if times else steps, "mean": average,
            "error": np.sqrt(variance / count), "count": count}


def log_ratio(pairs: list[tuple[float, float]]) -> tuple[float, int]:
    """The mean over pairs of distances (ours, theirs) of log₂ of their ratio, and over how many: −1 is half as far.

    A distance that is 0 has no logarithm, and its pair does not count; NaN where none does.
    """
    ratios = [math.log2(ours / theirs) for ours, theirs in pairs if ours > 0 and theirs > 0]
    return sum(ratios) / len(ratios) if ratios else math.nan, len(ratios)


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


def kendall(pairs: list[tuple[list[float], list[float]]]) -> list[float | None]:
    """Kendall's rank correlation (1938), τ_b, of each pair of samples of one length: 1 where their order is the same,
    -1 where it is reversed; None where all values of one are equal.
    """
    from scipy.stats import kendalltau

    found = [float(kendalltau(*pair).statistic) for pair in pairs]
    return [None if math.isnan(one) else one for one in found]


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


def shares(counts: np.ndarray) -> np.ndarray:
    """Counts as shares of their row, (rows, columns), NaN in a row without any."""
    with np.errstate(invalid="ignore"):
        return counts / counts.sum(1, keepdims=True)


def of_each_class(labels: np.ndarray, right: np.ndarray, classes: int) -> np.ndarray:
    """Accuracy on the images of each class, (classes,), NaN where there is no image."""
    with np.errstate(invalid="ignore"):
        return np.bincount(labels, right, classes) / np.bincount(labels, minlength=classes)
