"""Every method against labels only, on real images under one small budget: python -m benchmarks.methods PAIR.

Runs are kept in a store and found again, and so are results of the same budget that were written before. Writes
benchmarks/results/methods-PAIR.json and .md.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Collection

from benchmarks.runs import execute, failures, kept, result, spread, write
from kdcore import methods
from kdcore.config import RunConfig, read
from kdcore.store import Store

SEEDS = (1, 2, 3)
SGD, TRANSFER, RESIDUAL, PRINTED = (methods.OPTIMISERS[name].model_dump(mode="json") for name in (
    f"{methods.HEO}, CIFAR-10", f"{methods.HEO}, transfer", methods.YIM, methods.EHMANN_SAMEK))
CIFAR = {"name": "folder", "path": "cifar10-jpeg.zip"}
ADAM = {"learning_rate": 1e-3}
EQUAL = {"data": {**CIFAR, "images": 20000, "augment": "crop_flip"}, "network": {"name": "wrn_10_1"},
         "optimiser": SGD, "steps": 2000, "batch_size": 64, "evaluations": 2}
ON_CIFAR = {
    "data": {**CIFAR, "per_class": 100}, "network": {"name": "wrn_10_1"}, "optimiser": SGD, "batch_size": 32,
    "evaluations": 1, "teacher": {**EQUAL, "network": {"name": "wrn_16_2"}, "threads": 2}}
ON_MNIST = {
    "data": {"name": "mnist", "per_class": 5}, "network": {"name": "fc_student"}, "optimiser": ADAM, "steps": 2000,
    "batch_size": 50, "evaluations": 1,
    "teacher": {"data": {"name": "mnist", "images": 20000}, "network": {"name": "fc_teacher"}, "optimiser": ADAM,
                "steps": 4000, "batch_size": 50, "evaluations": 4}}
PAIRS = {
    "cifar10": {**ON_CIFAR, "steps": 300},
    "cifar10-equal": {**ON_CIFAR, "steps": 300, "teacher": EQUAL},
    "cifar10-long": {**ON_CIFAR, "steps": 1500},
    "cifar10-transfer": {**ON_CIFAR, "optimiser": TRANSFER, "steps": 600},
    "shapes": {**ON_CIFAR, "data": {"name": "shapes", "per_class": 100}, "optimiser": TRANSFER, "steps": 1000},
    "cifar10-epoch": {**ON_CIFAR, "data": {**CIFAR, "per_class": 2500}, "steps": 2 * 782},
    "cifar10-vgg": {**ON_CIFAR, "data": {**CIFAR, "per_class": 10}, "network": {"name": "vgg4", "width": 0.5},
                    "steps": 600},
    "cifar10-vgg9": {**ON_CIFAR, "data": {**CIFAR, "per_class": 50}, "network": {"name": "vgg9", "width": 0.25},
                     "steps": 100, "teacher": {**EQUAL, "network": {"name": "vgg9", "width": 0.25}, "steps": 1000}},
    "cifar10-residual": {
        **ON_CIFAR, "data": {**CIFAR, "per_class": 500, "augment": "crop_flip"}, "network": {"name": "residual8"},
        "optimiser": RESIDUAL, "batch_size": 64, "steps": 1000,
        "teacher": {**ON_CIFAR["teacher"], "network": {"name": "residual26"}, "optimiser": RESIDUAL}},
    "mnist": ON_MNIST,
    "mnist-20000": {**ON_MNIST, "data": {"name": "mnist", "per_class": 2000}, "steps": 4000},
    "mnist-paper": {**ON_MNIST, "optimiser": PRINTED, "steps": 10_000,
                    "teacher": {**ON_MNIST["teacher"], "optimiser": PRINTED, "steps": 50_000}}}


FIRST = {"cifar10-epoch": 0.5}  # share of a first stage: one epoch and one, as in Heo et al. 2019, Table 1


def runs(pair: str, names: Collection[str] | None = None) -> list[RunConfig]:
    """The pair's runs with each of the methods that suits it, seed by seed, the baseline first.

    `names` are the methods; left out, all but the variants of others.
    """
    template = PAIRS[pair]
    known = read(template).pair()
    suited = [name for name, method in methods.METHODS.items()
              if (name in names if names else not method.ablation) and not method.unsuited(known)]
    ordered = dict.fromkeys([methods.BASELINE, *suited])
    return [read({**template, "method": of_pair(name, pair), "seed": seed,
                  "name": f"{name} · seed {seed}"}) for seed in SEEDS for name in ordered]


def of_pair(name: str, pair: str, share: float | None = None) -> dict:
    """A method as data, its first stage as long as `share` says, or the pair."""
    method, share = methods.METHODS[name].model_dump(mode="json"), share or FIRST.get(pair)
    if share and len(method["stages"]) > 1:
        first, task = method["stages"]
        first["share"], task["share"] = share, 1 - share
    return method


def measured(store: Store, configs: list[RunConfig]) -> dict[str, dict]:
    """{run: {"method", "seed", "accuracy" at the end, "seconds" of training}}, by the run's hash.

    Of a run that failed, {"method", "seed", "failed": why}.
    """
    failed, found = failures(store), {}
    for config in configs:
        key, end = config.hash(), result(store, config)
        if end or key in failed:
            found[key] = {"method": config.method.name, "seed": config.seed, **(
                {"accuracy": end["last"], "seconds": end["seconds"]} if end else {"failed": failed[key]})}
    return found


def markdown(pair: str, rows: list[dict], teacher: float) -> str:
    """The table as Markdown: mean ± standard error over seeds, and the gain over labels only on the same seeds."""
    ended = [row for row in rows if "failed" not in row]
    by_method = {name: {row["seed"]: row for row in ended if row["method"] == name}
                 for name in dict.fromkeys(row["method"] for row in ended)}
    lines = [f"# Methods on {pair}", "", f"Mean ± standard error (seeds). Teacher: {teacher:.3f}. An ensemble's "
             "points are over one of as many networks. Budget:", "",
             "```json", json.dumps(PAIRS[pair]), "```", "",
             "| method | paper | test accuracy | points over labels only | seconds |", "|---|---|---|---|---|"]
    for name, seeds in sorted(by_method.items(), key=lambda entry: -_mean(entry[1], "accuracy")):
        accuracies = [row["accuracy"] for row in seeds.values()]
        method = methods.METHODS[name]
        base = by_method.get(methods.baseline(method.members).name, {})
        gains = [100 * (row["accuracy"] - base[seed]["accuracy"]) for seed, row in seeds.items() if seed in base]
        seconds = "" if any(row["seconds"] is None for row in seeds.values()) else f"{_mean(seeds, 'seconds'):.0f}"
        failed = sum(row["method"] == name for row in rows) - len(seeds)
        words = spread(accuracies, 3) + (f", {failed} more failed" if failed else "")
        lines.append(f"| {method.title} | {method.paper} | {words} | "
                     f"{spread(gains, 1) if seeds is not base and gains else ''} | {seconds} |")
    return "\n".join(lines) + "\n"


def _mean(seeds: dict[int, dict], name: str) -> float:
    return statistics.mean(row[name] for row in seeds.values())


def main() -> None:
    """Train what is missing, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pair", choices=PAIRS)
    parser.add_argument("--methods", nargs="*", help="only these, by name")
    parser.add_argument("--store", help="folder of the runs, instead of $KD_STORE")
    options = parser.parse_args()
    name, store = f"methods-{options.pair}", Store(options.store)
    earlier, known = kept(name), runs(options.pair, methods.METHODS)
    execute(store, [config for config in runs(options.pair, options.methods)
                    if config.hash() not in earlier["runs"]], name)
    keys = {config.hash() for config in known}
    found = {key: row for key, row in earlier["runs"].items() if key in keys} | measured(store, known)
    end = result(store, read(PAIRS[options.pair]).teacher)
    teacher = end["last"] if end else earlier["teacher"]
    write(name, {"budget": PAIRS[options.pair], "teacher": teacher, "runs": found},
          markdown(options.pair, list(found.values()), teacher))


if __name__ == "__main__":
    main()
