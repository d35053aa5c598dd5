"""The pages' one door to kdcore: the store, the workers, and the inspector that computes maps."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import plotly
import streamlit as st

from app.inspectors import Inspectors
from app.kept import Kept
from app.people import owner
from kdcore import worker
from kdcore.errors import UserError
from kdcore.places import replace_file
from kdcore.queue import PRIORITIES, Queue
from kdcore.settings import DEMONSTRATION, Settings
from kdcore.settings import read as read_settings
from kdcore.store import Store
from kdcore.version import code_version

WAKE_SECONDS = 15.0
KEPT_BYTES = 150 * 2**20
MOST_IMAGE_MEGABYTES = 20
EXAMPLE = Path(__file__).resolve().parent / "example.zip"
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


def mine(runs: list[dict]) -> list[dict]:
    """Those of the runs that whoever uses this page may change."""
    if settings().read_only:
        return []
    return runs if settings().people == "one" else [run for run in runs if run["owner"] == owner()]


def deletable(run: dict) -> bool:
    """Whether whoever uses this page may delete a run: theirs alone, and not going."""
    theirs = settings().people == "one" or not store().shared([run["id"]], owner())
    return bool(mine([run])) and theirs and run["state"] != "running"


def owns(experiment: str) -> bool:
    """Whether whoever uses this page may change an experiment."""
    theirs = settings().people != "one" and store().experiment(experiment)["owner"] != owner()
    return not (theirs or settings().read_only)


def deleted() -> list[dict]:
    """What whoever uses this page has deleted and may have back."""
    return [] if settings().read_only else store().bin.deleted(None if settings().people == "one" else owner())


def _may_change() -> None:
    """Raises UserError on a server that is a demonstration."""
    if settings().read_only:
        raise UserError(DEMONSTRATION)


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


def saved_methods() -> dict[str, dict]:
    """Methods that users made and saved, by name, as the catalogue has its own; kept as JSON beside the runs."""
    found = {}
    for path in sorted(_methods_folder().glob("*.json")):
        with suppress(UserError):  # not ours, or of another version
            told = described(path.read_bytes())
            found[f"saved {path.stem}"] = {**told.pop("method"), **told}
    return found


def save_method(method: dict) -> None:
    """Keep a method under its title, replacing the one of that title."""
    _may_change()
    replace_file(_saved(method["title"]), json.dumps(method, indent=2).encode())


def forget_method(title: str) -> None:
    """Delete the saved method of a title; runs that it trained keep it."""
    _may_change()
    _saved(title).unlink(missing_ok=True)


def _saved(title: str) -> Path:
    slug = re.sub(r"[^\w-]+", "-", title).strip("-").lower()
    number = zlib.crc32(title.encode())  # two titles may have one slug
    return _methods_folder() / f"{slug}-{number:08x}.json"


def _methods_folder() -> Path:
    """Each person's own, where people are told apart."""
    whose = hashlib.sha256(owner().encode()).hexdigest()[:16]
    return store().folder / "methods" / (whose if settings().people != "one" else "")


def plan(experiment: dict) -> dict:
    """The experiment as plain data for the store. Raises UserError where one of its runs cannot be trained."""
    planned = ask("plan", content=experiment)
    reasons = (store().obstacle(run, owner()) for run in planned["runs"])
    if reason := next(filter(None, reasons), "") or _hidden_start(planned) or _refusal(planned):
        raise UserError(reason)
    return planned


def _refusal(planned: dict, again: bool = False) -> str:
    return settings().refusal(planned["runs"], store(), owner(), again)


def _hidden_start(planned: dict) -> str:
    """Why runs cannot start from what another one learnt, where nobody here may see that one; empty where they can."""
    starts = (run["config"]["network"].get("start") for run in planned["runs"] + [
        run["teacher"] for run in planned["runs"] if run["teacher"]])
    needed = {start["run"] for start in starts if start and start["kind"] == "run"}
    hidden = needed - {run["id"] for run in visible(store().runs(ids=[*needed]))}
    return f"There is no run {min(hidden)} to start from; choose one of yours." if hidden else ""


def cost(experiment: dict, planned: dict, again: bool = False) -> dict:
    """What an experiment will cost on this machine.

    {"runs" all in all, "found" those of them that are there already, unless they are to be trained `again`, "seconds",
    "bytes", "slots" at a time "where", "teacher" a sentence, "tried" of how many "kinds" of run}.
    """
    run, teachers = experiment["run"], {}
    find = partial(store().find, owner=owner())
    states = {hash: (find(hash) or {"state": None})["state"]
              for hash in dict.fromkeys(run["teacher"]["hash"] for run in planned["runs"] if run["teacher"])}
    if set(states.values()) == {"done"}:  # what they started from may be gone
        run = {**run, "teacher": {**run["teacher"], "network": {**run["teacher"]["network"], "start": None}}}
    found = answer("estimate", content={**experiment, "run": run, "name": ""})
    fresh = [(one, run) for one, run in zip(found["each"], planned["runs"]) if again or not find(run["hash"])]
    for one, run in fresh:
        run["expected"] = one["seconds"] if not run["parts"] else 0.0
        for part in run["parts"]:
            part["expected"] = one["seconds"] / len(run["parts"])
        if run["teacher"] and states[run["teacher"]["hash"]] != "done":
            teachers[run["teacher"]["hash"]] = one["teacher"]
            run["teacher"]["expected"] = one["teacher"]["seconds"]
    at_a_time, where = ((slots(), "the cluster, if its nodes are as fast as this machine") if settings().ray else
                        (found["slots"], "this machine"))
    students = [one for one, _ in fresh]
    return {"runs": sum(one["trainings"] for one in found["each"]), "found": 0 if again else sum(
                one["trainings"] for one, run in zip(found["each"], planned["runs"]) if find(run["hash"])),
            "seconds": sum(_shared_out([one["seconds"] for one in wave], at_a_time)
                           for wave in (teachers.values(), students)),
            "bytes": sum(one["bytes"] for one in (*teachers.values(), *students)),
            "teacher": _of_teachers([*states.values()]),
            "slots": at_a_time, "where": where, "tried": found["tried"], "kinds": found["kinds"]}


def _shared_out(seconds: list[float], slots: int) -> float:
    """How long runs take of which so many go at a time."""
    return max(sum(seconds) / slots, *seconds) if seconds else 0.0


def _of_teachers(states: list[str | None]) -> str:
    whose, are = ("Their teacher", "is") if len(states) == 1 else (f"Their {len(states)} teachers", "are")
    if not states:
        return ""
    if None in states:
        return f"{whose} {are} trained first."
    return f"{whose} {are} already trained." if set(states) == {"done"} else f"{whose} {are} being trained already."


def submit(planned: dict, again: bool = False) -> str:
    """Queue a planned experiment and return its name, made unique; a worker is started where there is none.

    Runs that are there already are not trained twice, unless `again`. Raises UserError where the server's settings are
    against it.
    """
    if reason := _refusal(planned, again):
        raise UserError(reason)
    with store().transaction():  # two sessions may choose one name
        name = store().free_name(planned["name"])
        store().submit_all(planned["runs"], name, owner(), content=planned["content"], again=again)
    worker.ensure(store())
    return name


def search(wanted: dict, run: dict, seeds: list[int], name: str) -> str:
    """Start a search for a weight and return its name; `wanted` is what the form asks for."""
    _may_change()
    named = ask("start_search", content={**wanted, "run": run, "seeds": seeds}, owner=owner(), name=name)
    worker.ensure(store())
    return named


def import_experiment(content: bytes) -> str:
    """Read an exported experiment, as this person's, and return the name that it has here. Raises UserError."""
    _may_change()
    _may_upload(content, settings().most_upload_megabytes)
    if reason := settings().full(store()):
        raise UserError(reason)
    return ask("import_experiment", content=content, owner=owner())


def import_example() -> str:
    """The experiment that comes with the app, imported where it is not there yet; returns its name here."""
    with zipfile.ZipFile(EXAMPLE) as packed:
        name = json.loads(packed.read("experiment.json"))["name"]
    return name if name in experiments() else import_experiment(EXAMPLE.read_bytes())


def most_image_megabytes() -> int:
    """The largest image file that may be uploaded: what a camera makes, and no more."""
    return min(MOST_IMAGE_MEGABYTES, settings().most_upload_megabytes)


@st.cache_data(max_entries=60, show_spinner=False)
def read_image(run: int, file: str, _content: bytes, inverted: bool) -> np.ndarray:
    """An image file as an image (C, H, W) of the set that a run belongs to. Raises UserError where it is none.

    `file` names the upload, of which the answer is kept: its content is not gone through each time a page is drawn.
    """
    _may_upload(_content, most_image_megabytes())
    return ask("from_file", run=run, content=_content, inverted=inverted)


def _may_upload(content: bytes, most: int) -> None:
    if len(content) > most * 1e6:
        raise UserError(f"This file has {len(content) / 1e6:.0f} MB, and {most} are the most that this server takes.")


def present() -> dict[str, float]:
    """The share of each image set that is on this machine."""
    return ask("present")


def start_download(name: str) -> None:
    """Download an image set in a process of its own; `present` follows it, `download_error` says why it failed."""
    _may_change()
    log = _download_log(name)
    with log.open("wb") as file:
        subprocess.Popen([sys.executable, "-m", "kdcore", "data", name], stdout=subprocess.DEVNULL, stderr=file,
                         start_new_session=True, cwd=worker.ROOT)


def download_error(name: str) -> str:
    """Why the last download of the set failed, in a sentence; empty where it did not."""
    log = _download_log(name)
    last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
    return last[0].removeprefix("kdcore: ") if last and last[0].startswith("kdcore: ") else ""


def _download_log(name: str) -> Path:
    return store().folder / f"download-{name}.log"


def wake_worker() -> bool:
    """Start a worker where runs wait for one; returns whether there are such runs."""
    waiting = any(run["state"] != "paused" for run in queue().line())
    if waiting:
        worker.ensure(store())
    return waiting


def restart(runs: list[int]) -> None:
    """Start runs that failed, were stopped or paused once more. Raises UserError where the settings are against it."""
    _may_change()
    if reason := settings().refusal_again(store().runs(ids=runs), store(), owner()):
        raise UserError(reason)
    store().queue.restart(runs)
    worker.ensure(store())


def slots() -> int:
    """How many runs go at a time; one where no worker says."""
    return max([found["slots"] for found in queue().workers()], default=1) or 1


def queue() -> Queue:
    """Whose turn it is."""
    return store().queue


def free_disk() -> int:
    """Bytes left where the runs are kept."""
    return shutil.disk_usage(store().folder).free


__all__ = ["PRIORITIES", "UserError", "answer", "ask", "catalogue", "cost", "deletable", "deleted",
           "described", "download_error", "experiments", "free_disk", "import_example", "import_experiment",
           "inspectors", "mine", "most_image_megabytes", "owner", "owns", "present", "queue", "read_image", "restart",
           "save_method", "saved_methods", "search", "settings", "slots", "start", "start_download", "store", "submit",
           "visible", "wake_worker"]
