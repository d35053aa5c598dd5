"""Files that users bring: experiments that were exported, and images."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import streamlit as st

from app import engine, rights

MOST_IMAGE_MEGABYTES = 20
EXAMPLE = Path(__file__).resolve().parent / "example.zip"


def import_experiment(content: bytes) -> str:
    """Read an exported experiment, as this person's, and return the name that it has here. Raises UserError."""
    rights.may_change()
    _may_upload(content, engine.settings().most_upload_megabytes)
    if reason := engine.settings().full(engine.store()):
        raise engine.UserError(reason)
    return engine.ask("import_experiment", content=content, owner=engine.owner())


def import_example() -> str:
    """The experiment that comes with the app, imported where it is not there yet; returns its name here."""
    with zipfile.ZipFile(EXAMPLE) as packed:
        name = json.loads(packed.read("experiment.json"))["name"]
    return name if name in engine.experiments() else import_experiment(EXAMPLE.read_bytes())


def most_image_megabytes() -> int:
    """The largest image file that may be uploaded: what a camera makes, and no more."""
    return min(MOST_IMAGE_MEGABYTES, engine.settings().most_upload_megabytes)


@st.cache_data(max_entries=60, show_spinner=False)
def read_image(run: int, file: str, _content: bytes, inverted: bool) -> np.ndarray:
    """An image file as an image (C, H, W) of the set that a run belongs to. Raises UserError where it is none.

    `file` names the upload, of which the answer is kept: its content is not gone through each time a page is drawn.
    """
    _may_upload(_content, most_image_megabytes())
    return engine.ask("from_file", run=run, content=_content, inverted=inverted)


def _may_upload(content: bytes, most: int) -> None:
    if len(content) > most * 1e6:
        raise engine.UserError(f"This file has {len(content) / 1e6:.0f} MB, and {most} are the most that this server "
                               "takes.")
