"""The image sets that can be chosen, and how each is read."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from kdcore.errors import UserError
from kdcore.places import data_folder

Arrays = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Source:
    """An image set: what its pages and forms say of it, and how it is read.

    `shape` (channels, H, W); `brightest` is the pixel value that becomes 1; `suggested` are the settings a form opens
    with; `files` are the names that must lie in `folder` below the data folder, `bytes` what they take to download.
    """

    title: str
    sentence: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    train: int
    test: int
    read: Callable[[], Arrays]
    brightest: float = 255.0
    suggested: dict | None = None
    folder: str | None = None
    files: tuple[str, ...] = ()
    bytes: int = 0
    fetch: Callable[[], None] | None = None

    def present(self) -> bool:
        """Whether the set is on this machine."""
        if self.folder is None:
            return True
        raw = data_folder() / self.folder
        return all((raw / name).exists() for name in self.files)

    def downloaded(self) -> float:
        """The share of the download that lies on the disk, 0 to 1."""
        if self.present():
            return 1.0
        raw = data_folder() / self.folder
        packed = sum(path.stat().st_size for path in raw.glob("*.gz")) if raw.exists() else 0
        return min(packed / self.bytes, 0.99)


def load(name: str) -> Arrays:
    """Return {"train": (pixels (N, C, H, W) uint8, labels (N,) int64), "test": ...}.

    Raises UserError where the set is not on this machine or cannot be read.
    """
    source = SOURCES[name]
    if not source.present():
        raise UserError(f"{source.title} is not on this machine yet: python -m kdcore data {name} downloads it, or put "
                        f"{', '.join(source.files)} into {data_folder() / source.folder}.")
    try:
        return source.read()
    except (OSError, RuntimeError, ValueError, AssertionError, TypeError, LookupError) as error:  # a foreign file
        raise UserError(f"{source.title} cannot be read from {data_folder() / (source.folder or '')}: {error}. "
                        "Delete that folder and download the set again.") from error


def download(name: str) -> None:
    """Fetch the set into the data folder, where it is not there yet. Raises UserError without a connection."""
    source = SOURCES[name]
    if source.present():
        return
    data_folder().mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(data_folder()).free
    if free < 6 * source.bytes:
        raise UserError(f"{source.title} takes {6 * source.bytes / 1e6:.0f} MB unpacked and {data_folder()} has "
                        f"{free / 1e6:.0f} MB left; make room or set KD_DATA to another folder.")
    try:
        source.fetch()
    except (OSError, RuntimeError) as error:
        raise UserError(f"{source.title} could not be downloaded; is there a connection to the internet? Without one, "
                        f"put {', '.join(source.files)} into {data_folder() / source.folder}, or choose the digits, "
                        "which need no download.") from error


def _digits() -> Arrays:
    """scikit-learn's handwritten digits; the test images, 50 of each class, are drawn once and for all.

    The file is read as scikit-learn reads it, but without importing scikit-learn, which takes two seconds a process.
    """
    package = Path(find_spec("sklearn").submodule_search_locations[0])
    with gzip.open(package / "datasets" / "data" / "digits.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.int64)
    pixels, labels = table[:, :-1].reshape(-1, 1, 8, 8).astype(np.uint8), table[:, -1]
    order = np.random.default_rng(0).permutation(len(labels))
    test = np.concatenate([order[labels[order] == label][:50] for label in range(10)])
    train = np.setdiff1d(order, test)
    return {"train": (pixels[train], labels[train]), "test": (pixels[test], labels[test])}


def _torchvision(kind: str) -> Callable[[], Arrays]:
    def read() -> Arrays:
        from torchvision import datasets

        parts = {part: getattr(datasets, kind)(data_folder(), train=part == "train") for part in ("train", "test")}
        return {part: (data.data.numpy()[:, None], data.targets.numpy()) for part, data in parts.items()}

    return read


def _fetch(kind: str) -> Callable[[], None]:
    def fetch() -> None:
        from torchvision import datasets

        getattr(datasets, kind)(data_folder(), download=True)

    return fetch


def _like_mnist(kind: str, title: str, sentence: str, classes: tuple[str, ...], size: int) -> Source:
    return Source(
        title, sentence, (1, 28, 28), classes, train=60000, test=10000, read=_torchvision(kind), fetch=_fetch(kind),
        suggested={"images": 50, "width": 1.0, "steps": 4000, "learning_rate": 1e-3, "teacher_images": 20000,
                   "teacher_steps": 4000, "teacher_learning_rate": 1e-3, "batch_size": 50,
                   "initial": "truncated_normal", "teacher": "fc_teacher", "student": "fc_student"},
        folder=str(Path(kind, "raw")), bytes=size,
        files=("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
               "t10k-labels-idx1-ubyte"))


SOURCES: dict[str, Source] = {
    "digits": Source(
        "Digits", "1797 handwritten digits of 8×8 pixels, shipped with scikit-learn: no download.", (1, 8, 8),
        tuple("0123456789"), train=1297, test=500, read=_digits, brightest=16.0,
        suggested={"images": 10, "width": 0.2, "steps": 1500, "learning_rate": 1e-3, "teacher_images": None,
                   "teacher_steps": 1000, "teacher_learning_rate": 1e-3, "batch_size": 50, "initial": "he",
                   "teacher": "fc_teacher", "student": "fc_student"}),
    "mnist": _like_mnist(
        "MNIST", "MNIST", "70 000 handwritten digits of 28×28 pixels, the set of Ehmann & Samek's experiments.",
        tuple("0123456789"), 11_594_722),
    "fashion_mnist": _like_mnist(
        "FashionMNIST", "Fashion-MNIST", "70 000 pictures of clothes, 28×28 pixels: MNIST's harder twin.",
        ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        30_878_645),
}
