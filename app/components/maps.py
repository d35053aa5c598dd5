"""Maps of several networks on one image, side by side on one colour scale."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import engine, figures
from app.components.chart import chart


def map_picture(entries: list[dict], names: list[str], image: dict, key: str, *, rows: list[int] | None = None,
                overlay: bool = False, scale: float | None = None, number: str = "distance") -> None:
    """Draw the inspector's entries: one column a network for a single map, one row a network for several.

    `image` is the inspector's image; `rows` picks maps of an entry, all by default; `number` says what
    is written with each: a "distance" to the teacher, or a "penalty".
    """
    for name, entry in zip(names, entries):
        if entry["maps"] is None:
            st.info(f"{figures.markdown(name)}: {figures.markdown(entry['reason'])}", icon=":material/block:")
    drawn = [(name, entry) for name, entry in zip(names, entries) if entry["maps"] is not None]
    if not drawn:
        return
    maps = np.stack([entry["maps"].mean(1) for _, entry in drawn])
    maps = maps if rows is None else maps[:, rows]
    labels = [name for name, _ in drawn]
    if maps.shape[1] == 1:
        maps, lines, columns = maps.swapaxes(0, 1), [], labels
    else:
        lines, columns = labels, [image["classes"][row] for row in rows or range(maps.shape[1])]
    notes = [_note(entry, number) for _, entry in drawn]
    figure = figures.map_grid(maps, rows=lines, columns=columns, notes=notes,
                              image=image["pixels"], overlay=overlay, scale=scale)
    chart(figure, key=key, description=f"Sensitivity maps of {', '.join(labels)} on one colour scale")


def explained(kind: str, number: str) -> str:
    """What the number with each map is, as the end of a sentence."""
    if kind not in engine.catalogue()["maps"]:
        return ", and the mean squared difference to the teacher's map."
    return {"distance": ", and the mean squared difference of its maps, of all classes where there are several, to the "
            "teacher's: 0 is a perfect match, and it is the very number that the loss is made of.",
            "penalty": ", and what the term makes a student pay for this image, in evaluation mode."}[number]


def largest(entries: list[dict], rows: list[int] | None = None) -> float:
    """The largest absolute value in sight, for one colour scale over several pictures."""
    seen = [np.abs(entry["maps"] if rows is None else entry["maps"][rows]).max() for entry in entries
            if entry["maps"] is not None]
    return float(max(seen, default=1.0)) or 1.0


def _note(entry: dict, number: str) -> str:
    best = int(entry["probabilities"].argmax())
    answer = f"says {entry['classes'][best]} ({entry['probabilities'][best]:.0%})"
    return answer if entry["distance"] is None else f"{answer} · {number} {entry['distance']:.3g}"
