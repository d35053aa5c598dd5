"""A table as it was measured: each cell's runs beside its figure, which way they point, and the order. No torch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kdcore.comparison import mean, sign
from kdcore.papers import TABLES
from kdcore.papers.table import Cell, Measure, Table
from kdcore.store import Store

Noisy = Callable[[list[int], float], list[float | None]]
"""Runs and a standard deviation of noise -> the accuracy of each under it."""
Find = Callable[[str], dict | None]
"""The hash of a run -> the run that is there, done, waiting or running."""

AS_THERE, OTHERWISE, LEVEL, INSIGNIFICANT = "as published", "the other way", "level", "not significant in the paper"


def experiment(name: str, budget: str, images: str | None = None) -> str:
    """What the runs of a table at a budget are called together, on the images that stand in for its own."""
    return " · ".join(filter(None, (name, budget, images and Path(images).name)))


def file(name: str, budget: str, images: str | None = None) -> str:
    """What the report of a table is called as a file, without its ending."""
    return experiment(name, budget, images).replace(" · ", "-")


def known(reports: Iterable[dict]) -> dict[tuple, dict]:
    """{the `Measure` and the hashes of the runs: what reports have of a cell all of whose runs were done}.

    The runs themselves may have been another store's, on the "machine" that is named.
    """
    found = {}
    for report in reports:
        measures = {(cell.row, cell.column): cell.measure for cell in TABLES[report["table"]].cells}
        for one in report["cells"]:
            if one.get("hashes") and not one["missing"]:
                found[measures.get((one["row"], one["column"])), *one["hashes"]] = {
                    "missing": 0, "running": False, "runs": [], "networks": [],
                    "values": {int(seed): value for seed, value in one["values"].items()},
                    **{name: one[name] for name in ("mean", "error", "when")},
                    "machine": one.get("machine", report.get("machine"))}
    return found


def measured(store: Store, table: Table, hashes: list[list[str]], noisy: Noisy, find: Find,
             known: Mapping[tuple, dict] = MappingProxyType({})) -> list[dict]:
    """What the store has of each cell, in the table's order; `hashes` are those of each cell's runs, seed by seed.

    {"row", "column", "published", "spread", "significant", "unit", "metric", "digits", "against", "baseline" whether
    others are compared with it, "runs" their ids, "networks" those whose curves end in the figures, "missing" how many
    are not there or not done, "running" whether some wait or train, "values" as the paper prints them by seed, "mean"
    and its standard "error", "when" the newest ended, "direction" and "clear", see `compared`}. What `find` does not
    find is not there, but for what is `known`, see above.
    """
    rows = {one: find(one) for one in dict.fromkeys(one for own in hashes for one in own)}
    found = [_cell(store, cell, [rows[one] for one in own], noisy) for cell, own in zip(table.cells, hashes)]
    for cell, one, own in zip(table.cells, found, hashes):
        one |= known.get((cell.measure, *own), {}) if one["missing"] else {}
    of = {(one["row"], one["column"]): one for one in found}
    baselines = {table.baseline(cell) for cell in table.cells}
    for cell, one in zip(table.cells, found):
        one |= {"baseline": (cell.row, cell.column) in baselines,
                **compared(one, of.get(table.baseline(cell)), cell.measure)}
    return found


def _cell(store: Store, cell: Cell, rows: list[dict | None], noisy: Noisy) -> dict:
    there = [row for row in rows if row]
    done = {row["id"]: row for row in there if row["state"] == "done"}
    values = {done[run]["seed"]: cell.measure.printed(value) for run, value in zip(
        done, taken(store, list(done), cell.measure, noisy)) if value is not None}
    average, error, _ = mean([*values.values()]) or (None, None, 0)
    return {"row": cell.row, "column": cell.column, "published": cell.published, "spread": cell.spread,
            "significant": cell.significant, "unit": cell.measure.title, "metric": cell.measure.metric,
            "digits": cell.measure.digits, "against": cell.against, "runs": [row["id"] for row in there],
            "networks": _own(store, [row["id"] for row in there], cell.measure),
            "missing": len(rows) - len(done),
            "running": len(there) > len(done), "values": values, "mean": average, "error": error,
            "when": max((row["finished"] or 0 for row in done.values()), default=None)}


def _own(store: Store, runs: list[int], measure: Measure) -> list[int]:
    """The runs themselves or, for one network of an ensemble, that network's."""
    return runs if measure.member is None else [store.parts(run)[measure.member] for run in runs]


def taken(store: Store, runs: list[int], measure: Measure, noisy: Noisy) -> list[float | None]:
    """What of each run a figure is, as it was recorded; None where it was not.

    A term's first value is its mean over the first of the run's measured intervals, not that of its first step.
    """
    if measure.noise is not None:
        return noisy(runs, measure.noise)
    runs = _own(store, runs, measure)
    if measure.fall:
        curves = store.curves(runs, measure.metric)
        return [1 - curves[run][1][-1] / curves[run][1][0] if run in curves and curves[run][1][0] else None
                for run in runs]
    last = store.summary(runs, measure.metric)
    return [last[run]["last"] if run in last else None for run in runs]


def compared(one: dict, baseline: dict | None, measure: Measure) -> dict:
    """{"direction": whether a cell is ahead of its baseline or behind as in the paper, None where that is not known or
    the paper calls its own difference not significant; "clear": whether its gain on the same seeds differs from 0, by
    Student's t at 95 %, which takes two seeds; "gain" of the means, and "published gain"}.
    """
    unknown = {"direction": None, "clear": False, "gain": None, "published gain": None}
    if not baseline or None in (one["published"], baseline["published"]):
        return unknown
    there = measure.gain(one["published"], baseline["published"])
    seeds = one["values"].keys() & baseline["values"].keys()
    gains = [measure.gain(one["values"][seed], baseline["values"][seed]) for seed in sorted(seeds)]
    if not gains:
        return {**unknown, "published gain": there}
    here, *_ = mean(gains)
    direction = LEVEL if not here or not there else AS_THERE if here * there > 0 else OTHERWISE
    told = {"direction": direction, "clear": direction != LEVEL and bool(sign(mean(gains)))}
    return {**unknown, **(told if one["significant"] is not False else {}), "gain": here, "published gain": there}


def orders(table: Table, found: list[dict]) -> list[dict]:
    """The lines of a table whose order is compared, see `Table.lines`: {"line" in words, "published" and "measured" (of
    at least three cells that have both, in the same order)}.
    """
    of = {(one["row"], one["column"]): one for one in found}
    lines = []
    for (line, baseline), cells in table.lines().items():
        there = [of[cell.row, cell.column] for cell in cells]
        both = [one for one in there if None not in (one["published"], one["mean"])]
        if len(both) > 2:
            words = ", ".join(filter(None, (line, _group(baseline))))
            lines.append({"line": words or "all", "published": [one["published"] for one in both],
                          "measured": [one["mean"] for one in both]})
    return lines


def _group(baseline: str | None) -> str:
    """The group that a row's name begins with, where rows stand in several."""
    group, _, rest = (baseline or "").partition(": ")
    return group if rest else ""


def whole(name: str, budget: str, data: str, images: str | None, cells: list[dict], orders: list[dict]) -> dict:
    """A table's report: what it is and at which budget, on which images, its cells and the order of its lines."""
    table = TABLES[name]
    return {"table": name, "paper": table.paper, "title": table.title, "claim": table.claim, "budget": budget,
            "note": table.budgets[budget].note, "path": images, "cells": cells, "orders": orders,
            "images": f"{Path(images).name} in place of {data}." if images else f"Images: {data}."}


def markdown(report: dict[str, Any]) -> str:
    """A report as a Markdown table: published beside measured, mean ± standard error (number of seeds)."""
    what = f"{_text(report['images'])} Figures: {_text(units(report))}."
    lines = [f"# {report['paper']}, {report['title']}", "", report["claim"], "",
             f"Budget *{report['budget']}*: {report['note']}. {what}", "",
             "| row | column | published | measured | gain, published | gain, measured | direction |",
             "|---|---|---|---|---|---|---|",
             *(f"| {_text(one['row'])} | {_text(one['column'])} | {printed(one)} | {found(one)} | "
               f"{_signed(one['published gain'], one['digits'])} | {_signed(one['gain'], one['digits'])} | "
               f"{in_words(one)} |" for one in report["cells"])]
    for line in report["orders"]:
        lines += [] if line["tau"] is None else ["", f"Order, {line['line']}: Kendall's τ {line['tau']:.2f} "
                                                     f"({len(line['published'])} cells)."]
    if reasons := dict.fromkeys(one["reason"] for one in report["cells"] if one["reason"]):
        lines += ["", "Not made here:", "", *(f"- {_text(reason)}" for reason in reasons)]
    return "\n".join([*lines, "", " ".join(filter(None, (said(report), ended(report))))]) + "\n"


def units(report: dict[str, Any]) -> str:
    """What the figures of a table are."""
    return "; ".join(dict.fromkeys(one["unit"] for one in report["cells"]))


def said(report: dict[str, Any]) -> str:
    """In a sentence, how many directions were found again."""
    again, clearly, otherwise, clearly_not = directions(report["cells"])
    if not any(one["published gain"] for one in report["cells"]):
        return "The paper compares these with no baseline's figure, so that there is no direction to find again."
    if not (told := again + otherwise):
        return "No direction can be told yet."
    baseline, *others = dict.fromkeys(one["against"] for one in report["cells"] if one["direction"])
    against = "their baselines" if others else baseline
    return (f"Of {told} direction{'s' * (told > 1)} against {against}, {again} as published, {clearly} of them clearly "
            f"(by Student's t at 95 % over the seeds, uncorrected for many tests), and {otherwise} the other way, "
            f"{clearly_not} clearly.")


def directions(cells: list[dict]) -> tuple[int, int, int, int]:
    """How many of a report's cells are as published, how many of these clearly, how many the other way, how many of
    these clearly.
    """
    found = Counter((one["direction"], one["clear"]) for one in cells)
    clearly, clearly_not = found[AS_THERE, True], found[OTHERWISE, True]
    return found[AS_THERE, False] + clearly, clearly, found[OTHERWISE, False] + clearly_not, clearly_not


def printed(one: dict) -> str:
    """A published figure as it is printed."""
    if one["published"] is None:
        return ""
    spread = f" ± {one['spread']:.{one['digits']}f}" if one["spread"] is not None else ""
    return f"{one['published']:.{one['digits']}f}{spread}{' *' * bool(one['significant'])}"


def found(one: dict) -> str:
    """A measured mean with its standard error and the number of seeds."""
    if one["mean"] is None:
        return ""
    error = f" ± {one['error']:.{one['digits']}f}" if one["error"] is not None else ""
    return f"{one['mean']:.{one['digits']}f}{error} ({len(one['values'])})"


def in_words(one: dict) -> str:
    """Which way a cell points, in words."""
    if one["baseline"]:
        return "baseline"
    if one["direction"]:
        return f"{one['direction']}{', clearly' * one['clear']}"
    return INSIGNIFICANT if one["significant"] is False else ""


def ended(report: dict[str, Any]) -> str:
    """When the newest run ended and, where the report says so, on which machine; empty where none has."""
    newest = max((one["when"] for one in report["cells"] if one.get("when")), default=None)
    where = f" on {report['machine']}" if report.get("machine") else ""
    return f"The newest run ended on {_of_day(newest)}{where}." if newest else ""


def _signed(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:+.{digits}f}"


def _text(words: str) -> str:
    return "".join(f"\\{letter}" if letter in "|*_{}[]<>`" else letter for letter in words)


def _of_day(when: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(when))
