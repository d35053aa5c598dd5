"""Comparisons: every number against a slow computation that goes through the values one by one."""

import math
import statistics
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from kdcore import comparison

RANDOM = np.random.default_rng(0)


def test_a_mean_curve_is_the_mean_at_each_step():
    curves = [([0, 10, 20], [0.0, 1.0, 2.0]), ([0, 10, 20], [1.0, 3.0, 2.0]), ([0, 10], [2.0, 5.0])]
    found = comparison.mean_curve(curves)
    assert found["x"].tolist() == [0, 10, 20] and found["count"].tolist() == [3, 3, 2]
    for i in range(3):
        values = [curve[1][i] for curve in curves if len(curve[1]) > i]
        assert found["mean"][i] == pytest.approx(statistics.mean(values))
        assert found["error"][i] == pytest.approx(statistics.stdev(values) / math.sqrt(len(values)))


def test_a_curve_is_straight_between_its_points_and_one_has_no_error():
    found = comparison.mean_curve([([0, 4], [0.0, 4.0]), ([0, 1, 2], [1.0, 1.0, 1.0])])
    assert found["x"].tolist() == [0, 1, 2, 4] and found["mean"].tolist() == [0.5, 1.0, 1.5, 4.0]
    assert np.isnan(found["error"][-1]) and found["count"][-1] == 1


def test_a_long_curve_keeps_its_ends():
    steps = list(range(1000))
    found = comparison.mean_curve([(steps, steps)], most=50)
    assert len(found["x"]) == 50 and found["x"][[0, -1]].tolist() == [0, 999]
    assert (found["mean"] == found["x"]).all()


def counted(ours, theirs):
    """The two-sided p by going through all ways to share the values out."""
    both = [*ours, *theirs]
    ranks = stats.rankdata(both)
    sums = [sum(ranks[i] for i in some) for some in combinations(range(len(both)), len(ours))]
    seen = sum(ranks[: len(ours)])
    above, below = (np.mean([sign * total >= sign * seen - 1e-9 for total in sums]) for sign in (1, -1))
    return min(1.0, 2 * min(above, below))


@pytest.mark.parametrize(("ours", "theirs"), [
    ([0.5, 0.6, 0.7], [0.1, 0.2, 0.3]), ([0.5, 0.6, 0.6], [0.1, 0.2, 0.6]), ([0.5] * 3, [0.5] * 3),
    ([0.3, 0.5], [0.1, 0.2, 0.4]), ([0.2, 0.9, 0.4, 0.6], [0.3, 0.1, 0.35, 0.2, 0.8])], ids=str)
def test_the_rank_sum_test_is_exact_with_ties_too(ours, theirs):
    p, = comparison.rank_sums([(ours, theirs)])["p"]
    assert p == pytest.approx(counted(ours, theirs))
    if len(set(ours + theirs)) == len(ours + theirs):
        assert p == pytest.approx(stats.mannwhitneyu(ours, theirs, method="exact").pvalue)


@pytest.mark.parametrize("count", [30, 101])
@pytest.mark.parametrize("ties", [False, True])
def test_of_many_values_the_test_is_exact_or_the_normal_one(count, ties):
    ours, theirs = (RANDOM.normal(mean, 1, count).round(1 if ties else 9).tolist() for mean in (0.3, 0))
    p, = comparison.rank_sums([(ours, theirs)])["p"]
    method = "asymptotic" if ties or count > 100 else "exact"
    assert p == stats.mannwhitneyu(ours, theirs, method=method).pvalue


@pytest.mark.parametrize(("ours", "theirs"), [(2, 2), (3, 3), (4, 4), (5, 5), (2, 7), (9, 9), (30, 30)])
def test_the_smallest_p_is_that_of_samples_that_are_wholly_apart(ours, theirs):
    p, = comparison.rank_sums([([*range(50, 50 + ours)], [*range(theirs)])])["p"]
    assert comparison.smallest_p(ours, theirs) == pytest.approx(p)


def test_holm_is_as_written_down():
    """The smallest times the number of tests, the next times one less, never falling, never above 1."""
    assert comparison.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert comparison.holm([0.6, 0.9]) == [1.0, 1.0]
    assert comparison.rank_sums([([1, 2, 3], [4, 5, 6]), ([1, 3, 5], [2, 4, 6])])["holm"][0] == pytest.approx(0.2)


def test_calibration_is_counted_one_by_one():
    confidence = np.concatenate([RANDOM.uniform(0.1, 1, 200), [0.1, 0.2, 0.7, 1.0]]).astype(np.float32)
    right = RANDOM.random(204) < confidence
    found, error = comparison.calibration(confidence, right), 0.0
    for m in range(1, 11):
        inside = [i for i, p in enumerate(confidence) if np.float32((m - 1) / 10) < p <= np.float32(m / 10)]
        assert found["count"][m - 1] == len(inside)
        if inside:
            sure, correct = (statistics.mean(float(values[i]) for i in inside) for values in (confidence, right))
            assert found["confidence"][m - 1] == pytest.approx(sure)
            assert found["accuracy"][m - 1] == pytest.approx(correct)
            error += len(inside) / 204 * abs(correct - sure)
        else:
            assert np.isnan(found["accuracy"][m - 1])
    assert found["error"] == pytest.approx(error) and found["edges"][[0, -1]].tolist() == [0, 1]


def test_confusion_and_classes_are_counted_one_by_one():
    labels, answers = RANDOM.integers(0, 3, 100), RANDOM.integers(0, 4, 100)
    table, shares = comparison.confusion(labels, answers, 5), comparison.of_each_class(labels, labels == answers, 5)
    for i in range(5):
        for j in range(5):
            assert table[i, j] == sum(a == i and b == j for a, b in zip(labels, answers))
        of_class = [int(a == b) for a, b in zip(labels, answers) if a == i]
        assert shares[i] == pytest.approx(statistics.mean(of_class)) if of_class else np.isnan(shares[i])


def test_a_mean_curve_over_seconds_stands_where_its_curves_were_at_on_average():
    curves = [([0, 10], [0.0, 1.0]), ([0, 10], [1.0, 3.0])]
    spent = [([0, 10], [0.0, 4.0]), ([0, 5, 10], [1.0, 3.0, 6.0])]
    found = comparison.mean_curve(curves, spent=spent)
    assert found["x"].tolist() == [0.5, 5.0] and found["mean"].tolist() == [0.5, 2.0]


@pytest.mark.parametrize("count", [2, 3, 4, 7, 10, 40])
def test_a_sign_is_clear_where_the_t_test_says_so(count):
    """The table's values have two digits behind the point, so that borders are not looked at."""
    values = RANDOM.normal(0, 1, count)
    limit = stats.t.ppf(0.975, count - 1) * values.std(ddof=1) / math.sqrt(count)
    for share in (0.9, 1.04 if count <= 10 else 1.2):
        moved = values - values.mean() + share * limit
        assert comparison.sign(comparison.mean(moved.tolist())) == (share > 1) == (
            stats.ttest_1samp(moved, 0).pvalue < 0.05)
        assert comparison.sign(comparison.mean((-moved).tolist())) == -(share > 1)


def test_what_has_no_interval_is_not_clear():
    assert comparison.mean([]) is None and comparison.mean([0.5]) == (0.5, None, 1)
    assert comparison.sign(None) == comparison.sign((0.5, None, 1)) == comparison.sign((0.0, 0.0, 3)) == 0


def test_ratios_are_averaged_as_logarithms_and_those_of_nothing_do_not_count():
    assert comparison.log_ratio([(1.0, 2.0), (1.0, 8.0), (0, 1.0), (1.0, 0)]) == (-2.0, 2)
    ratio, count = comparison.log_ratio([(0, 1.0)])
    assert math.isnan(ratio) and count == 0


def test_shares_of_a_row_make_up_the_whole():
    found = comparison.shares(np.array([[1, 3], [0, 0]]))
    assert found[0].tolist() == [0.25, 0.75] and np.isnan(found[1]).all()
