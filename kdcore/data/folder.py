"""A user's own images: a folder or a zip file of class folders, with or without train and test above them."""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from kdcore import settings
from kdcore.data.decoded import Decoded, File, Listing, decode
from kdcore.errors import UserError
from kdcore.places import data_folder

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
MOST_FILE_BYTES = 2**28
MOST_BYTES = 2**36
TEST_SHARE = 0.2
PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test",
         "val": "val", "valid": "val", "validation": "val"}
_SILENT = ("__MACOSX", "Thumbs.db", "desktop.ini")

Found = tuple[tuple[str, ...], tuple[int, int]]


def images_of(path: str, size: int) -> Decoded:
    """The decoded images of a folder or a zip file; a relative path starts in the data folder.

    Raises UserError where there is no such folder or zip file, or it holds no class folders.
    """
    place = settings.allowed(data_folder() / Path(path).expanduser())
    try:
        return _images_of(place, size, _stamp(place))
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise UserError(f"{place} cannot be read: {_reason(error)}. Give a folder of class folders, or a zip file of "
                        "one; a relative path starts in the data folder.") from error


@lru_cache(maxsize=8)
def _images_of(place: Path, size: int, stamp: tuple) -> Decoded:
    return decode(listing(place), size)


def _stamp(place: Path) -> tuple:
    """What changes when files come or go: of a zip its own times, of a folder those of all folders in it.

    A file that is overwritten in place is seen by the next process.
    """
    if place.is_dir():
        return tuple((str(folder), folder.stat().st_mtime_ns) for folder, _ in _walk(place))
    found = place.stat()
    return found.st_mtime_ns, found.st_size


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such folder or file"
    if isinstance(error, zipfile.BadZipFile):
        return "it is not a zip file, or a damaged one"
    return getattr(error, "strerror", None) or str(error)


def listing(place: Path) -> Listing:
    """What of a folder or a zip file is used, and what is not. Raises OSError or BadZipFile where it cannot be read."""
    found, left_out, opened = _in_folder(place) if place.is_dir() else _in_zip(place)
    found, depth, beside = _unwrapped([one for one in found if not any(_silent(part) for part in one[0])])
    parts = _parts({one[0][depth] for one in found if len(one[0]) > depth + 1},
                   {one[0][depth] for one in found if len(one[0]) > depth + 2})
    at = depth + bool(parts)  # where the class folder's name stands in a path
    files, folders = [], set()
    for one in found:
        path, stamp = one
        if len(path) < at + 2 or (parts and path[depth] not in parts):
            beside.append(one)
            continue
        folders.add(path[at])
        if Path(path[-1]).suffix.lower() in SUFFIXES:
            files.append((path[at], parts.get(path[depth], "train"), one))
        else:
            left_out.append(f"{_name(one)}: it is not an image file")
    left_out += [f"{_name(one)}: it lies in no class folder" for one in beside]
    classes = tuple(sorted(folders))
    position = {name: at for at, name in enumerate(classes)}
    files = [File(_name(one), position[name], part, one[1]) for name, part, one in files]
    if not any(file.part == "test" for file in files):
        files = _split(files)
    return Listing(place, classes, tuple(files), tuple(left_out), opened)


def _name(one: Found) -> str:
    return "/".join(one[0])


def _silent(part: str) -> bool:
    return part.startswith(".") or part in _SILENT


def _unwrapped(found: list[Found]) -> tuple[list[Found], int, list[Found]]:
    """Step into folders that hold everything else: (the files below, how many folders, the files beside them)."""
    depth, beside = 0, []
    while True:
        folders = {path[depth] for path, _ in found if len(path) > depth + 1}
        if len(folders) != 1 or not any(len(path) > depth + 2 for path, _ in found):
            return found, depth, beside
        beside += [one for one in found if len(one[0]) == depth + 1]
        found = [one for one in found if len(one[0]) > depth + 1]
        depth += 1


def _parts(folders: set[str], deep: set[str]) -> dict[str, str]:
    """Which folders are parts: {name: "train" or "test"}; empty where the class folders come first.

    Where there is a test part, validation images are training images; where there is none, they are the test. `deep`
    are the folders with folders in them: a test part without class folders has no labels, and serves for nothing.
    """
    known = {name: PARTS[name.lower()] for name in folders if name.lower() in PARTS}
    if "train" not in known.values() or len(set(known.values())) < 2:
        return {}
    known = {name: kind for name, kind in known.items() if name in deep}
    kinds = set(known.values())
    if "train" not in kinds:
        return {}
    validation = "train" if "test" in kinds else "test"
    return {name: validation if kind == "val" else kind for name, kind in known.items()}


def _split(files: list[File]) -> list[File]:
    """A fixed fifth of each class becomes the test part."""
    of_class: dict[int, list[int]] = {}
    for at, file in enumerate(files):
        of_class.setdefault(file.label, []).append(at)
    test = {positions[at] for label, positions in of_class.items() for at in _drawn_for_test(label, len(positions))}
    return [file._replace(part="test") if at in test else file for at, file in enumerate(files)]


def _drawn_for_test(label: int, count: int) -> np.ndarray:
    wanted = max(1, round(TEST_SHARE * count)) if count > 1 else 0
    return np.random.default_rng((0, label)).permutation(count)[:wanted]


def _in_folder(place: Path) -> tuple[list[Found], list[str], Callable]:
    found, left_out = [], []
    for folder, entries in _walk(place):
        inside = folder.relative_to(place).parts
        for entry in entries:
            parts = (*inside, entry.name)
            if _silent(entry.name):
                continue
            if not Path(entry).is_file():
                left_out.append(f"{'/'.join(parts)}: it is not a regular file")
            elif entry.stat().st_size > MOST_FILE_BYTES:
                left_out.append(f"{'/'.join(parts)}: it is larger than {MOST_FILE_BYTES / 2**20:.0f} MiB")
            else:
                found.append((parts, (entry.stat().st_size, entry.stat().st_mtime_ns)))
    return found, left_out, lambda: lambda name: (place / name).read_bytes()


def _walk(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[tuple[Path, list[os.DirEntry]]]:
    """Each folder and its files, by name; through links, but not back into a folder that one came through."""
    here = folder.resolve()
    if here not in above:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        yield folder, [entry for entry in entries if not _is_folder(entry)]
        for entry in entries:
            if _is_folder(entry):
                yield from _walk(folder / entry.name, (*above, here))


def _is_folder(entry: os.DirEntry) -> bool:
    return Path(entry).is_dir() if entry.is_symlink() else entry.is_dir()  # a link to itself is an error to the latter


def _in_zip(place: Path) -> tuple[list[Found], list[str], Callable]:
    """The members of a zip file; nothing is extracted: each is read into memory, no further than its declared size."""
    with zipfile.ZipFile(place) as archive:
        members = {str(_path(info)): info for info in archive.infolist()
                   if not info.filename.endswith(("/", "\\"))}
    found, left_out = [], []
    for name, info in sorted(members.items()):
        reason = _refused(info)
        if reason:
            left_out.append(f"{name}: {reason}")
        else:
            found.append((_path(info).parts, (info.file_size, info.CRC)))
    total = sum(size for _, (size, _) in found)
    if total > MOST_BYTES:
        raise UserError(f"{place} unpacks to {total / 2**30:.0f} GiB; {MOST_BYTES / 2**30:.0f} GiB is the most that is "
                        "read. Unpack it yourself and give the folder.")

    def opened() -> Callable[[str], bytes]:
        archive = zipfile.ZipFile(place)
        return lambda name: archive.read(members[name])

    return found, left_out, opened


def _path(info: zipfile.ZipInfo) -> PurePosixPath:
    """Where a member lies, whatever system's separator its name has."""
    return PurePosixPath(info.filename.replace("\\", "/"))


def _refused(info: zipfile.ZipInfo) -> str | None:
    path, kind = _path(info), stat.S_IFMT(info.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", str(path)):
        return "its path leaves the zip file"
    if kind and not stat.S_ISREG(kind):
        return "it is not a regular file"
    if info.flag_bits & 1:
        return "it is encrypted"
    if info.file_size > MOST_FILE_BYTES:
        return f"it is larger than {MOST_FILE_BYTES / 2**20:.0f} MiB"
    return None


def summary(path: str, decoded: Decoded) -> str:
    """A sentence about a set of a user's own."""
    counts = Counter({part: len(labels) for part, (_, labels) in decoded.parts.items()})
    _, height, width = decoded.shape
    left_out = f"; {len(decoded.left_out)} files or folders were left out" if decoded.left_out else ""
    return (f"{counts.total()} images of {len(decoded.classes)} classes in {path}, {counts['test']} of them to test "
            f"on, read at {height}×{width} pixels{left_out}.")
