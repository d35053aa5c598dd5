"""Image files decoded once: uint8 pixels in one file of the cache folder, read row by row ever after.

Reading rows with `preadv` into an array of their own, rather than through a memory map, keeps the process's memory at
the size of the batches, and threads that wait for the disk do not hold each other up.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import math
import os
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from kdcore.device import cores
from kdcore.errors import UserError
from kdcore.places import cache_folder, replace_file

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
MOST_PIXELS = 40_000_000
_GROUP = 64
_VERSION = 1  # raised when the same files decode to other pixels


class File(NamedTuple):
    """One image file: its path below the set's folder, its class's position, its part, and what tells a change."""

    name: str
    label: int
    part: str
    stamp: tuple[int, int]


@dataclass(frozen=True)
class Listing:
    """The image files of a set: `classes` by position; `left_out` says which files are not used, and why.

    `open()` gives a function from a file's name to its bytes. Where `grey` is allowed, a set of grey files alone has
    one channel; else it has three.
    """

    path: Path
    classes: tuple[str, ...]
    files: tuple[File, ...]
    left_out: tuple[str, ...]
    open: Callable[[], Callable[[str], bytes]]
    grey: bool = True


class StoredPixels:
    """Pixels in a file: `rows[index]` reads (N, C, H, W) uint8 for an array or a slice of row numbers."""

    dtype = np.dtype(np.uint8)

    def __init__(self, path: Path, shape: tuple[int, ...], first: int = 0):
        self.shape = shape
        self._file = path.open("rb", buffering=0)
        self._first = first  # row of the file that is row 0 here
        self._bytes = int(np.prod(shape[1:]))

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return len(self) * self._bytes

    def __getitem__(self, index: np.ndarray | slice) -> np.ndarray:
        rows = np.arange(len(self))[index]
        pixels = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for at, count in _runs(rows):
            self._read(memoryview(pixels[at : at + count]).cast("B"), int(rows[at]) + self._first)
        return pixels

    def _read(self, into: memoryview, row: int) -> None:
        done = 0
        while done < len(into):
            read = os.preadv(self._file.fileno(), [into[done:]], row * self._bytes + done)
            if not read:
                raise UserError(f"The decoded images in {self._file.name} were cut short while they were read; start "
                                "again, and they are decoded anew.")
            done += read


Rows = np.ndarray | StoredPixels


def _runs(rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """Stretches of consecutive rows: (position, length)."""
    starts = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
    return zip(starts.tolist(), np.diff(starts, append=len(rows)).tolist())


@dataclass(frozen=True)
class Decoded:
    """A decoded set: pixels and labels (N,) int64 of "train" and "test", its classes, and what was left out.

    `content` differs between sets of other files.
    """

    parts: dict[str, tuple[StoredPixels, np.ndarray]]
    classes: tuple[str, ...]
    left_out: tuple[str, ...]
    content: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, H, W)."""
        return self.parts["train"][0].shape[1:]


def decode(listing: Listing, size: int) -> Decoded:
    """Return the listing's images at `size`×`size`, decoding them where the cache does not hold them.

    The largest centred square of each image is scaled. Files that cannot be decoded, and classes without a usable
    image, are left out and named. Raises UserError where fewer than two classes or no training images remain, or the
    disk is too small.
    """
    folder = cache_folder()
    place, content = _names(listing, size)
    facts = folder / f"{place}-{content}.json"
    if found := _read(facts):
        return found
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / f"{place}.lock"):
        if not _read(facts):
            for outdated in folder.glob(f"{place}-*"):
                outdated.unlink()
            _write(listing, size, facts)
    return _read(facts)


def _names(listing: Listing, size: int) -> tuple[str, str]:
    """What names the set in the cache: where it is, and what it holds."""
    place = hashlib.sha256(f"{listing.path.resolve()} {size}".encode()).hexdigest()[:12]
    content = json.dumps([_VERSION, listing.classes, listing.files, listing.grey]).encode()
    return place, hashlib.sha256(content).hexdigest()[:16]


def _read(facts: Path) -> Decoded | None:
    """What the cache holds; None where there is nothing, or not all of it."""
    pixels = facts.with_suffix(".pixels")
    try:
        found, stored = json.loads(facts.read_text()), pixels.stat().st_size
    except (FileNotFoundError, ValueError):
        return None
    labels, train, shape = np.array(found["labels"], np.int64), found["train"], found["shape"]
    if stored != len(labels) * math.prod(shape):
        return None
    parts = {"train": (StoredPixels(pixels, (train, *shape)), labels[:train]),
             "test": (StoredPixels(pixels, (len(labels) - train, *shape), train), labels[train:])}
    return Decoded(parts, tuple(found["classes"]), tuple(found["left_out"]), facts.stem.rpartition("-")[2])


def _write(listing: Listing, size: int, facts: Path) -> None:
    needed, free = len(listing.files) * 3 * size * size, shutil.disk_usage(facts.parent).free
    if needed > free:
        raise UserError(f"The images of {listing.path} take {needed / 1e6:.0f} MB decoded and {facts.parent} has "
                        f"{free / 1e6:.0f} MB left; make room, choose a smaller size, or set KD_CACHE to another "
                        "folder.")
    files = sorted(listing.files, key=lambda file: file.part == "test")  # training images first
    fresh = facts.with_suffix(".part")
    try:
        kept, left_out, grey = _append(listing, files, size, fresh)
        left_out = [*listing.left_out, *left_out]
        used = Counter(file.label for file in kept)
        position = {label: at for at, label in enumerate(sorted(used))}
        left_out += [f"{name}: no image in this class folder can be used" for label, name in enumerate(listing.classes)
                     if label not in used]
        train = sum(file.part == "train" for file in kept)
        if len(used) < 2 or not train or train == len(kept):
            raise UserError(f"{listing.path} has no two classes with images to train and to test on. A set is a folder "
                            "of class folders with image files, with or without train and test above them."
                            + _first(left_out))
        channels = 1 if grey and listing.grey else 3
        if channels == 1:
            _drop_colour(fresh, len(kept), size)
        fresh.replace(facts.with_suffix(".pixels"))
        replace_file(facts, json.dumps({
            "shape": [channels, size, size], "train": train, "labels": [position[file.label] for file in kept],
            "classes": [listing.classes[label] for label in sorted(used)], "left_out": left_out}).encode())
    finally:
        fresh.unlink(missing_ok=True)


def _first(left_out: list[str]) -> str:
    return f" Left out: {'; '.join(left_out[:3])}{'; …' if len(left_out) > 3 else ''}." if left_out else ""


def _append(listing: Listing, files: list[File], size: int, path: Path) -> tuple[list[File], list[str], bool]:
    """Write the files' pixels one after another; returns those written, why others were not, and whether all are grey.

    A few groups are decoded at a time, in order: memory stays small and the result is always the same.
    """
    kept, left_out, grey, read = [], [], True, listing.open()

    def group(start: int) -> list[tuple[np.ndarray, bool] | str]:
        return [_decoded(read, file.name, size) for file in files[start : start + _GROUP]]

    with path.open("wb") as out, ThreadPoolExecutor(cores()) as pool:
        coming: deque = deque()
        starts = iter(range(0, len(files), _GROUP))
        while True:
            while len(coming) < 2 * cores() and (start := next(starts, None)) is not None:
                coming.append((start, pool.submit(group, start)))
            if not coming:
                return kept, left_out, grey
            start, done = coming.popleft()
            for file, found in zip(files[start:], done.result()):
                if isinstance(found, str):
                    left_out.append(f"{file.name}: {found}")
                else:
                    pixels, without_colour = found
                    out.write(pixels.tobytes())
                    kept.append(file)
                    grey = grey and without_colour


def of_file(content: bytes, size: int) -> np.ndarray:
    """The largest centred square of one image file, as (3, size, size) uint8. Raises UserError where it has none."""
    found = _decoded(lambda name: content, "", size)
    if isinstance(found, str):
        raise UserError(f"This file cannot be used: {found}. Take a photograph or a picture, such as a JPEG or a PNG.")
    return found[0]


def _decoded(read: Callable[[str], bytes], name: str, size: int) -> tuple[np.ndarray, bool] | str:
    """One file as (3, size, size) uint8 and whether it is grey, or why it cannot be used."""
    try:
        with Image.open(io.BytesIO(read(name)), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                return f"it has more than {MOST_PIXELS / 1e6:.0f} million pixels ({image.width}×{image.height})"
            grey = image.mode in ("1", "L", "LA", "I", "F") or image.mode.startswith("I;16")
            image.draft(None, (size, size))  # a large JPEG is decoded at a fraction of its size
            square = _square(_coloured(image), size)
            return np.asarray(square).transpose(2, 0, 1), grey
    except UserError as error:
        return str(error)
    except Image.DecompressionBombError:
        return f"it has far more than {MOST_PIXELS / 1e6:.0f} million pixels"
    except Exception as error:  # decoders fail in many ways on foreign bytes
        return f"it cannot be decoded ({type(error).__name__})"


def _coloured(image: Image.Image) -> Image.Image:
    if "exif" in image.info:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits a pixel
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    if "transparency" in image.info or image.mode in ("LA", "PA", "RGBA"):
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("RGB")


def _square(image: Image.Image, size: int) -> Image.Image:
    if image.size == (size, size):
        return image
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((size, size), Image.Resampling.BILINEAR, (left, top, left + side, top + side))


def _drop_colour(path: Path, count: int, size: int) -> None:
    """Keep one of three equal channels, in place: what is written always lies before what is read."""
    with path.open("r+b") as file:
        for start in range(0, count, _GROUP):
            number = min(_GROUP, count - start)
            file.seek(start * 3 * size * size)
            pixels = np.frombuffer(file.read(number * 3 * size * size), np.uint8).reshape(number, 3, -1)
            file.seek(start * size * size)
            file.write(pixels[:, 0].tobytes())
        file.truncate(count * size * size)


def by_reason(left_out: tuple[str, ...]) -> dict[str, list[str]]:
    """What was left out, by why: {reason: names}, the most frequent first; what differs from file to file stands behind
    its name, in brackets.
    """
    found: dict[str, list[str]] = {}
    for line in left_out:
        name, _, reason = line.rpartition(": ")
        why, bracket, detail = reason.partition(" (")
        found.setdefault(why, []).append(name + bracket + detail)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


@contextmanager
def _locked(path: Path):
    """One process decodes a set at a time; the others wait and find it done."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
