"""The image sets that can be chosen, and how each is read."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np

from kdcore.data import cifar, folder, published, shapes
from kdcore.data.decoded import Decoded, Rows
from kdcore.errors import UserError
from kdcore.places import data_folder

Arrays = dict[str, tuple[Rows, np.ndarray]]


class Which(Protocol):
    """A choice of images, as far as what they look like depends on it."""

    name: str
    path: str | None
    size: int | None
    watermark: bool


@dataclass(frozen=True)
class Source:
    """An image set: what its pages and forms say of it, and how it is read.

    `shape` (channels, H, W); `brightest` is the pixel value that becomes 1; `suggested` are the settings a form opens
    with; `files` are the names that must lie in `folder` below the data folder, `bytes` what they take to download,
    `packed` the pattern of what arrives of a download, `origin` the page of a set that is not downloaded from here.
    `left_out` names files that cannot be used, and why. `of` gives the source for a configuration on which its facts
    or its images depend; `size` is the side in pixels to which such a set is scaled where none is asked for.
    `fingerprint` tells a user's own images from others in the same place; `masked` says that it is known where the
    object is in each image, `marked` that images can carry a watermark.
    """

    title: str
    sentence: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    train: int
    test: int
    read: Callable[[], Arrays] | None = None
    brightest: float = 255.0
    suggested: dict | None = None
    folder: str | None = None
    files: tuple[str, ...] = ()
    bytes: int = 0
    packed: str = ""
    origin: str = ""
    fetch: Callable[[], None] | None = None
    left_out: tuple[str, ...] = ()
    of: Callable[[Which], Source] | None = None
    size: int | None = None
    fingerprint: str = ""
    masked: bool = False
    marked: bool = False

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
        packed = sum(path.stat().st_size for path in data_folder().glob(self.packed)) if self.packed else 0
        return min(packed / self.bytes, 0.99) if self.bytes else 0.0

    def whence(self) -> str:
        """What to do where the set is not on this machine, in a sentence."""
        place = f"{', '.join(self.files)} lie in {data_folder() / (self.folder or '')}"
        return f"Get it from {self.origin} and unpack it so that {place}."


def source(config: Which) -> Source:
    """The facts of the set that a configuration asks for; a set of image files is decoded when first asked for.

    Raises UserError where a folder or zip file is missing or holds no class folders.
    """
    named = FOLDER if config.name == FOLDER_NAME else SOURCES[config.name]
    return named.of(config) if named.of else named


def read(name: str, source: Source) -> Arrays:
    """Return {"train": (pixels (N, C, H, W) uint8, labels (N,) int64), "test": ...}.

    Raises UserError where the set is not on this machine or cannot be read.
    """
    if not source.present():
        if source.origin:
            raise UserError(f"{source.title} is not on this machine yet. {source.whence()}")
        raise UserError(f"{source.title} is not on this machine yet: python -m kdcore data {name} downloads it, or put "
                        f"{', '.join(source.files)} into {data_folder() / source.folder}.")
    with _readable(source):
        return source.read()


def load(name: str) -> Arrays:
    """`read` for a set by its name alone."""
    return read(name, SOURCES[name])


@contextmanager
def _readable(source: Source):
    """Foreign files raise UserError inside the block."""
    try:
        yield
    except (OSError, RuntimeError, ValueError, AssertionError, TypeError, LookupError) as error:
        again = "Get the set again" if source.origin else "Delete that folder and download the set again"
        raise UserError(f"{source.title} cannot be read from {data_folder() / (source.folder or '')}: {error}. "
                        f"{again}.") from error


def download(name: str) -> None:
    """Fetch the set into the data folder, where it is not there yet. Raises UserError without a connection."""
    source = SOURCES[name]
    if source.present():
        return
    if source.fetch is None:
        raise UserError(f"{source.title} has to be fetched by hand. {source.whence()}")
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
                   "initial": "truncated_normal", "evaluations": 60, "teacher": "fc_teacher", "student": "fc_student"},
        folder=str(Path(kind, "raw")), bytes=size, packed=f"{kind}/raw/*.gz",
        files=("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
               "t10k-labels-idx1-ubyte"))


def _suggested(**changes) -> dict:
    return {"images": 500, "width": 1.0, "steps": 500, "learning_rate": 1e-3, "teacher_images": 5000,
            "teacher_steps": 1000, "teacher_learning_rate": 1e-3, "batch_size": 50, "initial": "he", "evaluations": 12,
            "teacher": "wrn_16_1", "student": "wrn_10_1", **changes}


def _cifar(title: str, classes: tuple[str, ...], read: Callable[[], Arrays], folder: str, files: dict,
           size: int) -> Source:
    kind, packed = title.replace("-", ""), folder.replace("-batches-py", "-python") + ".tar.gz"
    return Source(
        title, f"60 000 coloured photographs of {len(classes)} kinds of things, 32×32 pixels.", (3, 32, 32), classes,
        train=50000, test=10000, read=read, fetch=_fetch(kind), suggested=_suggested(images=50 * len(classes)),
        folder=folder, files=tuple(name for names in files.values() for name in names), bytes=size, packed=packed)


def _of_decoded(named: Source, decoded: Decoded, **changes) -> Source:
    return replace(named, shape=decoded.shape, classes=decoded.classes, train=len(decoded.parts["train"][1]),
                   test=len(decoded.parts["test"][1]), left_out=decoded.left_out, read=lambda: decoded.parts, **changes)


def _published(name: str, decoded: Callable[[int], Decoded], config: Which) -> Source:
    """The facts of the files where they are here, else those of the publication."""
    named, size = SOURCES[name], config.size or SOURCES[name].size
    if not named.present():
        return replace(named, shape=(3, size, size))
    with _readable(named):
        return _of_decoded(named, decoded(size))


def _own(config: Which) -> Source:
    decoded = folder.images_of(config.path, config.size or FOLDER.size)
    return _of_decoded(FOLDER, decoded, title=Path(config.path).stem or config.path,
                       sentence=folder.summary(config.path, decoded), fingerprint=decoded.content)


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"class {number}" for number in range(1, count + 1))


FOLDER_NAME = "folder"
FOLDER = Source(
    "Own images", "A folder or a zip file of class folders, with or without train and test above them.", (3, 32, 32),
    (), train=0, test=0, suggested=_suggested(images=100), of=_own, size=32)

SOURCES: dict[str, Source] = {
    "digits": Source(
        "Digits", "1797 handwritten digits of 8×8 pixels, shipped with scikit-learn: no download.", (1, 8, 8),
        tuple("0123456789"), train=1297, test=500, read=_digits, brightest=16.0,
        suggested={"images": 10, "width": 0.2, "steps": 1500, "learning_rate": 1e-3, "teacher_images": None,
                   "teacher_steps": 1000, "teacher_learning_rate": 1e-3, "batch_size": 50, "initial": "he",
                   "evaluations": 60, "teacher": "fc_teacher", "student": "fc_student"}),
    "mnist": _like_mnist(
        "MNIST", "MNIST", "70 000 handwritten digits of 28×28 pixels, the set of Ehmann & Samek's experiments.",
        tuple("0123456789"), 11_594_722),
    "fashion_mnist": _like_mnist(
        "FashionMNIST", "Fashion-MNIST", "70 000 pictures of clothes, 28×28 pixels: MNIST's harder twin.",
        ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        30_878_645),
    "cifar10": _cifar("CIFAR-10", cifar.CIFAR10_CLASSES, cifar.cifar10, "cifar-10-batches-py", cifar.CIFAR10_FILES,
                      170_498_071),
    "cifar100": _cifar("CIFAR-100", cifar.CIFAR100_CLASSES, cifar.cifar100, "cifar-100-python", cifar.CIFAR100_FILES,
                       169_001_437),
    "shapes": Source(
        "Shapes", "12 000 coloured shapes on textured backgrounds, 32×32 pixels, made here: no download. It is known "
        "where the object is, so that a map can be judged.", (3, shapes.SIDE, shapes.SIDE), shapes.CLASSES,
        shapes.COUNTS["train"], shapes.COUNTS["test"], suggested=_suggested(), masked=True, marked=True,
        of=lambda config: replace(SOURCES["shapes"], read=partial(shapes.arrays, config.watermark))),
    "mit67": Source(
        "MIT Indoor Scenes 67", "6700 photographs of 67 kinds of rooms, as published by Quattoni & Torralba 2009.",
        (3, 224, 224), _numbered(67), train=5360, test=1340, suggested=_suggested(images=670), size=224,
        folder="mit67", files=published.MIT67_FILES, origin="https://web.mit.edu/torralba/www/indoor.html",
        of=lambda config: _published("mit67", published.mit67, config)),
    "cub200": Source(
        "CUB-200-2011", "11 788 photographs of 200 kinds of birds, as published by Wah et al. 2011.",
        (3, 224, 224), _numbered(200), train=5994, test=5794, suggested=_suggested(images=1000), size=224,
        folder="CUB_200_2011", files=published.CUB200_FILES,
        origin="https://www.vision.caltech.edu/datasets/cub_200_2011/",
        of=lambda config: _published("cub200", published.cub200, config)),
}
