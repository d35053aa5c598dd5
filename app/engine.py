"""The pages' one door to kdcore: the store, the workers, and the inspectors that compute maps."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import plotly
import streamlit as st

from app.inspectors import Inspectors
from app.kept import Kept
from app.people import owner
from kdcore import worker
from kdcore.errors import UserError
from kdcore.places import replace_file
from kdcore.queue import PRIORITIES, Queue
from kdcore.settings import Settings
from kdcore.settings import read as read_settings
from kdcore.store import Store
from kdcore.version import code_version

WAKE_SECONDS = 15.0
KEPT_BYTES = 150 * 2**20
STATIC = Path(__file__).resolve().parent / "static"


@st.cache_resource(show_spinner=False)
def start() -> None:
    """Once a web process: put plotly.js where the pages load it from, wake the worker and the inspector."""
    script = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    served = STATIC / script.name
    if not served.exists() or served.stat().st_size != script.stat().st_size:
        STATIC.mkdir(exist_ok=True)
        shutil.copyfile(script, served)
    inspectors()
    worker.ensure(store())
    threading.Thread(target=_keep_awake, daemon=True).start()


def _keep_awake() -> None:
    """Have a worker while runs wait for one, also when nobody looks any more."""
    while True:
        time.sleep(WAKE_SECONDS)
        with suppress(UserError, OSError, sqlite3.Error):  # the next time it may be possible
            wake_worker()


@st.cache_resource(show_spinner=False)
def store() -> Store:
    """The store of `$KD_STORE`."""
    return Store()


@st.cache_resource(show_spinner=False)
def inspectors() -> Inspectors:
    """The processes with torch."""
    return Inspectors(store().folder)


def settings() -> Settings:
    """What the server's owner decided."""
    return read_settings()


def visible(runs: list[dict]) -> list[dict]:
    """Those of the runs that whoever uses this page may see."""
    return runs if settings().sees == "everything" else [run for run in runs if run["owner"] == owner()]


def experiments() -> list[str]:
    """Names of the experiments that whoever uses this page may see, newest first."""
    return store().experiments(None if settings().sees == "everything" else owner())


def ask(question: str, **arguments: Any) -> Any:
    """A fresh answer of an inspector."""
    return inspectors().ask(question, **arguments)


@st.cache_resource(show_spinner=False)
def kept() -> Kept:
    """Answers of the inspector that cannot change, for all sessions."""
    return Kept(KEPT_BYTES)


def answer(question: str, **arguments: Any) -> Any:
    """A kept answer of the inspector: for questions whose answer cannot change."""
    return kept().get((question, arguments), lambda: ask(question, **arguments))


@st.cache_resource(show_spinner="Reading what can be chosen…")  # one for all sessions, which change nothing in it
def catalogue() -> dict:
    """All that can be chosen; kept as JSON under the code's version, so that forms draw before the inspector is up."""
    kept = store().folder / f"catalogue-{code_version()}.json"
    if not kept.exists():
        for old in store().folder.glob("catalogue-*.json"):
            old.unlink()
        replace_file(kept, json.dumps(ask("catalogue")).encode())
    return json.loads(kept.read_text())


def described(method: dict | bytes) -> dict:
    """A method, as data or JSON, checked: {"method", "formula", and all else that the catalogue tells of one}.

    Raises UserError where it is not possible.
    """
    return answer("described", content=method)


def wake_worker() -> bool:
    """Start a worker where runs wait for one; returns whether there are such runs."""
    waiting = any(run["state"] != "paused" for run in queue().line())
    if waiting:
        worker.ensure(store())
    return waiting


def slots() -> int:
    """How many runs go at a time; one where no worker says."""
    return max([found["slots"] for found in queue().workers()], default=1) or 1


def queue() -> Queue:
    """Whose turn it is."""
    return store().queue


def free_disk() -> int:
    """Bytes left where the runs are kept."""
    return shutil.disk_usage(store().folder).free


__all__ = ["PRIORITIES", "UserError", "answer", "ask", "catalogue", "described", "experiments", "free_disk",
           "inspectors", "owner", "queue", "settings", "slots", "start", "store", "visible", "wake_worker"]
