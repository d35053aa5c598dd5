"""Why some methods stay below labels only, as experiments: python -m benchmarks.causes.

How large a term starts; how far the sum of the teacher's logits has drifted; how a first stage of FSP matrices leaves
the weights; how many neurons are silent after l_2; what labels, or soft targets, reach alone in the steps of a second
stage; whether the photographs or the share of the first stage decide who leads at one epoch. Teachers and runs of the
other benchmarks are taken from the store, or made. Writes benchmarks/results/causes.json and .md.
"""

from __future__ import annotations

import argparse
import statistics

import torch
from torch import nn

from benchmarks import agreement
from benchmarks.methods import PAIRS, SEEDS, of_pair
from benchmarks.runs import execute, kept, result, spread, write
from kdcore import data, snapshots
from kdcore.config import RunConfig, read
from kdcore.methods import BASELINE, METHODS
from kdcore.response import Response
from kdcore.store import Store
from kdcore.train import Measurement, build, fit, train

STARTS = (("cifar10", "cost_gradient"), ("cifar10", "double_backpropagation"), ("mnist", "cost_gradient"),
          ("mnist", "summed_jacobian"), ("mnist-paper", "summed_jacobian"))
DRIFTS = ("mnist", "mnist-paper")
FLOW_WEIGHTS = (0.1, 1)
SECOND_STAGES = {
    BASELINE: {
        "cifar10": ("flow_then_labels", "flow_then_other_labels", "hint_then_labels", "hint_then_falling_soft_targets",
                    "flow_ensemble", "hint_ensemble_middle"),
        "cifar10-residual": ("flow_then_labels",),
        "cifar10-transfer": ("flow_centred_second_head", "hint_centred_second_head", "boundary_centred_second_head")},
    "soft_targets_alone": dict.fromkeys(("cifar10", "cifar10-long", "cifar10-epoch", "cifar10-residual"),
                                        ("flow_then_soft_targets",))}
SHARED = ("boundary_then_soft_targets", "hint_then_soft_targets")
SHARES = (1 / 6, 1 / 2)
IMAGES = 1000


def run(pair: str, **changes) -> RunConfig:
    """The pair's run, changed."""
    return read({**PAIRS[pair], **changes})


def learnt(store: Store, config: RunConfig) -> nn.Module:
    """The network of a run, trained where the store does not have it."""
    execute(store, [config], "causes")
    return snapshots.network(store, store.find(config.hash())["id"])


def start(store: Store, pair: str, name: str) -> list[float]:
    """λ·term / cross entropy in the first step, for each seed."""
    teacher, shares = learnt(store, run(pair).teacher), []
    for seed in SEEDS:
        config = run(pair, method=name, seed=seed, steps=1)
        values = [record.values for record in train(config, teacher=teacher) if isinstance(record, Measurement)][-1]
        (weight, term), = [(weighted.weight, values[f"term.{key}"])
                           for key, weighted in config.method.stages[0].objective.items() if key != "cross_entropy"]
        shares.append(weight * term / values["term.cross_entropy"])
    return shares


@torch.no_grad()
def drift(store: Store, pair: str) -> dict[str, float]:
    """Mean and deviation over the test images of the sum of the teacher's logits."""
    config = run(pair)
    sums = learnt(store, config.teacher)(data.of_run(config, "test")[:].pixels).sum(1)
    return {"mean": float(sums.mean()), "deviation": float(sums.std())}


def norms(store: Store, weight: float) -> dict[str, float]:
    """Median norm of the student's convolutions before and after the first stage of FSP matrices."""
    config = run("cifar10", method="flow_then_labels", seed=SEEDS[0])
    stage = config.method.stages[0].model_dump(mode="json") | {"share": 1.0}
    stage["objective"]["flow"]["weight"] = weight
    alone = run("cifar10", method={"stages": [stage]}, seed=SEEDS[0], steps=config.ends()[0])
    networks = {"before": build(alone), "after": fit(alone, teacher=learnt(store, config.teacher))}
    return {moment: statistics.median(float(parameter.detach().norm()) for parameter in network.parameters()
                                      if parameter.dim() == 4) for moment, network in networks.items()}


@torch.no_grad()
def silent(store: Store, name: str, weight: float) -> dict[str, float]:
    """Share of each group's neurons that no test image switches on, though some switch on the teacher's."""
    config = agreement.run(name, weight, agreement.SEEDS[0])
    images = data.of_run(config, "test")[torch.arange(0, 10 * IMAGES, 10)]
    taps = tuple(f"{group}.pre" for group in agreement.GROUPS)
    ours, theirs = (Response(learnt(store, run), images.pixels, taps=taps, differentiable=False).taps
                    for run in (config, config.teacher))
    return {tap.removesuffix(".pre"): float(((ours[tap] <= 0).all(0) & (theirs[tap] > 0).any(0)).float().mean())
            for tap in taps}


def second_stage(store: Store, pair: str, name: str, alone: str) -> dict:
    """The steps of the method's second stage, and what the method `alone` reaches in as many, for each seed."""
    steps = PAIRS[pair]["steps"] - run(pair, method=of_pair(name, pair)).ends()[0]
    runs = [run(pair, method=alone, steps=steps, seed=seed, name=f"{alone}, {steps} steps · seed {seed}")
            for seed in SEEDS]
    execute(store, runs, "causes")
    return {"steps": steps, "accuracies": [result(store, run)["last"] for run in runs]}


def shared(store: Store, pair: str, name: str, share: float) -> list[float]:
    """Accuracy of the method whose first stage takes this share of the steps, for each seed."""
    runs = [run(pair, method=of_pair(name, pair, share), seed=seed, name=f"{name}, first {share:.2f} · seed {seed}")
            for seed in SEEDS]
    before = kept(f"methods-{pair}")["runs"]
    execute(store, [run for run in runs if run.hash() not in before], "causes")
    return [before[run.hash()]["accuracy"] if run.hash() in before else result(store, run)["last"] for run in runs]


def table(title: str, heads: list[str], rows: list[list]) -> list[str]:
    """A heading and a Markdown table."""
    lines = [[*heads], ["---"] * len(heads), *rows]
    return [f"## {title}", "", *("| " + " | ".join(map(str, line)) + " |" for line in lines), ""]


def markdown(found: dict) -> str:
    """A table for each experiment."""
    lines = ["# Why some methods stay below labels only", ""]
    lines += table("How large a term starts, beside the cross entropy", ["pair", "method", "λ · term / cross entropy"],
                   [[row["pair"], METHODS[row["method"]].title, spread(row["shares"], 3)] for row in found["starts"]])
    lines += table("Sum of the teacher's logits on the test images", ["pair", "mean", "deviation"], [
        [row["pair"], f"{row['mean']:.0f}", f"{row['deviation']:.0f}"] for row in found["drifts"]])
    lines += table("Median norm of the convolutions, first stage of FSP matrices at a learning rate of 0.001",
                   ["weight", "before", "after"],
                   [[row["weight"], f"{row['before']:.1f}", f"{row['after']:.1f}"] for row in found["norms"]])
    lines += table("Neurons that no test image switches on, though the teacher's are, in percent",
                   ["loss of the first stage", "weight", *agreement.GROUPS],
                   [[METHODS[row["method"]].title, row["weight"], *(f"{100 * row[group]:.1f}" for group in
                                                                    agreement.GROUPS)] for row in found["silent"]])
    lines += table("What needs no first stage, for as many steps as a method's second stage has",
                   ["pair", "method", "steps", "alone", "accuracy"],
                   [[row["pair"], METHODS[row["method"]].title, row["steps"], METHODS[row["alone"]].title,
                     spread(row["accuracies"], 3)] for row in found["second_stages"]])
    lines += table("Photographs and share of the first stage", ["pair", "photographs", "share", "method", "accuracy"], [
        [row["pair"], 10 * PAIRS[row["pair"]]["data"]["per_class"], f"{row['share']:.2f}",
         METHODS[row["method"]].title, spread(row["accuracies"], 3)] for row in found["shared"]])
    return "\n".join(lines)


def main() -> None:
    """Make all of them, write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", help="folder of the runs, instead of $KD_STORE")
    store = Store(parser.parse_args().store)
    found = {
        "starts": [{"pair": pair, "method": name, "shares": start(store, pair, name)} for pair, name in STARTS],
        "drifts": [{"pair": pair, **drift(store, pair)} for pair in DRIFTS],
        "norms": [{"weight": weight, **norms(store, weight)} for weight in FLOW_WEIGHTS],
        "silent": [{"method": name, "weight": weight, **silent(store, name, weight)}
                   for name, weights in agreement.CASES.items() for weight in weights],
        "second_stages": [{"pair": pair, "method": name, "alone": alone, **second_stage(store, pair, name, alone)}
                          for alone, pairs in SECOND_STAGES.items() for pair, names in pairs.items()
                          for name in names],
        "shared": [{"pair": pair, "method": name, "share": share, "accuracies": shared(store, pair, name, share)}
                   for pair in ("cifar10-long", "cifar10-epoch") for share in SHARES for name in SHARED]}
    write("causes", found, markdown(found))


if __name__ == "__main__":
    main()
