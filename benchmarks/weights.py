"""The weights that no paper prints, chosen on held-out training images: python -m benchmarks.weights PAIR.

Each weight is tried in one method, on a grid of half powers of ten, under the budget of benchmarks/methods.py with
other seeds; the test images decide nothing. Writes benchmarks/results/weights-PAIR.json and .md.
"""

from __future__ import annotations

import argparse
import statistics

from benchmarks.methods import PAIRS
from benchmarks.runs import execute, result, spread, write
from kdcore.config import RunConfig, read
from kdcore.methods import METHODS
from kdcore.store import Store

SEEDS = (11, 12)
VALIDATION = {"cifar10": {"per_class": 300, "validation": 2 / 3},
              "cifar10-vgg": {"per_class": 210, "validation": 200 / 210},
              "mnist": {"per_class": 205, "validation": 200 / 205}}
GRID = {  # (method, key of the term): weights
    ("match_logits", "logits"): (0.003, 0.01, 0.03, 0.1, 0.3),
    ("match_jacobians", "jacobian"): (0.01, 0.03, 0.1, 0.3, 1, 3),
    ("hint", "hint"): (0.1, 0.3, 1, 3, 10),
    ("attention", "attention"): (0.1, 0.3, 1, 3, 10),
    ("attention_jacobian", "attention_jacobian"): (0.1, 0.3, 1, 3, 10),
    ("map_information", "map_information"): (3, 10, 30, 100, 300),
    ("vector_information", "vector_information"): (0.1, 0.3, 1, 3, 10),
    ("flow_then_soft_targets", "flow"): (0.001, 0.003, 0.01, 0.03, 0.1),
}


def run(pair: str, name: str, key: str, weight: float, seed: int) -> RunConfig:
    """The pair's run with one method, one of its weights changed, on images of which most are held out."""
    method = METHODS[name].model_dump(mode="json")
    for stage in method["stages"]:
        if key in stage["objective"]:
            stage["objective"][key]["weight"] = weight
    template = PAIRS[pair]
    return read({**template, "data": {**template["data"], **VALIDATION[pair]}, "method": method, "seed": seed,
                 "name": f"{name} · {key} {weight:g} · seed {seed}"})


def markdown(pair: str, found: dict[tuple[str, str], dict[float, list[float]]]) -> str:
    """A line for each weight: mean ± standard error of the accuracy on held-out images, the best one marked."""
    lines = [f"# Weights on {pair}: accuracy on held-out training images", "",
             "| method | term | weight | validation accuracy |", "|---|---|---|---|"]
    for (name, key), accuracies in found.items():
        best = max(accuracies, key=lambda weight: statistics.mean(accuracies[weight]))
        lines += [f"| {name} | {key} | {weight:g} | {spread(values, 3)}{' **best**' if weight == best else ''} |"
                  for weight, values in accuracies.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train what is missing, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pair", choices=VALIDATION)
    parser.add_argument("--methods", nargs="*", default=[name for name, _ in GRID], help="only these, by name")
    parser.add_argument("--store", help="folder of the runs, instead of $KD_STORE")
    options = parser.parse_args()
    store, pair = Store(options.store), read(PAIRS[options.pair]).pair()
    grid = {entry: {weight: [run(options.pair, *entry, weight, seed) for seed in SEEDS] for weight in weights}
            for entry, weights in GRID.items() if entry[0] in options.methods and not METHODS[entry[0]].unsuited(pair)}
    configs = [config for weights in grid.values() for runs in weights.values() for config in runs]
    execute(store, sorted(configs, key=lambda config: config.seed), f"weights-{options.pair}")
    found = {entry: {weight: [end["last"] for end in (result(store, run, "accuracy.validation") for run in runs) if end]
                     for weight, runs in weights.items()} for entry, weights in grid.items()}
    found = {entry: {weight: values for weight, values in weights.items() if values}
             for entry, weights in found.items()}
    write(f"weights-{options.pair}",
          {"budget": {**PAIRS[options.pair], "data": {**PAIRS[options.pair]["data"], **VALIDATION[options.pair]}},
           "accuracy": [{"method": name, "term": key, "weight": weight, "validation": values}
                        for (name, key), weights in found.items() for weight, values in weights.items()]},
          markdown(options.pair, found))


if __name__ == "__main__":
    main()
