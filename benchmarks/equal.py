"""Whether what is faster teaches as well: python -m benchmarks.equal [LEVER ...].

Each lever that changes a run's arithmetic is trained with and without it on the same seeds, and the accuracies compared
by Wilcoxon's rank-sum test. Writes benchmarks/results/equal.json and .md.
"""

from __future__ import annotations

import argparse

from benchmarks.methods import ADAM, CIFAR, ON_MNIST, SGD
from benchmarks.runs import execute, kept, result, spread, write
from kdcore.comparison import rank_sums
from kdcore.config import RunConfig, read
from kdcore.store import Store

SEEDS = tuple(range(1, 8))
PHOTOGRAPHS = {
    "data": {**CIFAR, "per_class": 100, "augment": "crop_flip"}, "network": {"name": "wrn_10_1"}, "optimiser": SGD,
    "batch_size": 32, "steps": 600, "evaluations": 2, "threads": 2,
    "teacher": {"data": {**CIFAR, "images": 10_000, "augment": "crop_flip"}, "network": {"name": "wrn_16_1"},
                "optimiser": SGD, "steps": 1000, "batch_size": 64, "evaluations": 2, "threads": 2}}
LEVERS = {
    "bfloat16": ("Soft targets in bfloat16, 1000 photographs of CIFAR-10, WRN-16-1 → WRN-10-1", {
        "float32": {**PHOTOGRAPHS, "method": "soft_targets", "precision": "float32"},
        "bfloat16": {**PHOTOGRAPHS, "method": "soft_targets", "precision": "bfloat16"}}),
    "bfloat16-attention": ("Attention maps in bfloat16, the same", {
        "float32": {**PHOTOGRAPHS, "method": "attention", "precision": "float32"},
        "bfloat16": {**PHOTOGRAPHS, "method": "attention", "precision": "bfloat16"}}),
    "projection": ("Full Jacobian by one random projection, 50 digits of MNIST, FC", {
        "exact": {**ON_MNIST, "optimiser": ADAM, "method": "full_jacobian"},
        "one projection": {**ON_MNIST, "optimiser": ADAM, "method": "projected_jacobian"}}),
}


def runs(lever: str) -> dict[str, list[RunConfig]]:
    """{way: its runs, seed by seed}: the exact way first."""
    return {way: [read({**run, "seed": seed, "name": f"{lever}: {way} · seed {seed}"}) for seed in SEEDS]
            for way, run in LEVERS[lever][1].items()}


def compared(accuracies: dict[str, list[float]]) -> dict:
    """{"accuracies", "p"} of two ways, the exact one first."""
    return {"accuracies": accuracies, "p": rank_sums([tuple(accuracies.values())])["p"][0]}


def markdown(found: dict[str, dict]) -> str:
    """A line for each lever."""
    lines = ["# Equal accuracy", "", f"Test accuracy at the end, mean ± standard error (seeds 1 to {len(SEEDS)}), "
             "without and with what is faster; p of Wilcoxon's rank-sum test, two-sided, exact.", "",
             "| | without | with | difference in points | p |", "|---|---|---|---|---|"]
    for name, one in found.items():
        without, faster = one["accuracies"].values()
        points = 100 * (sum(faster) / len(faster) - sum(without) / len(without))
        lines.append(f"| {LEVERS[name][0]} | {spread(without, 4)} | {spread(faster, 4)} | {points:+.2f} | "
                     f"{one['p']:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("levers", nargs="*", metavar="LEVER", help=f"of {', '.join(LEVERS)}; all when left out")
    parser.add_argument("--store", help="folder of the runs, instead of $KD_STORE")
    options = parser.parse_args()
    store, found = Store(options.store), kept("equal").get("levers", {})
    for lever in options.levers or LEVERS:
        configs = runs(lever)
        execute(store, [config for seed in zip(*configs.values()) for config in seed], "Equal accuracy")
        found[lever] = compared({way: [result(store, config)["last"] for config in some]
                                 for way, some in configs.items()})
        write("equal", {"levers": {name: found[name] for name in LEVERS if name in found}},
              markdown({name: found[name] for name in LEVERS if name in found}))


if __name__ == "__main__":
    main()
