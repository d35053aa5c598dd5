"""The papers' tables: which runs make a cell, and the published figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kdcore.config import RunConfig


@dataclass(frozen=True)
class Budget:
    """How much of a paper's setting is spent: `note` says what was made smaller."""

    note: str
    steps: int
    seeds: int
    learning_rate: float = 1e-4
    width: float = 1.0


@dataclass(frozen=True)
class Cell:
    """One published figure, and the runs that make it: `configs(budget)`, one for each seed."""

    row: str
    column: str
    published: float
    configs: Callable[[Budget], list[RunConfig]]


@dataclass(frozen=True)
class Table:
    """One table of a paper: accuracies on the test set, as shares of 1."""

    title: str
    data: str
    cells: tuple[Cell, ...]


def tables() -> dict[str, Table]:
    """Every table, by name."""
    from kdcore.papers import ehmann_samek

    return ehmann_samek.TABLES


BUDGETS = {
    "quick": Budget("networks of half the width, 500 steps, learning rate 1e-3, 2 seeds, one teacher", 500, 2, 1e-3,
                    0.5),
    "standard": Budget("10 000 steps instead of 50 000, 5 seeds, one teacher", 10_000, 5),
    "paper": Budget("the paper's own setting", 50_000, 7),
}
