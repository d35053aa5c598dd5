"""Which of a set's training images a run trains on, with which labels, and which it holds out: by seed, and nested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from kdcore.data.config import DataConfig
from kdcore.data.read import arrays
from kdcore.data.sources import source
from kdcore.errors import UserError
from kdcore.randomness import stream


class Learner(Protocol):
    """A run, as far as its images go: which set, which seed, and who saw them before."""

    data: DataConfig
    seed: int
    teacher: Learner | None


@dataclass(frozen=True)
class Selection:
    """Positions in a set's training part: `train` (N,) and `validation` (M,); `labels` (N,) are those to train on.

    A label of -1 is an image without one.
    """

    train: Tensor
    labels: Tensor
    validation: Tensor


def subset(config: DataConfig, run_seed: int, inside: Tensor | None = None) -> Tensor:
    """Indices of the training images of a run: a balanced random subset, sorted by draw.

    The first k images of each class in one seeded order, so that with one seed smaller subsets lie inside larger
    ones. `inside` limits the draw to these indices (the images that a teacher saw).
    Raises UserError where a class has too few.
    """
    labels = _labels(config)
    allowed = torch.arange(len(labels)) if inside is None else inside.sort().values
    if config.images is None and config.per_class is None:
        return allowed
    order = allowed[_shuffle(len(allowed), _seed(config, run_seed), 1)]
    found = source(config)
    classes = len(found.classes)
    counts = [config.per_class] * classes if config.per_class else _shared(config.images, classes)
    drawn = labels[order].numpy().astype(np.int16)  # which numpy sorts by radix, hundreds of times faster than torch
    of_class = order[np.argsort(drawn, kind="stable")].split(np.bincount(drawn, minlength=classes).tolist())
    for name, there, count in zip(found.classes, of_class, counts):
        if len(there) < count:
            raise UserError(f"Of class {name}, {found.title} has {len(there)} to draw from; {count} were asked for. "
                            "Ask for fewer.")
    return torch.cat([there[:count] for there, count in zip(of_class, counts)])


def training_images(run: Learner) -> Tensor:
    """Indices of the images that a run trains on; they lie inside its teacher's, where those are enough."""
    return _held_out(run)[0]


def selection(run: Learner) -> Selection:
    """Which images a run trains on, with which labels, and which it is validated on.

    Held-out images are a fixed choice among those drawn, the same for every seed, so that runs on all images hold out
    the same ones. Labels are kept, and replaced by wrong ones, by seed: fewer labels are among more labels, and a
    smaller share of wrong ones among a larger. Raises UserError where a class has too few images for it.
    """
    train, validation = _held_out(run)
    config, seed = run.data, _seed(run.data, run.seed)
    labels = _labels(config)[train]
    if config.labelled_per_class is not None:
        labels = _unlabelled(config, labels, seed)
    if config.label_noise:
        labels = _noisy(labels, config.label_noise, len(source(config).classes), seed)
    return Selection(train, labels, validation)


def _held_out(run: Learner) -> tuple[Tensor, Tensor]:
    """The drawn images as (train, validation)."""
    drawn, share = _drawn(run), run.data.validation
    if not share:
        return drawn, drawn[:0]
    labels = _labels(run.data)
    rank = _shuffle(len(labels), 0, 5).argsort()
    out = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels[drawn].unique():
        of_class = drawn[labels[drawn] == label]
        out[of_class[rank[of_class].argsort()][: round(share * len(of_class))]] = True
    out = out[drawn]
    if out.all() or not out.any():
        raise UserError(f"Of {len(drawn)} training images, a share of {share:g} of each class leaves "
                        f"{'none to train on' if out.all() else 'none to validate on'}; change validation, or take "
                        "more images.")
    return drawn[~out], drawn[out]


def _drawn(run: Learner) -> Tensor:
    teacher = run.teacher
    if teacher and teacher.data.same_images(run.data):
        inside = training_images(teacher)
        wanted = run.data.images or (run.data.per_class or 0) * len(source(run.data).classes)
        if wanted and wanted <= len(inside):
            return subset(run.data, run.seed, inside)
    return subset(run.data, run.seed)


def _unlabelled(config: DataConfig, labels: Tensor, seed: int) -> Tensor:
    order = _shuffle(len(labels), seed, 6)
    kept = torch.full_like(labels, -1)
    found = source(config)
    for label, name in enumerate(found.classes):
        of_class = order[labels[order] == label]
        if len(of_class) < config.labelled_per_class:
            raise UserError(f"Of class {name}, {found.title} has {len(of_class)} to train on; "
                            f"{config.labelled_per_class} labelled per class were asked for. Ask for fewer, or take "
                            "more images.")
        kept[of_class[: config.labelled_per_class]] = label
    return kept


def _noisy(labels: Tensor, share: float, classes: int, seed: int) -> Tensor:
    """A share of the labels replaced by that of another class, each as likely as the others."""
    order = _shuffle(len(labels), seed, 7)
    wrong = order[labels[order] >= 0]
    wrong = wrong[: round(share * len(wrong))]
    shift = torch.randint(1, classes, (len(labels),), generator=torch.Generator().manual_seed(stream(seed, 8)))
    noisy = labels.clone()
    noisy[wrong] = (labels[wrong] + shift[wrong]) % classes
    return noisy


def _labels(config: DataConfig) -> Tensor:
    return torch.from_numpy(arrays(config)["train"][1])


def _seed(config: DataConfig, run_seed: int) -> int:
    return run_seed if config.seed is None else config.seed


def _shuffle(count: int, seed: int, purpose: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(stream(seed, purpose)))


def _shared(total: int, classes: int) -> list[int]:
    return [total // classes + (label < total % classes) for label in range(classes)]
