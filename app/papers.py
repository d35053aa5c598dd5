"""The papers' tables as this store fills them."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import streamlit as st

from app import downloads, engine, planning
from kdcore.comparison import mean
from kdcore.papers import TABLES, report

KEPT_SECONDS = 60
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "papers"
LEVELS = tuple(sorted({cell.measure.noise for table in TABLES.values() for cell in table.cells
                       if cell.measure.noise is not None}))
"""All standard deviations of noise that figures are under: a network answers them in one question."""


def outline(name: str, budget: str, images: str | None) -> list[dict]:
    """What makes each cell: {"hashes" of its runs, "reason" why it is not made here}."""
    here = bool(images) or downloads.present()[TABLES[name].data] == 1
    return _asked("paper", here, name=name, budget=budget, images=images)


@st.cache_data(ttl=KEPT_SECONDS, max_entries=50, show_spinner=False)
def _asked(question: str, here: bool = True, **arguments: Any) -> Any:
    """An answer that depends on files that may come and change; with `here`, on whether they have come."""
    return engine.ask(question, **arguments)


def committed(name: str, budget: str, images: str | None) -> dict | None:
    """What this project itself reports of a table at a budget, on these images or else on those it had; None where it
    reports none.
    """
    own = RESULTS / f"{report.file(name, budget, images)}.json"
    found = next((file for file in (own, *sorted(RESULTS.glob(f"{name}-{budget}*.json"))) if file.exists()), None)
    return json.loads(found.read_text()) if found else None


def measured(name: str, made: list[dict], before: dict | None) -> list[dict]:
    """Every cell as it is now, see `kdcore.papers.report.measured`, with its "reason", what this project's own report
    has of it, as "before", and what this project found "again", see `tried_again`.
    """
    found = report.measured(engine.store(), TABLES[name], [one["hashes"] for one in made], _noisy, find)
    own = {_place(cell): cell for cell in before["cells"]} if before else {}
    again = tried_again(name, before["budget"]) if before else {}
    return [{**cell, "reason": one["reason"], "before": own.get(_place(cell)),
             "again": again.get(_place(cell), [])} for cell, one in zip(found, made)]


def tried_again(name: str, budget: str) -> dict[tuple[str, str], list[dict]]:
    """{row and column of a cell: what this project measured of it with one thing changed}: {"change" in words,
    "own", "baseline" and "gain" on the same seeds {"mean", "error", "values", "digits"}}.
    """
    found: dict[tuple[str, str], list[dict]] = {}
    of = {(cell.row, cell.column): cell for cell in TABLES[name].cells}
    file = RESULTS / "directions.json"
    for doubt in json.loads(file.read_text())["doubts"] if file.exists() else ():
        if (doubt["table"], doubt["budget"]) != (name, budget):
            continue
        baseline, *rows = doubt["rows"]
        for row, change in product(rows, doubt["changes"]):
            cell = of[row, doubt["column"]]
            own, than = (doubt["found"][one][change] for one in (row, baseline))
            gains = [*map(cell.measure.gain, own, than)]
            found.setdefault((row, doubt["column"]), []).append({"change": change, **{
                what: _summary(values, cell.measure.digits)
                for what, values in (("own", own), ("baseline", than), ("gain", gains))}})
    return found


def _summary(values: list[float], digits: int) -> dict:
    average, error, _ = mean(values)
    return {"mean": average, "error": error, "values": values, "digits": digits}


def _place(cell: dict) -> tuple[str, str]:
    return cell["row"], cell["column"]


def find(hash: str) -> dict | None:
    """The run with this configuration, where there is one that whoever uses this page may see."""
    found = engine.store().find(hash, engine.owner())
    return found if found and engine.visible([found]) else None


def failed(name: str, budget: str, images: str | None, made: list[dict]) -> dict[str, list[str]]:
    """{why: the runs of the table that failed for it}, as far as no other of the same settings is there."""
    hashes = {hash for one in made for hash in one["hashes"]}
    listed = engine.visible(engine.store().runs(report.experiment(name, budget, images)))
    why: dict[str, list[str]] = {}
    for run in listed:
        if run["state"] == "failed" and run["hash"] in hashes and not find(run["hash"]):
            why.setdefault(run["message"], []).append(run["name"])
    return why


def _noisy(runs: list[int], std: float) -> list[float | None]:
    asked = [engine.answer("robustness", networks=[(run, None)], of=run, stds=[*LEVELS]) for run in runs]
    found = [one["accuracy"] for one, in asked]
    return [None if accuracy is None else float(accuracy[LEVELS.index(std)]) for accuracy in found]


def orders(name: str, cells: list[dict]) -> list[dict]:
    """The order in each line of a table, see `kdcore.papers.report.orders`, with Kendall's "tau"."""
    lines = report.orders(TABLES[name], cells)
    taus = engine.answer("kendall", pairs=[(line["published"], line["measured"]) for line in lines]) if lines else []
    return [{**line, "tau": tau} for line, tau in zip(lines, taus)]


def whole(name: str, budget: str, images: str | None, cells: list[dict]) -> dict:
    """The report that `python -m kdcore reproduce` writes."""
    return report.whole(name, budget, engine.catalogue()["data"][TABLES[name].data]["title"], images, cells,
                        orders(name, cells))


def missing(name: str, budget: str, images: str | None, columns: list[str], rows: list[str]) -> list[dict]:
    """The runs that these columns and rows are made of, as the store takes them. Raises UserError where none can be."""
    return _asked("paper_runs", name=name, budget=budget, images=images, columns=columns, rows=rows)


def cost(runs: list[dict]) -> dict:
    """What planned runs will cost, see `planning.cost`."""
    return planning.cost_of(runs, engine.answer("paper_estimate", runs=[run["config"] for run in runs]))
