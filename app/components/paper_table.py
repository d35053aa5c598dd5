"""A paper's table with what was measured beside what is published; a cell is a button."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from kdcore.papers.report import AS_THERE, LEVEL, OTHERWISE, found, in_words, printed

_HERE = Path(__file__).parent
_TABLE = st.components.v2.component(
    "apprentice_paper_table", html="<div class='wide'><table></table></div>",
    css=(_HERE / "paper_table.css").read_text(), js=(_HERE / "paper_table.js").read_text())
MARKS = {AS_THERE: "✓", OTHERWISE: "✗", LEVEL: "="}  # so that no colour stands alone


def paper_table(cells: list[dict], key: str) -> tuple[str, str] | None:
    """Show the cells of `app.papers.measured`: what was measured here or, where nothing was, by this project before.

    Returns the (row, column) of the cell that was clicked last, None before.
    """
    told = _TABLE(key=key, on_cell_change=lambda: None, default={"cell": None}, data={
        "columns": list(dict.fromkeys(one["column"] for one in cells)),
        "rows": list(dict.fromkeys(one["row"] for one in cells)), "cells": [_cell(one) for one in cells],
        "baselines": list(dict.fromkeys(filter(None, (one["against"] for one in cells))))}).cell
    return tuple(told) if told else None


def _cell(one: dict) -> dict:
    own = one["mean"] is not None
    before = not own and not one["running"] and bool(one["before"]) and one["before"]["mean"] is not None
    shown = one["before"] if before else one
    direction = shown["direction"]
    state = ("running" if one["running"] else "" if own else "before" if before else
             "absent" if one["reason"] else "empty")
    words = found(shown) or {"running": "training…", "absent": "not made", "empty": "—"}.get(state, "")
    return {"row": one["row"], "column": one["column"], "published": printed(one) or "—",
            "measured": words, "state": state,
            "mark": MARKS.get(direction, ""), "tone": {AS_THERE: "as", OTHERWISE: "other"}.get(direction, ""),
            "clear": shown["clear"],
            "said": ", ".join(filter(None, (f"{one['row']} {one['column']}", f"published {printed(one) or 'nothing'}",
                                            f"measured{' by this project' * before} {words}", in_words(shown),
                                            one["reason"])))}
