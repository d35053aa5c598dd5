"""Activation agreement of equal networks without connectors, after each stage: python -m benchmarks.agreement.

Heo et al. 2019, Table 7, on a budget for two cores: activation boundaries beside the l_p losses. What was measured
before under the same budget is kept. Writes benchmarks/results/agreement.json and .md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable

from benchmarks.methods import CIFAR, EQUAL, SGD
from benchmarks.runs import execute, kept, result, spread, write
from kdcore.config import RunConfig, read
from kdcore.methods import METHODS
from kdcore.store import Store

SEEDS = (1, 2, 3)
FIRST = 0.75  # share of the steps before the soft targets
BUDGET = {
    "data": {**CIFAR, "images": 5000}, "network": {"name": "wrn_10_1"}, "optimiser": SGD, "steps": 2000,
    "batch_size": 50, "evaluations": 4, "teacher": EQUAL}
GROUPS = ("group1", "group2", "group3")
CASES = {  # method -> weights of its first stage; the first one with every seed, the others with one
    "boundary_unconnected_then_soft_targets": (0.003,),
    "values_l2_then_soft_targets": (0.003, 0.0003, 0.03),
    "values_l1_then_soft_targets": (0.003, 0.0003),
    "values_l05_then_soft_targets": (0.003, 0.0003),
}


def run(name: str, weight: float, seed: int) -> RunConfig:
    """The run of a method with this weight on its first stage, which takes `FIRST` of the steps."""
    method = METHODS[name].model_dump(mode="json")
    first, task = method["stages"]
    first["share"], task["share"] = FIRST, 1 - FIRST
    for weighted in first["objective"].values():
        weighted["weight"] = weight
    return read({**BUDGET, "method": method, "seed": seed, "name": f"{name} · {weight:g} · seed {seed}"})


def runs() -> dict[tuple, RunConfig]:
    """{(method, weight, seed): run}."""
    return {(name, weight, seed): run(name, weight, seed) for name, weights in CASES.items() for weight in weights
            for seed in (SEEDS if weight == weights[0] else SEEDS[:1])}


def measured(store: Store, config: RunConfig) -> dict[str, dict[str, float]]:
    """{step: {group, "accuracy": value}} before, after the first stage and at the end."""
    run = store.find(config.hash())["id"]
    curves = {name: dict(zip(*store.curves([run], name if name == "accuracy" else f"agreement.{name}")[run]))
              for name in (*GROUPS, "accuracy")}
    return {str(step): {name: curve[step] for name, curve in curves.items()}
            for step in (0, round(FIRST * config.steps), config.steps)}


def markdown(rows: Iterable[dict]) -> str:
    """A line for each loss, weight and moment: mean ± standard error over seeds, in percent."""
    lines = ["# Activation agreement of equal networks, in percent", "",
             "Mean ± standard error (seeds) on 64 test images. Budget:", "", "```json", json.dumps(BUDGET), "```", "",
             "| loss of the first stage | weight | step | layer 1 | layer 2 | layer 3 | test accuracy |",
             "|---|---|---|---|---|---|---|"]
    rows = list(rows)
    for name, weight in dict.fromkeys((row["method"], row["weight"]) for row in rows):
        seeds = [row["steps"] for row in rows if (row["method"], row["weight"]) == (name, weight)]
        for step in seeds[0]:
            values = [spread([100 * seed[step][metric] for seed in seeds], 1) for metric in (*GROUPS, "accuracy")]
            lines.append(f"| {METHODS[name].title} | {weight:g} | {step} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train what is missing, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", help="folder of the runs, instead of $KD_STORE")
    store = Store(parser.parse_args().store)
    cases, found = runs(), kept("agreement")["runs"]
    keys = {case: config.hash() for case, config in cases.items()}
    missing = {case: config for case, config in cases.items() if keys[case] not in found}
    execute(store, list(missing.values()), "agreement")
    found |= {keys[case]: {**dict(zip(("method", "weight", "seed"), case)), "steps": measured(store, config)}
              for case, config in missing.items() if result(store, config)}
    rows = {key: found[key] for key in keys.values() if key in found}
    write("agreement", {"budget": BUDGET, "runs": rows}, markdown(rows.values()))


if __name__ == "__main__":
    main()
