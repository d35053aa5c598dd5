"""What a table is: cells with a published figure each, what of a run it is, and the run that makes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

NONE = "–"


@dataclass(frozen=True)
class Measure:
    """What of a run a figure is, and how a paper prints it.

    `metric` is what the run recorded, its last value or, for a `fall`, how much of the first one is gone at the end;
    `error` says that a figure is what is missing to 1, and less of it better. `member` is one network of an ensemble,
    by its number; with `noise` it is the accuracy under Gaussian noise of this standard deviation, of images in [0, 1],
    on the test images that `inspect.robustness` takes. It is printed `scale` times as large, with so many `digits`
    after the point.
    """

    title: str
    metric: str = "accuracy"
    scale: float = 100.0
    digits: int = 2
    error: bool = False
    fall: bool = False
    member: int | None = None
    noise: float | None = None

    def printed(self, value: float) -> float:
        """A recorded value as the paper prints it."""
        return self.scale * (1 - value if self.error else value)

    def gain(self, value: float, than: float) -> float:
        """How much better a printed figure is than another one."""
        return than - value if self.error else value - than


ACCURACY = Measure("test accuracy, %")
ERROR = Measure("test error, %", error=True)


@dataclass(frozen=True)
class Budget:
    """How much of a paper's setting is spent: `note` says what is made smaller, `seeds` how often each run is made."""

    note: str
    seeds: int


Run = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """One figure, and the run that makes it.

    `published` is None where the paper prints none and a baseline is needed all the same; `spread`, what the paper
    prints after ±, and `significant`, whether it finds a difference from what the cell is compared with, are None where
    it does not say. `run(budget, seed)` is a run as
    data, whose "method" is the row of the paper's tables as `Method.rows` has it; what of the method is otherwise than
    there is its "change", by path. `against` is the row, or in a table that compares columns the column, that a paper
    compares this one with.
    """

    row: str
    column: str
    published: float | None
    run: Callable[[str, int], Run]
    measure: Measure = ACCURACY
    spread: float | None = None
    significant: bool | None = None
    against: str | None = None


@dataclass(frozen=True)
class Table:
    """A table of a paper: `data` is the image set that all its runs are trained on.

    `columns` says that what is compared stands side by side, and not one below the other; `claim` is what the paper
    concludes.
    """

    paper: str
    title: str
    claim: str
    data: str
    cells: tuple[Cell, ...]
    budgets: dict[str, Budget]
    columns: bool = False

    def compared(self, cell: Cell) -> str:
        """The label by which a cell is compared with others."""
        return cell.column if self.columns else cell.row

    def baseline(self, cell: Cell) -> tuple[str, str] | None:
        """The row and column of what a cell is compared with."""
        return cell.against and ((cell.row, cell.against) if self.columns else (cell.against, cell.column))

    def lines(self) -> dict[tuple[str, str | None], list[Cell]]:
        """{column, or row where columns are compared, and baseline: the cells that are compared with each other}."""
        baselines = any(cell.against for cell in self.cells)
        found: dict[tuple[str, str | None], list[Cell]] = {}
        for cell in self.cells:
            line = cell.row if self.columns else cell.column
            found.setdefault((line, (cell.against or self.compared(cell)) if baselines else None), []).append(cell)
        return found


@dataclass(frozen=True)
class Figure:
    """A figure as it is printed."""

    value: float | None
    spread: float | None = None


def figures(text: str) -> dict[str, list[Figure]]:
    """A table as it is printed: a line for each row, its name and its figures two spaces apart or more."""
    rows = (re.split(r"\s{2,}", line.strip()) for line in text.strip().splitlines())
    return {name: [_figure(value) for value in values] for name, *values in rows}


def _figure(text: str) -> Figure:
    value, _, spread = text.partition("±")
    return Figure(None if value == NONE else float(value), float(spread) if spread else None)


def cells(printed: dict[str, list[Figure]], columns: Iterable[str], run: Callable[..., Run], **common: Any
          ) -> Iterator[Cell]:
    """A cell for each figure: `run(row, column, budget, seed)` makes it. `common` are fields of all of them."""
    for row, values in printed.items():
        for column, figure in zip(columns, values, strict=True):
            yield Cell(row, column, figure.value, partial(run, row, column), spread=figure.spread, **common)


def against(baseline: str, made: Iterable[Cell], columns: bool = False) -> Iterator[Cell]:
    """The cells, each compared with the baseline, which is compared with nothing."""
    for cell in made:
        label = cell.column if columns else cell.row
        yield cell if label == baseline else replace(cell, against=baseline)
