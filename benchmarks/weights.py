"""The weights that no paper prints, chosen on held-out training images: python -m benchmarks.weights PAIR.

Each weight is tried in one method, on a grid, under the budget of benchmarks/methods.py with other seeds; the test
images decide nothing. What was measured before under the same budget is kept. Writes
benchmarks/results/weights-PAIR.json and .md.
"""

from __future__ import annotations

import argparse
import json
import statistics

from benchmarks.methods import PAIRS
from benchmarks.runs import RESULTS, execute, result, spread, write
from kdcore.config import RunConfig, read
from kdcore.methods import BASELINE, METHODS
from kdcore.store import Store

SEEDS = (11, 12)
VALIDATION = {"cifar10": {"per_class": 300, "validation": 2 / 3},
              "cifar10-vgg": {"per_class": 210, "validation": 200 / 210},
              "mnist": {"per_class": 205, "validation": 200 / 205}}
GRID = {  # (method, key of the term, or of one of its settings): weights, or values
    (BASELINE, "cross_entropy"): (1,),
    ("cost_gradient", "cost_gradient"): (4, 40, 400, 4000),
    ("double_backpropagation", "double_backpropagation"): (4, 40, 400, 4000),
    ("summed_jacobian", "summed_jacobian"): (0.0001, 0.001, 0.01, 0.1),
    ("match_logits", "logits"): (0.003, 0.01, 0.03, 0.1, 0.3),
    ("match_jacobians", "jacobian"): (0.01, 0.03, 0.1, 0.3, 1, 3),
    ("cross_entropy_jacobian", "cross_entropy_jacobian.noise"): (0.0, 0.001, 0.003, 0.01),
    ("hint", "hint"): (0.1, 0.3, 1, 3, 10),
    ("attention", "attention"): (0.1, 0.3, 1, 3, 10),
    ("attention_jacobian", "attention_jacobian"): (0.1, 0.3, 1, 3, 10),
    ("map_information", "map_information"): (3, 10, 30, 100, 300),
    ("vector_information", "vector_information"): (0.1, 0.3, 1, 3, 10),
    ("flow_then_soft_targets", "flow"): (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1),
    ("flow_then_labels", "flow"): (0.001, 0.01, 0.1, 1),
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


def markdown(pair: str, rows: list[dict]) -> str:
    """A line for each weight: mean ± standard error of the accuracy on held-out images, the best one marked."""
    lines = [f"# Weights on {pair}: accuracy on held-out training images", "",
             "| method | term | weight | validation accuracy |", "|---|---|---|---|"]
    best = {}
    for row in sorted(rows, key=lambda row: statistics.mean(row["validation"])):
        best[row["method"], row["term"]] = row["weight"]
    for row in rows:
        mark = " **best**" if best[row["method"], row["term"]] == row["weight"] else ""
        lines.append(f"| {row['method']} | {row['term']} | {row['weight']:g} | {spread(row['validation'], 3)}{mark} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train what is missing, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pair", choices=VALIDATION)
    parser.add_argument("--methods", nargs="*", help="only these, by name")
    parser.add_argument("--store", help="folder of the runs, instead of $KD_STORE")
    options = parser.parse_args()
    pair, store = options.pair, Store(options.store)
    path, known = RESULTS / f"weights-{pair}.json", read(PAIRS[pair]).pair()
    budget = {**PAIRS[pair], "data": {**PAIRS[pair]["data"], **VALIDATION[pair]}}
    earlier = json.loads(path.read_text()) if path.exists() else {}
    rows = {(row["method"], row["term"], row["weight"]): row
            for row in earlier.get("accuracy", ()) if earlier["budget"] == json.loads(json.dumps(budget))}
    asked = [(*entry, weight) for entry, weights in GRID.items() for weight in weights
             if entry[0] in (options.methods or METHODS) and not METHODS[entry[0]].unsuited(known)]
    runs = {line: [run(pair, *line, seed) for seed in SEEDS] for line in asked}
    missing = [configs for line, configs in runs.items() if len(rows.get(line, {}).get("validation", ())) < len(SEEDS)]
    execute(store, [config for seed in zip(*missing) for config in seed], f"weights-{pair}")
    for line, configs in runs.items():
        ended = [end["last"] for end in (result(store, config, "accuracy.validation") for config in configs) if end]
        if len(ended) > len(rows.get(line, {}).get("validation", ())):
            rows[line] = dict(zip(("method", "term", "weight"), line), validation=ended)
    entries = list(GRID)
    ordered = [rows[line] for line in sorted(rows, key=lambda line: (entries.index(line[:2]), line[2]))]
    write(f"weights-{pair}", {"budget": budget, "accuracy": ordered}, markdown(pair, ordered))


if __name__ == "__main__":
    main()
