"""What the benchmarks that train have in common: runs that are kept and found again, and how results are written."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from kdcore.comparison import mean
from kdcore.config import RunConfig
from kdcore.device import cores, describe
from kdcore.errors import UserError
from kdcore.store import Store
from kdcore.worker import work

RESULTS = Path(__file__).parent / "results"
IDLE_SECONDS = 5


def execute(store: Store, configs: Sequence[RunConfig], experiment: str) -> None:
    """Train what the store does not have yet; an interrupted line goes on where it was."""
    ids = [store.ensure(config.planned(), experiment) for config in configs]
    while any(row["state"] in ("queued", "running") for row in store.runs(ids=ids)):
        work(store, idle_seconds=IDLE_SECONDS)  # which returns at once where another worker is at it
        time.sleep(1)


def trained(store: Store, configs: Sequence[RunConfig], experiment: str) -> list[int]:
    """The runs of these configurations, all done. Raises UserError for one that failed."""
    execute(store, configs, experiment)
    rows = [store.find(config.hash()) for config in configs]
    for config, row in zip(configs, rows):
        if not row or row["state"] != "done":
            raise UserError(f"{config.name or config.method.name} is not done: "
                            f"{failures(store).get(config.hash(), 'it was stopped')}")
    return [row["id"] for row in rows]


def reached(store: Store, wanted: dict[str, list[RunConfig]], experiment: str, known: dict[str, float],
            taken: Callable[[list[int]], list[float]]) -> dict[str, list[float]]:
    """{words: what each of these runs reached}, seed by seed.

    Runs whose value is `known`, by their hash, are not trained again; what `taken` reads of the others is added to it.
    """
    new = {run.hash(): run for runs in wanted.values() for run in runs if run.hash() not in known}
    known |= zip(new, taken(trained(store, [*new.values()], experiment)))
    return {words: [known[run.hash()] for run in runs] for words, runs in wanted.items()}


def result(store: Store, config: RunConfig, name: str = "accuracy") -> dict | None:
    """{"best", "last", "seconds"} of a metric of the run, None where it is not done."""
    row = store.find(config.hash())
    return store.summary([row["id"]], name).get(row["id"]) if row and row["state"] == "done" else None


def failures(store: Store) -> dict[str, str]:
    """{hash of a run that failed: why}."""
    return {row["hash"]: row["message"] for row in store.runs() if row["state"] == "failed"}


def kept(name: str) -> dict:
    """What benchmarks/results/NAME.json has from before; {"runs": {}} where there is none."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {"runs": {}}


def machine() -> dict:
    """What the figures were measured on."""
    return {"device": describe()["title"], "cores": cores(), "system": platform.platform(), "torch": torch.__version__}


def status(name: str) -> int:
    """What Linux counts of this process, in kB: VmRSS, VmHWM and others."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0])


def spread(values: Sequence[float], digits: int) -> str:
    """Mean ± standard error (number of values); one value has no error."""
    average, error, count = mean(values)
    return f"{average:.{digits}f}{f' ± {error:.{digits}f}' if count > 1 else ''} ({count})"


def write(name: str, content: dict, text: str, aloud: bool = True) -> None:
    """benchmarks/results/NAME.json, with the machine, and NAME.md, which is printed too where it is `aloud`."""
    (RESULTS / name).parent.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({"machine": machine(), **content}, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(text)
    if aloud:
        print(text)
