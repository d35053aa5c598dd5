"""Activation agreement of equal networks without connectors, after each stage: python -m benchmarks.agreement.

Heo et al. 2019, Table 7, on a budget for two cores: activation boundaries beside the l_p losses. What was measured
before under the same budget is kept. Writes benchmarks/results/agreement.json and .md.
"""

from __future__ import annotations

import argparse
import json

from benchmarks.methods import CIFAR, SGD
from benchmarks.runs import RESULTS, execute, spread, write
from kdcore.config import RunConfig, read
from kdcore.methods import METHODS
from kdcore.store import Store

SEEDS = (1, 2, 3)
FIRST = 0.75  # share of the steps before the soft targets
BUDGET = {
    "data": {**CIFAR, "images": 5000}, "network": {"name": "wrn_10_1"}, "optimiser": SGD, "steps": 2000,
    "batch_size": 50, "evaluations": 4,
    "teacher": {"data": {**CIFAR, "images": 20000, "augment": "crop_flip"}, "network": {"name": "wrn_10_1"},
                "optimiser": SGD, "steps": 2000, "batch_size": 64, "evaluations": 2}}
GROUPS = ("group1", "group2", "group3")
CASES = {  # method -> weights of its first stage; the first one with every seed, the others with one
    "boundary_unconnected_then_soft_targets": (0.003,),
    "values_l2_then_soft_targets": (0.003, 0.0003, 0.03),
    "values_l1_then_soft_targets": (0.003,),
    "values_l05_then_soft_targets": (0.003,),
}


def run(name: str, weight: float, seed: int) -> RunConfig:
    """The run of a method with this weight on its first stage, which takes `FIRST` of the steps."""
    method = METHODS[name].model_dump(mode="json")
    first, task = method["stages"]
    first["share"], task["share"] = FIRST, 1 - FIRST
    for weighted in first["objective"].values():
        weighted["weight"] = weight
    return read({**BUDGET, "method": method, "seed": seed, "name": f"{name} · {weight:g} · seed {seed}"})


def measured(store: Store, config: RunConfig) -> dict[int, dict[str, float]]:
    """{step: {group, "accuracy": value}} before, after the first stage and at the end."""
    row = store.find(config.hash())
    found: dict[int, dict[str, float]] = {0: {}, round(FIRST * config.steps): {}, config.steps: {}}
    for name in (*GROUPS, "accuracy"):
        metric = name if name == "accuracy" else f"agreement.{name}"
        steps, values = store.curves([row["id"]], metric)[row["id"]]
        for step, value in zip(steps, values):
            if step in found:
                found[step][name] = value
    return found


def markdown(rows: list[dict]) -> str:
    """A line for each loss, weight and moment: mean ± standard error over seeds, in percent."""
    lines = ["# Activation agreement of equal networks, in percent", "",
             "Mean ± standard error (seeds) on 64 test images. Budget:", "", "```json", json.dumps(BUDGET), "```", "",
             "| loss of the first stage | weight | step | layer 1 | layer 2 | layer 3 | test accuracy |",
             "|---|---|---|---|---|---|---|"]
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
    cases = [(name, weight, seed) for name, weights in CASES.items() for weight in weights
             for seed in (SEEDS if weight == weights[0] else SEEDS[:1])]
    path = RESULTS / "agreement.json"
    earlier = json.loads(path.read_text()) if path.exists() else {}
    rows = {(row["method"], row["weight"], row["seed"]): row
            for row in earlier.get("runs", ()) if earlier["budget"] == json.loads(json.dumps(BUDGET))}
    missing = [case for case in cases if case not in rows]
    execute(store, [run(*case) for case in missing], "agreement")
    rows |= {case: dict(zip(("method", "weight", "seed"), case), steps=measured(store, run(*case)))
             for case in missing if store.find(run(*case).hash())["state"] == "done"}
    ordered = [rows[case] for case in cases if case in rows]
    write("agreement", {"budget": BUDGET, "runs": ordered}, markdown(ordered))


if __name__ == "__main__":
    main()
