"""Every method against labels only, on real images under one small budget: python -m benchmarks.methods PAIR.

Runs are kept in a store and found again, so that an interrupted line goes on where it was. Writes
benchmarks/results/methods-PAIR.json and .md.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from pathlib import Path

import torch

from kdcore import methods
from kdcore.config import RunConfig, read
from kdcore.device import cores, describe
from kdcore.store import Store
from kdcore.worker import work

RESULTS = Path(__file__).parent / "results"
SEEDS = (1, 2, 3)
SGD = {"kind": "sgd", "learning_rate": 0.1, "nesterov": True, "weight_decay": 5e-4, "falls": [0.3, 0.6, 0.8],
       "fall": 0.2}
CIFAR = {"name": "folder", "path": "cifar10-jpeg.zip"}
PAIRS = {
    "cifar10": {
        "data": {**CIFAR, "per_class": 100}, "network": {"name": "wrn_10_1"}, "optimiser": SGD, "steps": 300,
        "batch_size": 50, "evaluations": 1,
        "teacher": {"data": {**CIFAR, "images": 20000, "augment": "crop_flip"}, "network": {"name": "wrn_16_2"},
                    "optimiser": SGD, "steps": 2000, "batch_size": 64, "evaluations": 4, "threads": 2}},
    "mnist": {
        "data": {"name": "mnist", "per_class": 5}, "network": {"name": "fc_student"}, "steps": 2000,
        "optimiser": {"learning_rate": 1e-3}, "batch_size": 50, "evaluations": 1,
        "teacher": {"data": {"name": "mnist", "images": 20000}, "network": {"name": "fc_teacher"}, "steps": 4000,
                    "optimiser": {"learning_rate": 1e-3}, "batch_size": 50, "evaluations": 4}},
}


def runs(pair: str, names: list[str] | None = None) -> list[RunConfig]:
    """The pair's runs with each method that suits it, seed by seed, the baseline first."""
    template = PAIRS[pair]
    known = read(template).pair()
    suited = [name for name, method in methods.METHODS.items()
              if (name in names if names else not method.ablation) and not method.unsuited(known)]
    ordered = dict.fromkeys([methods.BASELINE, *suited])
    return [read({**template, "method": name, "seed": seed, "name": f"{name} · seed {seed}"})
            for seed in SEEDS for name in ordered]


def table(store: Store, configs: list[RunConfig]) -> dict[str, dict]:
    """{method: {"title", "paper", "accuracy": {seed: last test accuracy}, "seconds": {seed: of training}}}."""
    found: dict[str, dict] = {}
    for config in configs:
        row = store.find(config.hash())
        summary = store.summary([row["id"]]) if row and row["state"] == "done" else {}
        if summary:
            entry = found.setdefault(config.method.name, {"title": config.method.title, "paper": config.method.paper,
                                                          "accuracy": {}, "seconds": {}})
            entry["accuracy"][config.seed] = summary[row["id"]]["last"]
            entry["seconds"][config.seed] = summary[row["id"]]["seconds"]
    return found


def markdown(pair: str, found: dict[str, dict], teacher: float | None) -> str:
    """The table as Markdown: mean ± standard error, and the mean gain over labels only on the same seeds."""
    base = found.get(methods.BASELINE, {"accuracy": {}})["accuracy"]
    lines = [f"# Every method on {pair}, seeds {', '.join(map(str, SEEDS))}", "",
             f"Teacher: {teacher:.3f}. Budget: {json.dumps(PAIRS[pair])}" if teacher else "", "",
             "| method | paper | test accuracy | points over labels only | seconds |", "|---|---|---|---|---|"]
    for entry in sorted(found.values(), key=lambda entry: -statistics.mean(entry["accuracy"].values())):
        gains = [100 * (value - base[seed]) for seed, value in entry["accuracy"].items() if seed in base]
        seconds = [value for value in entry["seconds"].values() if value is not None]
        lines.append(f"| {entry['title']} | {entry['paper']} | {_spread(list(entry['accuracy'].values()), 3)} | "
                     f"{_spread(gains, 1)} | {statistics.mean(seconds):.0f} |" if seconds else
                     f"| {entry['title']} | {entry['paper']} | {_spread(list(entry['accuracy'].values()), 3)} | "
                     f"{_spread(gains, 1)} | |")
    return "\n".join(lines) + "\n"


def _spread(values: list[float], digits: int) -> str:
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {error:.{digits}f} ({len(values)})"


def main() -> None:
    """Queue what is missing, execute it, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pair", choices=PAIRS)
    parser.add_argument("--methods", nargs="*", help="only these, by name")
    parser.add_argument("--store", help="folder of the runs, instead of $KD_STORE")
    options = parser.parse_args()
    store, configs = Store(options.store), runs(options.pair, options.methods)
    for config in configs:
        if store.find(config.hash()) is None:
            store.submit(config.planned(), f"methods on {options.pair}")
    work(store, idle_seconds=5)
    found = table(store, runs(options.pair))
    teacher = store.find(configs[0].teacher.hash())
    accuracy = store.summary([teacher["id"]])[teacher["id"]]["last"] if teacher else None
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"methods-{options.pair}.json").write_text(json.dumps(
        {"machine": {"device": describe()["title"], "cores": cores(), "system": platform.platform(),
                     "torch": torch.__version__}, "budget": PAIRS[options.pair], "teacher": accuracy,
         "methods": found}, indent=1))
    text = markdown(options.pair, found, accuracy)
    (RESULTS / f"methods-{options.pair}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
