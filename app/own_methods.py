"""Methods that users made and saved: JSON beside the runs, each person's own where people are told apart."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from contextlib import suppress
from pathlib import Path

from app import engine, rights
from kdcore.places import replace_file


def saved() -> dict[str, dict]:
    """Methods that users made and saved, by name, as the catalogue has its own; kept as JSON beside the runs."""
    found = {}
    for path in sorted(_folder().glob("*.json")):
        with suppress(engine.UserError):  # not ours, or of another version
            told = engine.described(path.read_bytes())
            found[f"saved {path.stem}"] = {**told.pop("method"), **told}
    return found


def save(method: dict) -> None:
    """Keep a method under its title, replacing the one of that title."""
    rights.may_change()
    replace_file(_file(method["title"]), json.dumps(method, indent=2).encode())


def forget(title: str) -> None:
    """Delete the saved method of a title; runs that it trained keep it."""
    rights.may_change()
    _file(title).unlink(missing_ok=True)


def _file(title: str) -> Path:
    slug = re.sub(r"[^\w-]+", "-", title).strip("-").lower()
    number = zlib.crc32(title.encode())  # two titles may have one slug
    return _folder() / f"{slug}-{number:08x}.json"


def _folder() -> Path:
    """Each person's own, where people are told apart."""
    whose = hashlib.sha256(engine.owner().encode()).hexdigest()[:16]
    return engine.store().folder / "methods" / (whose if engine.settings().people != "one" else "")
