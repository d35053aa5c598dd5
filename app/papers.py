"""The papers' tables as this store fills them."""

from __future__ import annotations

from app import downloads, engine, planning
from kdcore.papers import TABLES, report


def outline(name: str, budget: str, images: str | None) -> list[dict]:
    """What makes each cell: {"hashes" of its runs, "reason" why it is not made here}."""
    here = bool(images) or downloads.present()[TABLES[name].data] == 1
    return engine.answer("paper", name=name, budget=budget, images=images, present=here)


def measured(name: str, made: list[dict]) -> list[dict]:
    """Every cell as it is now, see `kdcore.papers.report.measured`, with its "reason"."""
    found = report.measured(engine.store(), TABLES[name], [one["hashes"] for one in made], _noisy, engine.owner())
    return [{**cell, "reason": one["reason"]} for cell, one in zip(found, made)]


def find(hash: str) -> dict | None:
    """The run with this configuration, where there is one."""
    return engine.store().find(hash, engine.owner())


def _noisy(runs: list[int], std: float) -> list[float | None]:
    found = [engine.answer("robustness", networks=[(run, None)], of=run, stds=[std])[0]["accuracy"] for run in runs]
    return [None if accuracy is None else float(accuracy[0]) for accuracy in found]


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
    return engine.ask("paper_runs", name=name, budget=budget, images=images, columns=columns, rows=rows)


def cost(runs: list[dict]) -> dict:
    """What planned runs will cost, see `planning.cost`."""
    return planning.cost_of(runs, engine.answer("paper_estimate", runs=[run["config"] for run in runs]))
