"""The method × knowledge picture: what a student was trained on, and what of its teacher it then had."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import comparison, engine, figures, results
from app.comparison import Group
from app.components.chart import chart


def knowledge(groups: list[Group], runs: list[dict]) -> None:
    """Rows: trained on; columns: which knowledge ended how close to the teacher's, beside labels alone."""
    found = comparison.knowledge(groups, runs)
    if not found["groups"]:
        st.info("Nothing can be compared here: it takes a group that has a teacher, and runs on labels alone with the "
                "same seeds and settings and the same teacher.", icon=":material/block:")
        return
    terms = engine.catalogue()["terms"]
    kinds = [comparison.kind_of(name) for name in found["kinds"]]
    columns = [terms[kind]["title"] + " *" * name.endswith(results.FITTED) for kind, name in zip(kinds, found["kinds"])]
    rows = [group.name for group in found["groups"]]
    trained = [(row, column) for row, group in enumerate(found["groups"]) for column, kind in enumerate(kinds)
               if kind in comparison.trained_on(group.runs[0])]
    texts = [[_told(value) for value in values] for values in found["values"]]
    chart(figures.cells(found["values"], rows, columns, texts=texts, ringed=trained, signed=True,
                        hover="%{customdata}<br>%{x}: %{z:+.2f}"), "knowledge",
          "How much closer to the teacher's each kind of knowledge ended than with labels alone")
    low, high = int(found["seeds"][found["seeds"] > 0].min()), int(found["seeds"].max())
    seeds = f"{high} seed{'s' * (high > 1)}" if low == high else f"{low} to {high} seeds"
    st.caption("How far each kind of knowledge ended from the teacher's, compared with labels alone and counted in "
               f"doublings: −1 is half as far, 0 the same, 1 twice as far, 2 four times. Mean over {seeds}, each "
               "beside labels alone of its own, on the images that every run's record is measured on. Framed: the "
               "method was trained on it."
               + " \\* Between layers of different width a fitted linear map stands."
               * any(name.endswith(results.FITTED) for name in found["kinds"]) + _left_out(found["left_out"], terms))


def _left_out(kinds: list[str], terms: dict) -> str:
    titles = ", ".join(terms[kind]["title"] for kind in kinds)
    return (f" Left out: {titles}. A student that equals its teacher does not bring them to zero, so that half of "
            "them is not half as far.") if kinds else ""


def _told(ratio: float) -> str:
    rounded = round(ratio, 1)
    return "" if np.isnan(ratio) else f"{rounded:+.1f}".replace("-", "−") if rounded else "0"
