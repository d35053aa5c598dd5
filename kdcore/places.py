"""Where data sets, decoded images and runs are kept, and how a file there is replaced."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOME = Path.home() / ".apprentice"


def data_folder() -> Path:
    """Folder of the data sets: `$KD_DATA`, else `~/.apprentice/data`."""
    return Path(os.environ.get("KD_DATA") or HOME / "data").expanduser()


def cache_folder() -> Path:
    """Folder of decoded images, which may be deleted: `$KD_CACHE`, else `cache` in the data folder.

    Where the data folder cannot be written to, `~/.apprentice/cache`.
    """
    if os.environ.get("KD_CACHE"):
        return Path(os.environ["KD_CACHE"]).expanduser()
    data = data_folder()
    return data / "cache" if not data.exists() or os.access(data, os.W_OK) else HOME / "cache"


def store_folder() -> Path:
    """Folder of the runs: `$KD_STORE`, else `~/.apprentice/store`."""
    return Path(os.environ.get("KD_STORE") or HOME / "store").expanduser()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place beside a file in which to write what takes its place at the end, whole or not at all."""
    fresh = path.with_suffix(f".{os.getpid()}")
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees either the old or the new content, whatever happens in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as fresh, fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
