"""The weights that no paper prints, chosen on held-out training images: python -m benchmarks.weights PAIR.

Each weight is tried in one method, on a grid, under the budget of benchmarks/methods.py with other seeds; the test
images decide nothing. What was measured before under the same budget is kept. Writes
benchmarks/results/weights-PAIR.json and .md.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable

from benchmarks.methods import PAIRS
from benchmarks.runs import execute, failures, kept, result, spread, write
from kdcore.config import RunConfig, read
from kdcore.methods import BASELINE, METHODS
from kdcore.store import Store

SEEDS = (11, 12)
VALIDATION = {"cifar10": {"per_class": 300, "validation": 2 / 3},
              "cifar10-equal": {"per_class": 300, "validation": 2 / 3},
              "cifar10-vgg": {"per_class": 210, "validation": 200 / 210},
              "mnist": {"per_class": 205, "validation": 200 / 205},
              "mnist-20000": {"per_class": 2200, "validation": 200 / 2200}}
GRID = {  # (method, key of the term, or of one of its settings): weights, or values
    (BASELINE, "cross_entropy"): (1,),
    ("cost_gradient", "cost_gradient"): (4, 40, 400, 4000),
    ("double_backpropagation", "double_backpropagation"): (4, 40, 400, 4000),
    ("summed_jacobian", "summed_jacobian"): (0.0001, 0.001, 0.01, 0.1),
    ("match_logits", "logits"): (0.003, 0.01, 0.03, 0.1, 0.3),
    ("logits_alone", "logits"): (0.003, 0.01, 0.03, 0.1, 0.3),
    ("match_jacobians", "jacobian"): (0.01, 0.03, 0.1, 0.3, 1, 3),
    ("cross_entropy_jacobian", "cross_entropy_jacobian.noise"): (0.0, 0.001, 0.003, 0.01),
    ("hint", "hint"): (0.1, 0.3, 1, 3, 10),
    ("attention", "attention"): (0.1, 0.3, 1, 3, 10),
    ("attention_jacobian", "attention_jacobian"): (0.1, 0.3, 1, 3, 10),
    ("map_information", "map_information"): (3, 10, 30, 100, 300),
    ("vector_information", "vector_information"): (0.1, 0.3, 1, 3, 10),
    ("flow_then_soft_targets", "flow"): (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1),
    ("flow_then_labels", "flow"): (0.001, 0.01, 0.1, 1),
    **{(f"values_{power}_then_soft_targets", "values"): (0.00003, 0.0001, 0.0003, 0.001, 0.003)
       for power in ("l2", "l1", "l05")},
}


def run(pair: str, name: str, key: str, value: float, seed: int) -> RunConfig:
    """The pair's run with one method, one of its weights or settings changed, on images of which most are held out."""
    method = METHODS[name].model_dump(mode="json")
    key, _, setting = key.partition(".")
    for stage in method["stages"]:
        if key in stage["objective"]:
            weighted = stage["objective"][key]
            (weighted["term"] if setting else weighted)[setting or "weight"] = value
    template = PAIRS[pair]
    return read({**template, "data": {**template["data"], **VALIDATION[pair]}, "method": method, "seed": seed,
                 "name": f"{name} · {key} {setting} {value:g} · seed {seed}"})


def runs(pair: str) -> dict[tuple, RunConfig]:
    """{(method, term, weight, seed): run}, seed by seed, of all methods that suit the pair."""
    known = read(PAIRS[pair]).pair()
    return {(*entry, weight, seed): run(pair, *entry, weight, seed) for seed in SEEDS
            for entry, weights in GRID.items() for weight in weights if not METHODS[entry[0]].unsuited(known)}


def measured(store: Store, cases: dict[tuple, RunConfig]) -> dict[str, dict]:
    """{run: {"method", "term", "weight", "seed", "validation": accuracy, or "failed": why}}, by the run's hash."""
    failed, found = failures(store), {}
    for case, config in cases.items():
        key, end = config.hash(), result(store, config, "accuracy.validation")
        if end or key in failed:
            found[key] = {**dict(zip(("method", "term", "weight", "seed"), case)),
                          **({"validation": end["last"]} if end else {"failed": failed[key]})}
    return found


def markdown(pair: str, rows: Iterable[dict]) -> str:
    """A line for each weight: mean ± standard error of the accuracy on held-out images, the best one marked."""
    lines = [f"# Weights on {pair}: accuracy on held-out training images", "",
             "| method | term | weight | validation accuracy |", "|---|---|---|---|"]
    seeds: dict[tuple, list[dict]] = {}
    for row in rows:
        seeds.setdefault((row["method"], row["term"], row["weight"]), []).append(row)
    means = {line: statistics.mean(row["validation"] for row in ended)
             for line, tried in seeds.items() if (ended := [row for row in tried if "failed" not in row])}
    for line, tried in seeds.items():
        ended = [row["validation"] for row in tried if "failed" not in row]
        failed = f"{len(tried) - len(ended)} failed" if len(tried) > len(ended) else ""
        words = ", ".join(filter(None, [spread(ended, 3) if ended else "", failed]))
        best = line in means and means[line] == max(mean for other, mean in means.items() if other[:2] == line[:2])
        lines.append(f"| {line[0]} | {line[1]} | {line[2]:g} | {words}{' **best**' * best} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train what is missing, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pair", choices=VALIDATION)
    parser.add_argument("--methods", nargs="*", help="only these, by name")
    parser.add_argument("--store", help="folder of the runs, instead of $KD_STORE")
    options = parser.parse_args()
    pair, store = options.pair, Store(options.store)
    earlier = kept(f"weights-{pair}")["runs"]
    cases = runs(pair)
    keys = {case: config.hash() for case, config in cases.items()}
    execute(store, [config for case, config in cases.items()
                    if case[0] in (options.methods or METHODS) and keys[case] not in earlier], f"weights-{pair}")
    found = earlier | measured(store, cases)
    rows = {keys[case]: found[keys[case]] for case in sorted(cases, key=lambda case: (list(GRID).index(case[:2]), case))
            if keys[case] in found}
    budget = {**PAIRS[pair], "data": {**PAIRS[pair]["data"], **VALIDATION[pair]}}
    write(f"weights-{pair}", {"budget": budget, "runs": rows}, markdown(pair, rows.values()))


if __name__ == "__main__":
    main()
