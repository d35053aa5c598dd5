"""Whether other arithmetic teaches as well: python -m benchmarks.equal [LEVER ...].

What changes a run's arithmetic to save time is trained with and without it on the same seeds, and the accuracies
compared: by Wilcoxon's rank-sum test, and by the mean difference on the same seed with its standard error. Writes
benchmarks/results/equal.json and .md.
"""

from __future__ import annotations

import argparse

from benchmarks.methods import CIFAR, ON_MNIST, SGD
from benchmarks.runs import kept, result, spread, trained, write
from kdcore.comparison import rank_sums
from kdcore.config import RunConfig, read
from kdcore.errors import meant
from kdcore.store import Store

SEEDS = tuple(range(1, 8))
PHOTOGRAPHS = {
    "data": {**CIFAR, "per_class": 100, "augment": "crop_flip"}, "network": {"name": "wrn_10_1"}, "optimiser": SGD,
    "batch_size": 32, "steps": 600, "evaluations": 2, "threads": 2,
    "teacher": {"data": {**CIFAR, "images": 10_000, "augment": "crop_flip"}, "network": {"name": "wrn_16_1"},
                "optimiser": SGD, "steps": 1000, "batch_size": 64, "evaluations": 2, "threads": 2}}
COMPARED = {
    "bfloat16": ("Soft targets in bfloat16, 1000 photographs of CIFAR-10, WRN-16-1 → WRN-10-1", {
        "float32": {**PHOTOGRAPHS, "method": "soft_targets", "precision": "float32"},
        "bfloat16": {**PHOTOGRAPHS, "method": "soft_targets", "precision": "bfloat16"}}),
    "bfloat16-attention": ("Attention maps in bfloat16, the same", {
        "float32": {**PHOTOGRAPHS, "method": "attention", "precision": "float32"},
        "bfloat16": {**PHOTOGRAPHS, "method": "attention", "precision": "bfloat16"}}),
    "projection": ("Full Jacobian by one random projection, 50 digits of MNIST, FC", {
        "exact": {**ON_MNIST, "method": "full_jacobian"},
        "one projection": {**ON_MNIST, "method": "projected_jacobian"}}),
}


def runs(lever: str) -> dict[str, list[RunConfig]]:
    """{way: its runs, seed by seed}: the exact way first."""
    return {way: [read({**run, "seed": seed, "name": f"{lever}: {way} · seed {seed}"}) for seed in SEEDS]
            for way, run in COMPARED[lever][1].items()}


def compared(accuracies: dict[str, list[float]]) -> dict:
    """{"accuracies", "p"} of two ways, the exact one first."""
    return {"accuracies": accuracies, "p": rank_sums([tuple(accuracies.values())])["p"][0]}


def markdown(found: dict[str, dict]) -> str:
    """A line for each lever."""
    lines = ["# Equal accuracy", "", f"Test accuracy at the end, mean ± standard error (seeds 1 to {len(SEEDS)}), "
             "without and with what is to save time; the difference is of the same seeds, p of Wilcoxon's rank-sum "
             "test, two-sided, exact.", "", "| | without | with | difference in points | p |", "|---|---|---|---|---|"]
    for name, one in found.items():
        without, saving = one["accuracies"].values()
        points = [100 * (with_it - exact) for exact, with_it in zip(without, saving, strict=True)]
        lines.append(f"| {COMPARED[name][0]} | {spread(without, 4)} | {spread(saving, 4)} | {spread(points, 2)} | "
                     f"{one['p']:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("levers", nargs="*", metavar="LEVER", help=f"of {', '.join(COMPARED)}; all when left out")
    parser.add_argument("--store", help="folder of the runs, instead of $KD_STORE")
    options = parser.parse_args()
    if unknown := [name for name in options.levers if name not in COMPARED]:
        parser.error(f"There is nothing called {unknown[0]!r}{meant(unknown[0], COMPARED)}.")
    store, found = Store(options.store), kept("equal").get("levers", {})
    for lever in options.levers or COMPARED:
        configs = runs(lever)
        trained(store, [config for seed in zip(*configs.values()) for config in seed], "Equal accuracy")
        found[lever] = compared({way: [result(store, config)["last"] for config in some]
                                 for way, some in configs.items()})
        found = {name: found[name] for name in COMPARED if name in found}
        write("equal", {"levers": found}, markdown(found))


if __name__ == "__main__":
    main()
