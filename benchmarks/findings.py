"""What of the papers' tables was found again, table by table: python -m benchmarks.findings.

Reads the reports of `kdcore reproduce` in benchmarks/results/papers and writes README.md there.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from benchmarks.runs import RESULTS
from kdcore.papers import BUDGETS, TABLES, report

FOLDER = RESULTS / "papers"
HEAD = """# The papers' tables, as measured here

Written by `python -m benchmarks.findings` from the reports of `python -m kdcore reproduce`, which has each figure
beside the published one. A direction is whether a cell is ahead of the one that its paper compares it with, or behind;
*clearly* is by Student's t at 95 % over the seeds, uncorrected for many tests; what a paper itself calls no difference
is not counted. τ is Kendall's, of the order of the methods, in the median over the lines of a table.

| table | budget | images | seeds | figures | as published (clearly) | the other way (clearly) | τ |
|---|---|---|---|---|---|---|---|
"""


def reports() -> dict[Path, dict]:
    """{file: the report of a table at a budget}, paper by paper."""
    found = {file: json.loads(file.read_text()) for file in FOLDER.glob("*.json")}
    order = [(name, budget) for name in TABLES for budget in BUDGETS]
    return dict(sorted(((file, one) for file, one in found.items() if "cells" in one),
                       key=lambda entry: order.index((entry[1]["table"], entry[1]["budget"]))))


def line(file: Path, found: dict) -> str:
    """A report in one line of the table."""
    again, clearly, otherwise, clearly_not = report.directions(found["cells"])
    measured = [one for one in found["cells"] if one["mean"] is not None]
    seeds = sorted({len(one["values"]) for one in measured})
    orders = [one["tau"] for one in found["orders"] if one["tau"] is not None]
    fields = (f"[{found['paper']}, {found['title']}]({file.with_suffix('.md').name})", found["budget"],
              Path(found["path"]).name if found["path"] else TABLES[found["table"]].data,
              " to ".join(map(str, sorted({seeds[0], seeds[-1]}))), f"{len(measured)} of {len(found['cells'])}",
              f"{again} ({clearly})", f"{otherwise} ({clearly_not})",
              f"{statistics.median(orders):.2f}" if orders else "")
    return "".join(f"| {field} " for field in fields) + "|"


def markdown() -> str:
    """The whole file."""
    return HEAD + "".join(f"{line(*one)}\n" for one in reports().items())


if __name__ == "__main__":
    (FOLDER / "README.md").write_text(markdown())
