"""The best that 50 labels can give, and one image a class: python -m benchmarks.few_labels.

Compositions are tried on held-out training images of MNIST, which alone decide. The best one is then trained on other
seeds, beside labels alone and the paper's full Jacobian in as many steps, and measured on the test images once. Writes
benchmarks/results/papers/few-labels.json and .md.
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial

from benchmarks.methods import ON_MNIST
from benchmarks.runs import kept, reached, result, spread, write
from kdcore.config import RunConfig, read
from kdcore.store import Store

NAME = "papers/few-labels"
TRIED_ON, SEEDS = (11, 12), tuple(range(1, 8))
HELD_OUT = 2000
EACH = {5: "50 labels", 1: "one image a class"}
FALLING = {"learning_rate": 1e-3, "falls": (0.6, 0.9), "fall": 0.2}
TEACHER = {**ON_MNIST["teacher"], "optimiser": {"learning_rate": 1e-3, "falls": (0.5,), "fall": 0.1}, "steps": 8000}
STEPS = {**ON_MNIST, "optimiser": FALLING, "steps": 8000, "evaluations": 4, "teacher": TEACHER}
LABELS = {"cross_entropy": {"weight": 1, "term": {"kind": "cross_entropy"}}}
LABELS_ONLY = "labels only"
COMPARED = {LABELS_ONLY: {"method": "labels_only"},
            "full Jacobian, λ = 0.1 and exact, as published": {"method": "full_jacobian"}}


def jacobian(weight: float, projections: int = 1, **others: dict) -> dict:
    """Labels and the full Jacobian, by random projections or, with 0 of them, exactly, and other terms."""
    term = {"weight": weight, "term": {"kind": "full_jacobian", "projections": projections}}
    return {"name": "custom", "title": "Custom", "stages": [{"objective": {**LABELS, "full_jacobian": term, **others}}]}


def weighed(kind: str, weight: float) -> dict:
    """One more term."""
    return {kind: {"weight": weight, "term": {"kind": kind}}}


CROPS = {"augment": "crop"}
LENT = {"data": "crops", "network": "network"}
TRIED = {
    "full Jacobian, λ = 10": {"method": jacobian(10)},
    "full Jacobian, λ = 30": {"method": jacobian(30)},
    "full Jacobian, λ = 30, and soft targets": {"method": jacobian(30, **weighed("soft_targets", 1))},
    "full Jacobian, λ = 30, and logits": {"method": jacobian(30, **weighed("logit_error", 0.01))},
    "Jacobian of the labelled class": {"method": "match_jacobians"},
    "logits under noise, crops": {"method": "noisy_outputs", "data": CROPS},
    "full Jacobian, λ = 10, crops": {"method": jacobian(10), "data": CROPS},
    "full Jacobian, λ = 30, crops": {"method": jacobian(30), "data": CROPS},
    "full Jacobian, λ = 100, crops": {"method": jacobian(100), "data": CROPS},
    "full Jacobian, λ = 30, crops, as large as the teacher": {
        "method": jacobian(30), "data": CROPS, "network": TEACHER["network"]},
}


def run(tried: dict, each: int, seed: int, held_out: int = 0) -> RunConfig:
    """A composition on `each` images of every class, and on as many more as are held out."""
    images = 10 * each + held_out
    data = {"name": "mnist", "images": images, "validation": held_out / images, **tried.get("data", {})}
    return read({**STEPS, **tried, "data": data, "seed": seed})


def last(store: Store, name: str, runs: list[int]) -> list[float]:
    """What each run reaches at the end."""
    ends = store.summary(runs, name)
    return [ends[run]["last"] for run in runs]


def searched(store: Store, each: int, known: dict[str, float]) -> dict[str, list[float]]:
    """{composition: its accuracies on held-out images, by seed}, the best one first; see `reached`."""
    wanted = {name: [run(tried, each, seed, HELD_OUT) for seed in TRIED_ON] for name, tried in TRIED.items()}
    found = reached(store, wanted, "Few labels", known, partial(last, store, "accuracy.validation"))
    return dict(sorted(found.items(), key=lambda entry: -statistics.mean(entry[1])))


def compared(store: Store, each: int, best: str, known: dict[str, float]) -> dict[str, list[float]]:
    """{way: its accuracies on the test images, by seed}, the best composition last, and before it labels only with its
    network and treatment of the images, which are no knowledge of the teacher's.
    """
    apart = {name: value for name, value in TRIED[best].items() if name != "method"}
    alike = {f"{LABELS_ONLY}, with the best one's {' and '.join(LENT[lent] for lent in apart)}": {
        **COMPARED[LABELS_ONLY], **apart}} if apart else {}
    wanted = {name: [run(tried, each, seed) for seed in SEEDS]
              for name, tried in {**COMPARED, **alike, best: TRIED[best]}.items()}
    return reached(store, wanted, "Few labels", known, partial(last, store, "accuracy"))


def markdown(teacher: float, found: dict[str, dict]) -> str:
    """For each number of labels, what was compared, and what was tried."""
    lines = ["# Few labels", "", "MNIST; the fully connected student of Ehmann & Samek 2018 unless it says otherwise, "
             "8000 steps of Adam at 1e-3, a fifth of it after 60 and 90 %; a full Jacobian by one random projection "
             "unless it is exact. Mean ± standard error (seeds). The teacher, of 20 000 images and 8000 steps, reaches "
             f"{teacher:.4f}."]
    for each, one in found.items():
        lines += ["", f"## {EACH[int(each)].capitalize()}", "", "| | test accuracy | points over labels only |",
                  "|---|---|---|"]
        base = next(iter(one["test"].values()))
        for name, values in one["test"].items():
            gains = [100 * (value - before) for value, before in zip(values, base, strict=True)]
            lines.append(f"| {name} | {spread(values, 4)} | {'' if values is base else spread(gains, 1)} |")
        lines += ["", f"Chosen by {HELD_OUT} held-out training images of other seeds, all of them the teacher's:", "",
                  "| | accuracy on held-out images |", "|---|---|",
                  *(f"| {name} | {spread(values, 3)} |" for name, values in one["held out"].items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train what is missing and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", help="folder of the runs, instead of $KD_STORE")
    store, earlier = Store(parser.parse_args().store), {"labels": {}, **kept(NAME)}
    known, found = earlier["runs"], earlier["labels"]
    for each in EACH:
        held_out = searched(store, each, known)
        found[str(each)] = {"held out": held_out, "test": compared(store, each, next(iter(held_out)), known)}
        end = result(store, read(TEACHER))
        teacher = end["last"] if end else earlier["teacher"]
        write(NAME, {"budget": STEPS, "teacher": teacher, "labels": found, "runs": known}, markdown(teacher, found))


if __name__ == "__main__":
    main()
