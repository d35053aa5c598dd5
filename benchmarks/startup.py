"""How long a start takes, of a module, a command, the app's first page, a run: python -m benchmarks.startup.

Each is started anew, and the median of some is taken; beside them stands what torch alone takes to be imported. Writes
benchmarks/results/startup.json and .md.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.runs import write
from kdcore import worker
from kdcore.experiment import demo
from kdcore.store import Store
from tests.browser.server import CHROMIUM, Server

TIMES = 5
HEADING = "What does a student network learn from its teacher?"


def started(*command: str) -> float:
    """Seconds of a command of Python's, from its start to its end."""
    began = time.monotonic()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def first_page() -> float:
    """Seconds from `streamlit run app/main.py` to the first page's heading, in a browser that is open already."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]).new_page()
        server, began = Server(Path(folder)), time.monotonic()
        server.start()
        page.goto(server.url)
        page.get_by_role("heading", name=HEADING).wait_for(timeout=60_000)
        taken = time.monotonic() - began
        server.end()
    return taken


def first_points() -> dict[str, float]:
    """Seconds from a run's place in the queue to its first point: the first run of all, and when a worker waits.

    The runs are a teacher's, which starts at once.
    """
    planned = [demo(seed).runs()[0].teacher.model_copy(update={"seed": seed}).planned() for seed in (1, 2)]
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        taken = [_first_point(store, run) for run in planned]
        for one in store.queue.workers():
            os.kill(one["pid"], signal.SIGTERM)
    return dict(zip(("cold", "warm"), taken))


def _first_point(store: Store, planned: dict) -> float:
    began = time.monotonic()
    run = store.ensure(planned)
    worker.ensure(store)
    while not store.metrics([run]):
        time.sleep(0.01)
    taken = time.monotonic() - began
    while store.runs(ids=[run])[0]["state"] != "done":
        time.sleep(0.1)
    return taken


STARTS: dict[str, Callable[[], float]] = {
    "Python alone": partial(started, "-c", ""),
    "`import torch`": partial(started, "-c", "import torch"),
    "`import kdcore`": partial(started, "-c", "import kdcore"),
    "`import kdcore.store`, what the app reads runs with": partial(started, "-c", "import kdcore.store"),
    "`python -m kdcore --help`": partial(started, "-m", "kdcore", "--help"),
    "`python -m kdcore methods`": partial(started, "-m", "kdcore", "methods"),
    "`from kdcore import fit`, with torch": partial(started, "-c", "from kdcore import fit"),
    "From `streamlit run` to the first page": first_page}


def markdown(found: dict[str, float]) -> str:
    """A line for each start."""
    return "\n".join(["# Starts", "", f"Seconds, each the median of {TIMES}, of new processes on a machine that has "
                      "read their files before.", "", "| | seconds |", "|---|---|",
                      *(f"| {name} | {seconds:.2f} |" for name, seconds in found.items())]) + "\n"


def main() -> None:
    """Measure every start and write the table."""
    found = {}
    for name, start in STARTS.items():
        start()  # reads the files
        found[name] = statistics.median(start() for _ in range(TIMES))
    points = [first_points() for _ in range(TIMES)]
    for state, name in (("cold", "From a place in the queue to a run's first point, the first run of all"),
                        ("warm", "The same where the worker has trained before")):
        found[name] = statistics.median(one[state] for one in points)
    write("startup", {"seconds": found}, markdown(found))


if __name__ == "__main__":
    main()
