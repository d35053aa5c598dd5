"""The papers' tables as data: every published figure, and the runs that make it at three budgets. No torch."""

from kdcore.papers import ahn, ehmann_samek, heo, srinivas_fleuret, yim
from kdcore.papers.table import Budget, Cell, Measure, Table

TABLES: dict[str, Table] = {name: table for paper in (ehmann_samek, ahn, srinivas_fleuret, heo, yim)
                            for name, table in paper.TABLES.items()}
"""By name, such as "heo-2"."""
BUDGETS = {"quick": "Minutes to some hours on two cores.", "standard": "Made for an evening on one GPU.",
           "paper": "The paper's."}

__all__ = ["BUDGETS", "TABLES", "Budget", "Cell", "Measure", "Table"]
