"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), read from the published files without trusting them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from kdcore.places import data_folder

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR100 = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm"""
CIFAR100_CLASSES = tuple(name.replace("_", " ") for name in _CIFAR100.split())
CIFAR10_FILES = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}
CIFAR100_FILES = {"train": ("train",), "test": ("test",)}
_ALLOWED = {("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}


def cifar10() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{"train": (pixels (50000, 3, 32, 32) uint8, labels), "test": ...}. Raises ValueError for foreign files."""
    return _parts(data_folder() / "cifar-10-batches-py", CIFAR10_FILES, b"labels", len(CIFAR10_CLASSES))


def cifar100() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The same of CIFAR-100, with its 100 fine labels."""
    return _parts(data_folder() / "cifar-100-python", CIFAR100_FILES, b"fine_labels", len(CIFAR100_CLASSES))


def _parts(folder: Path, files: dict, key: bytes, classes: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {part: tuple(map(np.concatenate, zip(*(_batch(folder / name, key, classes) for name in names))))
            for part, names in files.items()}


def _batch(path: Path, key: bytes, classes: int) -> tuple[np.ndarray, np.ndarray]:
    with path.open("rb") as file:
        try:
            content = _Unpickler(file, encoding="bytes").load()
        except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError) as error:
            raise ValueError(f"{path.name} is not a file of CIFAR ({error})") from error
    pixels, labels = np.asarray(content[b"data"]), np.asarray(content[key])
    if pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3 * 32 * 32):
        raise ValueError(f"{path.name} does not hold images of 3×32×32 with a label each")
    if labels.dtype.kind != "i" or not np.isin(labels, range(classes)).all():
        raise ValueError(f"{path.name} has labels outside of 0 to {classes - 1}")
    return pixels.reshape(-1, 3, 32, 32), labels.astype(np.int64)


class _Unpickler(pickle.Unpickler):
    """Makes arrays, numbers, bytes, lists and dictionaries, and nothing else: a pickle may not call what it likes."""

    def find_class(self, module: str, name: str):
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)
