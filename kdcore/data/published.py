"""MIT Indoor Scenes 67 and CUB-200-2011, in the folders and split files in which they are published."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path, PurePosixPath

from kdcore.data.decoded import Decoded, File, Listing, decode
from kdcore.places import data_folder

MIT67_FILES = ("TrainImages.txt", "TestImages.txt", "Images")
CUB200_FILES = ("images.txt", "train_test_split.txt", "image_class_labels.txt", "classes.txt", "images")


def mit67(size: int) -> Decoded:
    """MIT Indoor Scenes 67 (Quattoni & Torralba 2009): `TrainImages.txt` and `TestImages.txt` name CLASS/FILE."""
    folder = data_folder() / "mit67"
    return _mit67(folder, size, _stamp(folder, MIT67_FILES))


@lru_cache(maxsize=2)
def _mit67(folder: Path, size: int, stamp: tuple) -> Decoded:
    named = [(name, part) for part, file in (("train", "TrainImages.txt"), ("test", "TestImages.txt"))
             for name in _lines(folder / file)]
    classes = tuple(sorted({name.split("/")[0] for name, _ in named}))
    position = {name: at for at, name in enumerate(classes)}
    return _decoded(folder / "Images", classes, [(name, position[name.split("/")[0]], part) for name, part in named],
                    size)


def cub200(size: int) -> Decoded:
    """CUB-200-2011 (Wah et al. 2011): four tables, each with a number and a value in a line."""
    folder = data_folder() / "CUB_200_2011"
    return _cub200(folder, size, _stamp(folder, CUB200_FILES))


@lru_cache(maxsize=2)
def _cub200(folder: Path, size: int, stamp: tuple) -> Decoded:
    images, split, labels, classes = (_table(folder / name) for name in CUB200_FILES[:4])
    for table, name, least in ((split, CUB200_FILES[1], images), (labels, CUB200_FILES[2], images),
                               (classes, CUB200_FILES[3], labels.values())):
        if missing := next((number for number in least if number not in table), None):
            raise ValueError(f"{name} has no line for the number {missing}, which another list names")
    if odd := next((value for value in split.values() if value not in ("0", "1")), None):
        raise ValueError(f"{CUB200_FILES[1]} says {odd!r}, and each line ends in 1 for training or 0 for testing")
    numbers = sorted(classes, key=int)
    position = {number: at for at, number in enumerate(numbers)}
    titles = tuple(classes[number].split(".", 1)[-1].replace("_", " ") for number in numbers)
    named = [(name, position[labels[number]], "train" if int(split[number]) else "test")
             for number, name in images.items()]
    return _decoded(folder / "images", titles, named, size)


def _stamp(folder: Path, names: tuple[str, ...]) -> tuple:
    return tuple((folder / name).stat().st_mtime_ns for name in names)


def _lines(path: Path) -> list[str]:
    lines = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"{path.name} is empty")
    return lines


def _table(path: Path) -> dict[str, str]:
    rows = [line.split(maxsplit=1) for line in _lines(path)]
    for row in rows:
        if len(row) < 2 or not row[0].isdigit():
            raise ValueError(f"{path.name} has the line {' '.join(row)!r}, and each is a number and a value")
    return dict(rows)


def _decoded(folder: Path, classes: tuple[str, ...], named: list[tuple[str, int, str]], size: int) -> Decoded:
    files, left_out = [], []
    for name, label, part in named:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{name} lies outside of {folder}")
        try:
            found = (folder / path).stat()
            files.append(File(name, label, part, (found.st_size, found.st_mtime_ns)))
        except OSError:
            left_out.append(f"{name}: it is named in the lists, but is not there")
    return decode(Listing(folder, classes, tuple(files), tuple(left_out),
                          lambda: lambda name: (folder / name).read_bytes(), grey=False), size)
