"""Fill a paper's table: queue what is missing, wait, report. Can be interrupted and called again."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from functools import partial
from pathlib import Path

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
    are filled, all where none are given; the report has whatever is there. What an earlier report in the folder, of
    this machine or another, has of the same runs is kept instead of trained again. Raises UserError for an unknown
    table, budget, column or row, where no cell can be made here, and for runs that failed.
    """
    stem = folder / file(name, budget, images)
    written = stem.with_name(f"{stem.name}.json")
    earlier = json.loads(written.read_text()) if written.exists() else None
    runs = missing(name, budget, images, columns, rows, known(earlier))
    with store.transaction():
        ids = [store.ensure(run, experiment(name, budget, images)) for run in runs]
    _wait(store, ids)
    report = reported(store, name, budget, images, earlier)
    folder.mkdir(parents=True, exist_ok=True)
    written.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    stem.with_name(f"{stem.name}.md").write_text(markdown(report))
    return report


def reported(store: Store, name: str, budget: str, images: str | None = None, earlier: dict | None = None) -> dict:
    """A table's report: what it is, its cells as `report.measured` has them with the "hashes" of their runs and the
    "reason" why one is not made, the order of its lines with Kendall's "tau", and the "machine" that reports, after
    that of the `earlier` report where cells are kept from there.
    """
    table, made = TABLES[name], outline(name, budget, images)
    found = measured(store, table, [one["hashes"] for one in made], partial(noisy, store), store.find, earlier)
    for cell, one in zip(found, made):
        cell |= one
    lines = orders(table, found)
    for line, tau in zip(lines, kendall([(line["published"], line["measured"]) for line in lines])):
        line["tau"] = tau
    kept = any(cell["values"] and not cell["runs"] for cell in found)
    before = earlier.get("machine", "").split("; ") if kept else []
    machines = dict.fromkeys(filter(None, [*before, f"{describe()['title']}, torch {torch.__version__}"]))
    return {**whole(name, budget, SOURCES[table.data].title, images, found, lines), "machine": "; ".join(machines)}


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
