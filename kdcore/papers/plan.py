"""From a table's cells to runs: each row's method, the images that stand in for a set, and what cannot be made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import Any

from kdcore import grid
from kdcore.config import RunConfig, read
from kdcore.data.sources import FOLDER_NAME, SOURCES
from kdcore.errors import UserError, meant
from kdcore.methods import METHODS
from kdcore.papers import BUDGETS, TABLES
from kdcore.papers.table import Cell, Table

EVALUATIONS = 20  # a table asks for the last one; a curve is drawn from as many
QUICK = {"evaluations": 5}  # on a CPU ten thousand photographs take as long as seventy steps


def outline(name: str, budget: str, images: str | None = None) -> list[dict]:
    """What makes each cell of a table, in its order: {"hashes" of its runs, one a seed, "reason"}.

    `images` is a folder or zip file of class folders that stands in for the table's image set. Where a cell cannot be
    made on this machine, the reason is a sentence. Raises UserError for an unknown table or budget.
    """
    table = named(name, TABLES, "table")
    return [{"hashes": [run.hash() for run in runs], "reason": reason}
            for runs, reason in _made(table, table.cells, budget, images)]


def missing(name: str, budget: str, images: str | None = None, columns: Collection[str] = (),
            rows: Collection[str] = (), known: Collection[tuple] = ()) -> list[dict]:
    """What makes the cells in these columns and rows, all where none are given: each run once, as the store takes it.

    Cells that are `known`, see `report.known`, are left out. Raises UserError for a table, budget, column or row that
    is not there, and where none of the cells can be made here.
    """
    table = named(name, TABLES, "table")
    asked = wanted(table, columns, rows)
    made = list(_made(table, asked, budget, images))
    if not any(runs and not reason for runs, reason in made):
        raise UserError(made[0][1] if made else "These rows have no cell in these columns.")
    found = {}
    for cell, (runs, reason) in zip(asked, made):
        own = {run.hash(): run for run in runs}
        if not reason and (cell.measure, *own) not in known:
            found |= own
    return [run.planned() for run in found.values()]


def wanted(table: Table, columns: Collection[str], rows: Collection[str]) -> list[Cell]:
    """The cells in these columns and rows, all where none are given. Raises UserError for one that is not there."""
    for what, asked, known in (("column", columns, [cell.column for cell in table.cells]),
                               ("row", rows, [cell.row for cell in table.cells])):
        if unknown := [one for one in asked if one not in known]:
            raise UserError(f"The table has no {what} {unknown[0]!r}{meant(unknown[0], known)}; it has "
                            f"{', '.join(dict.fromkeys(known))}.")
    return [cell for cell in table.cells if (not columns or cell.column in columns) and (not rows or cell.row in rows)]


def named(name: str, known: dict, what: str) -> Any:
    """The one of this name. Raises UserError where there is none."""
    if name not in known:
        raise UserError(f"There is no {what} {name!r}{meant(name, known)}; choose one of {', '.join(known)}.")
    return known[name]


def _made(table: Table, cells: Iterable[Cell], budget: str, images: str | None
          ) -> Iterator[tuple[list[RunConfig], str]]:
    """The runs of each cell, one a seed, and a sentence where they cannot be trained here."""
    named(budget, BUDGETS, "budget")
    here = images or SOURCES[table.data].present()
    absent = "" if here else f"{SOURCES[table.data].title} is not on this machine. {whence(table.data)}"
    for cell in cells:
        try:
            runs = [run_of(table, cell, budget, seed, images)
                    for seed in range(1, table.budgets[budget].seeds + 1)]
            yield runs, absent or runs[0].obstacle() or (runs[0].teacher.obstacle() if runs[0].teacher else "")
        except UserError as reason:
            yield [], absent or str(reason)


def whence(data: str) -> str:
    """What to do where an image set is not on this machine."""
    known = SOURCES[data]
    return known.whence() if known.origin else f"`python -m kdcore data {data}` downloads it."


def run_of(table: Table, cell: Cell, budget: str, seed: int, images: str | None = None) -> RunConfig:
    """The run that makes a cell with this seed. Raises UserError where its networks or images do not suit it."""
    content = cell.run(budget, seed)
    found = methods()[table.paper, content["method"]]
    method = found.model_dump(mode="json")
    change = content.pop("change", {})
    title = " · ".join(filter(None, (cell.row, cell.column, f"seed {seed}")))
    often = QUICK if budget == "quick" else {}
    run = {"evaluations": EVALUATIONS, **often, **content, "name": title[:120],
           "method": grid.with_settings(method, change)}
    if run.get("teacher"):
        run["teacher"] = {**often, **run["teacher"]}
    if not found.needs_teacher() and (run.get("teacher") or {}).get("steps") == 0:
        del run["teacher"]  # published weights, which nobody learns from here
    for one in filter(None, (run, run.get("teacher"))) if images else ():
        one["data"] = {**one["data"], "name": FOLDER_NAME, "path": images,
                       "size": one["data"].get("size") or SOURCES[table.data].shape[1]}
    return read(run)


@lru_cache(1)
def methods() -> dict[tuple[str, str], Any]:
    """{(paper, "Table 3: row"): method}, as each method says which rows it makes.

    A row without a paper's name is of the paper that was named before it, or the method's own; "Table 1, 2: row" is a
    row of both.
    """
    found = {}
    for method in METHODS.values():
        paper = method.paper
        for row in method.rows:
            before, _, table = row.partition("Table ")
            paper = _full(before.strip()) if before.strip() else paper
            numbers, _, label = table.partition(": ")
            for number in numbers.split(", "):
                found[paper, f"Table {number}: {label}"] = method
    return found


def _full(short: str) -> str:
    """A paper's name with its year, from the one without."""
    return next(table.paper for table in TABLES.values() if table.paper.startswith(short))
