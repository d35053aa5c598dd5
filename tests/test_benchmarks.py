"""What the benchmarks write: means with their spread, gains on the same seeds, none where it is no comparison."""

from benchmarks import agreement, methods, weights
from benchmarks.runs import spread


def test_a_mean_has_its_standard_error_and_one_value_has_none():
    assert spread([0.5], 3) == "0.500 (1)"
    assert spread([1.0, 2.0, 3.0], 2) == "2.00 ± 0.58 (3)"


def test_the_table_compares_the_same_seeds_and_no_ensemble():
    rows = [{"method": name, "seed": seed, "accuracy": accuracy, "seconds": 2.0} for name, seed, accuracy in (
        ("labels_only", 1, 0.5), ("labels_only", 2, 0.7), ("hint", 2, 0.8), ("labels_ensemble", 1, 0.9))]
    head, *body = [line.split(" | ") for line in methods.markdown("mnist", rows, 0.95).splitlines() if "|" in line][1:]
    assert [line[2:4] for line in body] == [["0.900 (1)", ""], ["0.800 (1)", "10.0 (1)"], ["0.600 ± 0.100 (2)", ""]]


def test_the_weights_table_marks_the_best():
    text = weights.markdown("mnist", {("hint", "hint"): {0.1: [0.5, 0.6], 1: [0.7, 0.8], 10: [0.1]}})
    assert [("**best**" in line) for line in text.splitlines()[4:]] == [False, True, False]


def test_the_agreement_table_has_a_line_for_each_moment():
    steps = {0: dict.fromkeys(agreement.GROUPS, 0.5) | {"accuracy": 0.1},
             10: dict.fromkeys(agreement.GROUPS, 0.9) | {"accuracy": 0.7}}
    rows = [{"method": "values_l2_then_soft_targets", "weight": 0.003, "seed": seed, "steps": steps} for seed in (1, 2)]
    lines = agreement.markdown(rows).splitlines()
    assert lines[-1].endswith("| 0.003 | 10 | 90.0 ± 0.0 (2) | 90.0 ± 0.0 (2) | 90.0 ± 0.0 (2) | 70.0 ± 0.0 (2) |")
    assert "| 0.003 | 0 | 50.0" in lines[-2]
