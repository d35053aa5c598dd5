"""Fill a paper's table: queue what is missing, wait, report. Can be interrupted and called again."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tqdm import tqdm

from kdcore import worker
from kdcore.comparison import mean
from kdcore.data.sources import SOURCES, load
from kdcore.errors import UserError
from kdcore.papers import BUDGETS, Cell, Table, tables
from kdcore.store import Store


def reproduce(name: str, budget: str, store: Store, folder: Path) -> dict:
    """Fill the table at a budget and return its report; also written to `folder` as Markdown and JSON.

    Raises UserError for an unknown table or budget, missing data, or runs that failed.
    """
    table = _named(name, tables(), "table")
    chosen = _named(budget, BUDGETS, "budget")
    if not SOURCES[table.data].present():
        load(table.data)  # says in a sentence where the set belongs
    runs = {cell: [store.ensure(config.planned(), f"{name} {budget}") for config in cell.configs(chosen)]
            for cell in table.cells}
    _wait(store, sorted({run for queued in runs.values() for run in queued}))
    report = {"table": name, "title": table.title, "budget": budget, "note": chosen.note,
              "cells": [_cell(store, cell, queued) for cell, queued in runs.items()]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}-{budget}.json").write_text(json.dumps(report, indent=1))
    (folder / f"{name}-{budget}.md").write_text(markdown(report))
    return report


def markdown(report: dict) -> str:
    """The report as a Markdown table: published beside measured, mean ± standard error (number of seeds)."""
    lines = [f"# {report['title']}", "", f"Budget *{report['budget']}*: {report['note']}.", "",
             "| row | column | published | measured |", "|---|---|---|---|"]
    for cell in report["cells"]:
        error = f" ± {cell['standard_error']:.4f}" if cell["standard_error"] is not None else ""
        lines.append(f"| {cell['row']} | {cell['column']} | {cell['published']:.4f} | "
                     f"{cell['mean']:.4f}{error} ({len(cell['accuracies'])}) |")
    return "\n".join(lines) + "\n"


def _named(name: str, known: dict, what: str):
    if name not in known:
        raise UserError(f"There is no {what} {name!r}; choose one of {', '.join(known)}.")
    return known[name]


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


def _cell(store: Store, cell: Cell, ids: list[int]) -> dict:
    accuracies = [summary["last"] for _, summary in sorted(store.summary(ids).items())]
    average, error, _ = mean(accuracies)
    return {"row": cell.row, "column": cell.column, "published": cell.published, "runs": ids,
            "accuracies": accuracies, "mean": average, "standard_error": error}


__all__ = ["Table", "markdown", "reproduce"]
