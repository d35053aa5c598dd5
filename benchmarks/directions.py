"""Directions of the papers' tables that were not found, with one thing changed: python -m benchmarks.directions.

Cells of a table are trained once more at another length or weight, beside the same cells as the table has them, on the
same seeds: what brings the published direction back was in its way. Writes benchmarks/results/papers/directions.json
and .md.
"""

from __future__ import annotations

import argparse
from collections.abc import Container
from dataclasses import asdict, dataclass, replace
from functools import partial

from benchmarks.runs import kept, reached, spread, write
from kdcore import grid
from kdcore.config import RunConfig, read
from kdcore.papers import TABLES, report
from kdcore.papers.plan import run_of
from kdcore.papers.reproduce import noisy
from kdcore.papers.table import Cell, Measure
from kdcore.store import Store

NAME = "papers/directions"


@dataclass(frozen=True)
class Doubt:
    """Cells in one column of a table, the baseline first, and what is changed: {what, in words: {path: value}}."""

    table: str
    budget: str
    column: str
    rows: tuple[str, ...]
    changes: dict[str, dict]
    seeds: int = 2
    images: str | None = None

    def cell(self, row: str) -> Cell:
        """The table's cell in this row. Raises ValueError where there is none."""
        found, = (cell for cell in TABLES[self.table].cells if (cell.row, cell.column) == (row, self.column))
        return found

    def runs(self, row: str, change: dict) -> list[RunConfig]:
        """The cell's runs, one a seed, with the change: what its method does not have of it stays as it is."""
        return [self._run(row, change, seed) for seed in range(1, self.seeds + 1)]

    def measured(self, known: Container[str]) -> Doubt:
        """With only those changes all of whose runs are known, by their hash."""
        return replace(self, changes={words: change for words, change in self.changes.items() if all(
            run.hash() in known for row in self.rows for run in self.runs(row, change))})

    def _run(self, row: str, change: dict, seed: int) -> RunConfig:
        run = run_of(TABLES[self.table], self.cell(row), self.budget, seed, self.images).model_dump(mode="json")
        method = grid.with_settings(run["method"], grid.of_method(change, run["method"]))
        return read({**grid.changed(run, change), "method": method})


DOUBTS = (
    Doubt("ehmann-samek-1", "standard", "20000", ("convolutional: only labels", "convolutional: cost"),
          {"16 000 steps": {"steps": 16_000}, "50 000 steps, as printed": {"steps": 50_000}}),
    Doubt("ehmann-samek-1", "standard", "50", ("FC: only labels", "FC: summed Jacobian"),
          {"λ = 0.01": {"method.summed_jacobian": 0.01}}, seeds=7),
    Doubt("heo-1", "quick", "1+1", ("Cross-Entropy", "AT + KD", "Proposed + KD"),
          {"the paper's 781 steps": {"steps": 781}}, images="cifar10-jpeg.zip"),
    Doubt("heo-2", "quick", "0.1%", ("Cross-Entropy", "KD training", "FITNET + KD", "FSP + KD"),
          {"a teacher of 4000 steps, on images as they are": {"teacher.data.augment": "none", "teacher.steps": 4000}},
          images="cifar10-jpeg.zip"),
    Doubt("yim-3", "quick", "", ("Student-original", "FitNet", "Proposed Method"),
          {"a teacher of five times the steps": {"teacher.steps": 6400},
           "6400 steps each, the teacher too": {"steps": 6400, "teacher.steps": 6400}}, images="cifar10-jpeg.zip"),
    Doubt("srinivas-fleuret-2", "quick", "0.4", ("λ = 0", "λ = 0.1", "λ = 1"), {"5000 steps": {"steps": 5000}},
          images="cifar10-jpeg.zip"),
)


def tried(store: Store, doubt: Doubt, known: dict[str, float]) -> dict[str, dict[str, list[float]]]:
    """{row: {"as in the table", or a change's words: what was measured, by seed}}, see `reached`."""
    ways = {"as in the table": {}, **doubt.changes}
    return {row: reached(store, {words: doubt.runs(row, change) for words, change in ways.items()}, "Directions", known,
                         partial(printed, store, doubt.cell(row).measure)) for row in doubt.rows}


def printed(store: Store, measure: Measure, runs: list[int]) -> list[float]:
    """What was measured of each run, as the paper prints it."""
    return [measure.printed(value) for value in report.taken(store, runs, measure, partial(noisy, store))]


def gains(measure: Measure, rows: dict[str, dict[str, list[float]]], row: str, words: str) -> list[float]:
    """What a row is ahead of the first one, the baseline, on the same seeds; empty for the baseline itself."""
    baseline = next(iter(rows.values()))
    return [] if rows[row] is baseline else [
        measure.gain(value, than) for value, than in zip(rows[row][words], baseline[words], strict=True)]


def markdown(found: list[tuple[Doubt, dict]]) -> str:
    """A table for each doubt, with the published figures."""
    lines = ["# Directions that were not found, with one thing changed", "",
             "Mean ± standard error (seeds); in brackets what it gains over the first row on the same seeds."]
    for doubt, rows in found:
        table = TABLES[doubt.table]
        place = ", ".join(filter(None, (f"{table.paper}, {table.title}", doubt.column)))
        lines += ["", f"## {place}, at *{doubt.budget}*", "",
                  "| | published | as in the table | " + " | ".join(doubt.changes) + " |",
                  "|---" * (3 + len(doubt.changes)) + "|"]
        for row, ways in rows.items():
            cell = doubt.cell(row)
            digits = cell.measure.digits
            told = [spread(values, digits) + "".join(f" [{spread(gained, digits)}]" for gained in filter(
                None, [gains(cell.measure, rows, row, words)])) for words, values in ways.items()]
            lines.append(f"| {row} | {cell.published:.{digits}f} | {' | '.join(told)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train what is missing and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("changes", nargs="*", help="only these, in their words, beside what was measured before")
    parser.add_argument("--store", help="folder of the runs, instead of $KD_STORE")
    options = parser.parse_args()
    store, known, found = Store(options.store), kept(NAME)["runs"], []
    for doubt in DOUBTS:
        asked = doubt if not options.changes else replace(doubt, changes={
            words: change for words, change in doubt.changes.items() if words in
            {*options.changes, *doubt.measured(known).changes}})
        if asked.changes:
            found.append((asked, tried(store, asked, known)))
    doubts = [{**asdict(doubt), "found": rows} for doubt, rows in found]
    write(NAME, {"doubts": doubts, "runs": known}, markdown(found))


if __name__ == "__main__":
    main()
