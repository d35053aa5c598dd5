"""Why some methods stay below labels only, as experiments: python -m benchmarks.causes.

How large a term starts; how far the sum of the teacher's logits has drifted; how a first stage of FSP matrices leaves
the weights; how many neurons are silent after l_2; what a second stage reaches alone, in its own steps; whether the
photographs or the share of the first stage decide who leads at one epoch; what a linear classifier makes of the
teacher's features; what regularisers do to accuracy, and to accuracy under noise. Teachers and runs of the other
benchmarks are taken from the store, or made. Writes benchmarks/results/causes.json and .md.
"""

from __future__ import annotations

import argparse
import statistics

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from benchmarks import agreement
from benchmarks.methods import CIFAR, ON_CIFAR, PAIRS, SEEDS, SGD, of_pair
from benchmarks.runs import execute, kept, result, spread, write
from kdcore import data, snapshots
from kdcore.config import RunConfig, read
from kdcore.methods import BASELINE, METHODS
from kdcore.objective import Optimiser
from kdcore.response import Response
from kdcore.store import Store
from kdcore.train import Measurement, build, fit, train

STARTS = (("cifar10", "cost_gradient"), ("cifar10", "double_backpropagation"), ("mnist", "cost_gradient"),
          ("mnist", "summed_jacobian"), ("mnist-paper", "summed_jacobian"))
DRIFTS = ("mnist", "mnist-paper")
FLOW_WEIGHTS = (0.1, 1)
SECOND_STAGES = {
    "cifar10": ("flow_then_labels", "flow_then_other_labels", "hint_then_labels", "hint_then_falling_soft_targets",
                "flow_then_soft_targets", "flow_ensemble", "hint_ensemble_middle"),
    "cifar10-long": ("flow_then_soft_targets",),
    "cifar10-epoch": ("flow_then_soft_targets",),
    "cifar10-residual": ("flow_then_labels", "flow_then_soft_targets"),
    "cifar10-transfer": ("flow_centred_second_head", "hint_centred_second_head", "boundary_centred_second_head")}
SHARED = ("boundary_then_soft_targets", "hint_then_soft_targets")
SHARES = (1 / 6, 1 / 2)
PROBED = ("shapes", "cifar10")
REGULARISERS = (BASELINE, "jacobian_norm_weak", "jacobian_norm", "jacobian_norm_strong", "weight_decay", "dropout")
REGULARISED = {**{name: value for name, value in ON_CIFAR.items() if name != "teacher"},
               "data": {**CIFAR, "per_class": 200}, "network": {"name": "vgg9", "width": 0.25},
               "optimiser": {**SGD, "weight_decay": 0}, "steps": 1500}
DEVIATIONS = (0, 0.1, 0.2, 0.3, 0.4)  # of noise on normalised images, as Srinivas & Fleuret 2018, Table 2, have it
PIXELS = 0.25  # how far the pixels of a photograph deviate, which normalisation makes 1
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


def second_stage(store: Store, pair: str, name: str) -> dict:
    """The steps of the method's second stage, what it reaches without the first, for each seed, and what with it."""
    config = run(pair, method=of_pair(name, pair))
    begins, task = config.ends()[0], config.method.stages[1]
    optimiser = task.optimiser or config.optimiser
    if not (task.optimiser or task.restarts):
        optimiser = after(optimiser, begins / config.steps)
    method = config.method.model_dump(mode="json") | {"shared_stages": 0, "stages": [
        task.model_dump(mode="json") | {"share": 1, "optimiser": optimiser.model_dump(mode="json")}]}
    runs = [run(pair, method=method, steps=config.steps - begins, seed=seed,
                name=f"{name}, second stage · seed {seed}") for seed in SEEDS]
    execute(store, runs, "causes")
    return {"steps": config.steps - begins, "alone": [result(store, run)["last"] for run in runs],
            "whole": [row["accuracy"] for row in kept(f"methods-{pair}")["runs"].values() if row["method"] == name]}


def after(optimiser: Optimiser, done: float) -> Optimiser:
    """How an optimiser goes on when this share of a run lies behind."""
    return optimiser.model_copy(update={
        "learning_rate": optimiser.rate(done),
        "falls": tuple((share - done) / (1 - done) for share in optimiser.falls if share > done)})


def shared(store: Store, pair: str, name: str, share: float) -> list[float]:
    """Accuracy of the method whose first stage takes this share of the steps, for each seed."""
    runs = [run(pair, method=of_pair(name, pair, share), seed=seed, name=f"{name}, first {share:.2f} · seed {seed}")
            for seed in SEEDS]
    before = kept(f"methods-{pair}")["runs"]
    execute(store, [run for run in runs if run.hash() not in before], "causes")
    return [before[run.hash()]["accuracy"] if run.hash() in before else result(store, run)["last"] for run in runs]


def regularised(name: str, seed: int) -> RunConfig:
    """A run of the network that is tried under noise."""
    return read({**REGULARISED, "method": name, "seed": seed, "name": f"{name}, noise · seed {seed}"})


@torch.no_grad()
def noisy(store: Store) -> list[dict]:
    """For each regulariser, accuracy on test images with noise of each deviation, for each seed."""
    execute(store, [regularised(name, seed) for seed in SEEDS for name in REGULARISERS], "causes")
    return [{"method": name, "accuracies": [under_noise(learnt(store, regularised(name, seed)), seed)
                                            for seed in SEEDS]} for name in REGULARISERS]


def under_noise(network: nn.Module, seed: int) -> list[float]:
    """Accuracy on test images with noise of each deviation."""
    images = data.of_run(regularised(BASELINE, seed), "test")[torch.arange(0, 10 * IMAGES, 5)]
    noise = PIXELS * torch.randn(images.pixels.shape, generator=torch.Generator().manual_seed(seed))
    return [float((network(images.pixels + deviation * noise).argmax(1) == images.labels).float().mean())
            for deviation in DEVIATIONS]


@torch.no_grad()
def probe(store: Store, pair: str) -> dict[str, float]:
    """Test accuracy of a linear classifier of what the teacher has at each group's end, on the student's images."""
    config = run(pair, seed=SEEDS[0])
    teacher, found = learnt(store, config.teacher), {}
    learning, test = data.of_run(config, "train")[:], data.of_run(config, "test")
    tested = test[torch.arange(0, len(test), len(test) // (2 * IMAGES))]  # files come class by class
    for group in agreement.GROUPS:
        features = [Response(teacher, images.pixels, taps=(group,), differentiable=False).taps[group].mean((2, 3))
                    for images in (learning, tested)]
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        classifier.fit(features[0].numpy(), learning.labels.numpy())
        found[group] = float(classifier.score(features[1].numpy(), tested.labels.numpy()))
    return found


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
    lines += table("A second stage in its own steps, without the first and with it",
                   ["pair", "method", "steps", "without", "with"],
                   [[row["pair"], METHODS[row["method"]].title, row["steps"], spread(row["alone"], 3),
                     spread(row["whole"], 3)] for row in found["second_stages"]])
    lines += table("Photographs and share of the first stage", ["pair", "photographs", "share", "method", "accuracy"], [
        [row["pair"], 10 * PAIRS[row["pair"]]["data"]["per_class"], f"{row['share']:.2f}",
         METHODS[row["method"]].title, spread(row["accuracies"], 3)] for row in found["shared"]])
    lines += table("A linear classifier of the teacher's features, on the student's images: test accuracy",
                   ["pair", *agreement.GROUPS],
                   [[row["pair"], *(f"{row[group]:.3f}" for group in agreement.GROUPS)] for row in found["probes"]])
    lines += table("Accuracy under noise at test time, of deviation", ["method", *map(str, DEVIATIONS)], [
        [METHODS[row["method"]].title, *(spread(each, 3) for each in zip(*row["accuracies"]))]
        for row in found["noise"]])
    return "\n".join(lines)


EXPERIMENTS = {
    "starts": lambda store: [
        {"pair": pair, "method": name, "shares": start(store, pair, name)} for pair, name in STARTS],
    "drifts": lambda store: [{"pair": pair, **drift(store, pair)} for pair in DRIFTS],
    "norms": lambda store: [{"weight": weight, **norms(store, weight)} for weight in FLOW_WEIGHTS],
    "silent": lambda store: [{"method": name, "weight": weight, **silent(store, name, weight)}
                             for name, weights in agreement.CASES.items() for weight in weights],
    "second_stages": lambda store: [{"pair": pair, "method": name, **second_stage(store, pair, name)}
                                    for pair, names in SECOND_STAGES.items() for name in names],
    "shared": lambda store: [
        {"pair": pair, "method": name, "share": share, "accuracies": shared(store, pair, name, share)}
        for pair in ("cifar10-long", "cifar10-epoch") for share in SHARES for name in SHARED],
    "probes": lambda store: [{"pair": pair, **probe(store, pair)} for pair in PROBED],
    "noise": noisy}


def main() -> None:
    """Make the experiments that were asked for, keep the others, write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=EXPERIMENTS, default=list(EXPERIMENTS),
                        help="only these; the others stay as they were measured")
    parser.add_argument("--store", help="folder of the runs, instead of $KD_STORE")
    options = parser.parse_args()
    store, before = Store(options.store), kept("causes")
    found = {name: make(store) if name in options.only else before[name] for name, make in EXPERIMENTS.items()}
    write("causes", found, markdown(found))


if __name__ == "__main__":
    main()
