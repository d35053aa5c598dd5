"""Where data sets and runs are kept."""

import os
from pathlib import Path

HOME = Path.home() / ".apprentice"


def data_folder() -> Path:
    """Folder of the data sets: `$KD_DATA`, else `~/.apprentice/data`."""
    return Path(os.environ.get("KD_DATA") or HOME / "data").expanduser()


def store_folder() -> Path:
    """Folder of the runs: `$KD_STORE`, else `~/.apprentice/store`."""
    return Path(os.environ.get("KD_STORE") or HOME / "store").expanduser()
