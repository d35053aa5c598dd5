"""Fill a paper's table: queue what is missing, wait, report. Can be interrupted and called again."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from pathlib import Path

from tqdm import tqdm

from kdcore import worker
from kdcore.comparison import kendall
from kdcore.data.sources import SOURCES
from kdcore.errors import UserError, meant
from kdcore.inspect import robustness
from kdcore.papers import TABLES
from kdcore.papers.plan import planned
from kdcore.papers.report import markdown, measured, orders
from kdcore.papers.table import Table
from kdcore.store import Store


def reproduce(name: str, budget: str, store: Store, folder: Path, images: str | None = None,
              columns: Collection[str] = (), rows: Collection[str] = ()) -> dict:
    """Fill the table at a budget and return its report; also written to `folder` as Markdown and JSON.

    `images` is a folder or zip file that stands in for the table's image set. Only cells in these `columns` and `rows`
    are filled, all where none are given; the report has whatever is there. Raises UserError for an unknown table,
    budget, column or row, where no cell can be made here, and for runs that failed.
    """
    made = planned(name, budget, images)
    table = TABLES[name]
    chosen = wanted(table, columns, rows)
    runs = [run for one, cell in zip(made, table.cells) if cell in chosen for run in one["runs"] if not one["reason"]]
    if not runs:
        raise UserError(next(one["reason"] for one, cell in zip(made, table.cells) if cell in chosen))
    each = {run["hash"]: run for run in runs}
    with store.transaction():
        ids = [store.ensure(run, experiment(name, budget)) for run in each.values()]
    _wait(store, ids)
    report = reported(store, name, budget, made, images)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}-{budget}.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    (folder / f"{name}-{budget}.md").write_text(markdown(report))
    return report


def experiment(name: str, budget: str) -> str:
    """What the runs of a table at a budget are called together."""
    return f"{name} · {budget}"


def wanted(table: Table, columns: Collection[str], rows: Collection[str]) -> list:
    """The cells in these columns and rows, all where none are given. Raises UserError for one that is not there."""
    for what, asked, known in (("column", columns, [cell.column for cell in table.cells]),
                               ("row", rows, [cell.row for cell in table.cells])):
        if unknown := [one for one in asked if one not in known]:
            raise UserError(f"The table has no {what} {unknown[0]!r}{meant(unknown[0], known)}; it has "
                            f"{', '.join(dict.fromkeys(known))}.")
    return [cell for cell in table.cells if (not columns or cell.column in columns) and (not rows or cell.row in rows)]


def reported(store: Store, name: str, budget: str, made: list[dict], images: str | None) -> dict:
    """A table's report: what it is, its cells as `report.measured` has them with the "reason" why one is not made, and
    the order of its lines with Kendall's "tau".
    """
    table = TABLES[name]

    def noisy(runs: list[int], std: float) -> list[float | None]:
        each = [robustness(store, [(run, None)], of=run, stds=[std])[0]["accuracy"] for run in runs]
        return [None if accuracy is None else float(accuracy[0]) for accuracy in each]

    found = measured(store, table, [[run["hash"] for run in one["runs"]] for one in made], noisy)
    for cell, one in zip(found, made):
        cell["reason"] = one["reason"]
    lines = orders(table, found)
    for line, tau in zip(lines, kendall([(line["published"], line["measured"]) for line in lines])):
        line["tau"] = tau
    title = SOURCES[table.data].title
    return {"table": name, "paper": table.paper, "title": table.title, "claim": table.claim, "budget": budget,
            "note": table.budgets[budget].note, "cells": found, "orders": lines,
            "images": f"{Path(images).name} in place of {title}." if images else f"Images: {title}."}


def _wait(store: Store, ids: list[int]) -> None:
    with tqdm(total=len(ids), unit="run") as bar:
        while True:
            worker.ensure(store)
            rows = store.runs(ids=ids)
            bar.update(sum(row["state"] == "done" for row in rows) - bar.n)
            broken = [row for row in rows if row["state"] in ("failed", "stopped")]
            if broken:
                raise UserError(f"{broken[0]['name']} {broken[0]['state']}: {broken[0]['message']} "
                                "Call the same line again to go on with the rest.")
            if bar.n == len(ids):
                return
            time.sleep(0.5)
