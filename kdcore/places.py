"""Where data sets, decoded images and runs are kept."""

import os
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
