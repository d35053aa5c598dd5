"""Fill a paper's table: queue what is missing, wait, report. Can be interrupted and called again."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch
from tqdm import tqdm

from kdcore import worker
from kdcore.comparison import kendall
from kdcore.data.sources import SOURCES
from kdcore.device import describe
from kdcore.errors import UserError
from kdcore.inspect import robustness
from kdcore.papers import TABLES
from kdcore.papers.plan import missing, outline
from kdcore.papers.report import experiment, file, known, markdown, measured, orders, whole
from kdcore.store import Store


def reproduce(name: str, budget: str, store: Store, folder: Path, images: str | None = None,
              columns: Collection[str] = (), rows: Collection[str] = ()) -> dict:
    """Fill the table at a budget and return its report; also written to `folder` as Markdown and JSON.

    `images` is a folder or zip file that stands in for the table's image set. Only cells in these `columns` and `rows`
    are filled, all where none are given; the report has whatever is there. What reports in the folder have of the same
    runs, of this machine or another, is kept instead of trained again. Raises UserError for an unknown table, budget,
    column or row, where no cell can be made here, and for runs that failed.
    """
    before = known(_reports(folder))
    runs = missing(name, budget, images, columns, rows, before)
    with store.transaction():
        ids = [store.ensure(run, experiment(name, budget, images)) for run in runs]
    _wait(store, ids)
    report = reported(store, name, budget, images, before)
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / file(name, budget, images)
    stem.with_name(f"{stem.name}.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    stem.with_name(f"{stem.name}.md").write_text(markdown(report))
    return report


def reported(store: Store, name: str, budget: str, images: str | None = None,
             before: Mapping[tuple, dict] = MappingProxyType({})) -> dict:
    """A table's report: what it is, its cells as `report.measured` has them with the "hashes" of their runs and the
    "reason" why one is not made and the "machine", the order of its lines with Kendall's "tau", and all machines as its
    own "machine". What the store does not have comes from `before`, see `report.known`.
    """
    table, made = TABLES[name], outline(name, budget, images)
    found = measured(store, table, [one["hashes"] for one in made], partial(noisy, store), store.find, before)
    here = f"{describe()['title']}, torch {torch.__version__}"
    for cell, one in zip(found, made):
        cell |= {"machine": here, **cell, **one}
    lines = orders(table, found)
    for line, tau in zip(lines, kendall([(line["published"], line["measured"]) for line in lines])):
        line["tau"] = tau
    machines = dict.fromkeys(cell["machine"] for cell in found if cell["values"])
    return {**whole(name, budget, SOURCES[table.data].title, images, found, lines), "machine": "; ".join(machines)}


def _reports(folder: Path) -> list[dict]:
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(json.loads(path.read_text()))
        except ValueError:
            raise UserError(f"{path} is no JSON, so that what it may have measured cannot be kept; repair it, move it "
                            "away, or write to another folder.") from None
    return [one for one in found if isinstance(one, dict) and one.get("table") in TABLES]


def noisy(store: Store, runs: list[int], std: float) -> list[float | None]:
    """The accuracy of each run's network under noise of this standard deviation, see `inspect.robustness`."""
    each = [robustness(store, [(run, None)], of=run, stds=[std])[0]["accuracy"] for run in runs]
    return [None if accuracy is None else float(accuracy[0]) for accuracy in each]


def _wait(store: Store, ids: list[int]) -> None:
    with tqdm(total=len(ids), unit="run") as bar:
        while bar.n < len(ids):
            worker.ensure(store)
            rows = store.runs(ids=ids)
            bar.update(sum(row["state"] == "done" for row in rows) - bar.n)
            broken = [row for row in rows if row["state"] in ("failed", "stopped")]
            if broken:
                raise UserError(f"{broken[0]['name']} {broken[0]['state']}: {broken[0]['message']} "
                                "Call the same line again to go on with the rest.")
            if bar.n < len(ids):
                time.sleep(0.5)
