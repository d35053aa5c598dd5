"""Image sets that are fetched from the internet, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from app import engine, rights
from kdcore import worker


def present() -> dict[str, float]:
    """The share of each image set that is on this machine."""
    return engine.ask("present")


def start(name: str) -> None:
    """Download an image set in a process of its own; `present` follows it, `error` says why it failed."""
    rights.may_change()
    log = _log(name)
    with log.open("wb") as file:
        subprocess.Popen([sys.executable, "-m", "kdcore", "data", name], stdout=subprocess.DEVNULL, stderr=file,
                         start_new_session=True, cwd=worker.ROOT)


def error(name: str) -> str:
    """Why the last download of the set failed, in a sentence; empty where it did not."""
    log = _log(name)
    last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
    return last[0].removeprefix("kdcore: ") if last and last[0].startswith("kdcore: ") else ""


def _log(name: str) -> Path:
    return engine.store().folder / f"download-{name}.log"
