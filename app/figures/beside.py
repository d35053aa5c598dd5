"""Answers as bars above the maps of the same networks."""

from __future__ import annotations

import plotly.graph_objects as go

from app.figures.style import BASELINE_COLOUR, COLOURS
from app.figures.text import escape, number, write

HEIGHT, ROOM = 0.75, 0.6  # of a tile: the bars, and what lies between them and the maps
NAMED = 12  # of more classes the names have no room
ROOMY = 5  # of more networks only the names that matter have


def with_answers(figure: go.Figure, answers: list[dict], *, label: int) -> go.Figure:
    """The figure of `layer_grid` with a bar for each class above every column but the image's.

    `answers` are those of `kdcore.inspect.outputs`, one a column. The bar of the class `label` has another colour, and
    its name is bold.
    """
    tile, aspect = figure.layout.meta["tile"], figure.layout.meta["aspect"]
    width = (len(tile["columns"]) - 1) * tile["across"] + tile["width"]
    maps, bars, room = aspect * width, HEIGHT * tile["height"], ROOM * tile["height"]
    whole = maps + room + bars
    drawn = [_bars(answer, label, column * tile["across"] - 0.5, tile["width"], len(answers) <= ROOMY)
             for column, answer in enumerate(answers, start=1) if answer["shares"] is not None]
    figure.add_traces([trace for traces, _ in drawn for trace in traces])
    write(figure, {"x": tile["width"] / 2 - 0.5, "y": 1, "yref": "paper", "yanchor": "bottom",
                   "text": "<b>Answers</b>"}, *(note for _, notes in drawn for note in notes))
    figure.update_layout(
        meta={**figure.layout.meta, "aspect": whole / width, "tallest": figure.layout.meta["tallest"] * whole / maps},
        yaxis={"domain": [0, maps / whole]},
        yaxis2={"domain": [1 - bars / whole, 1], "range": [0, 1], "visible": False, "fixedrange": True})
    return figure


def _bars(answer: dict, label: int, left: float, width: float, roomy: bool) -> tuple[list[dict], list[dict]]:
    """One network's bars from `left` on, as traces, and the notes on what it says above and below them."""
    classes, step, best = answer["classes"], width / len(answer["classes"]), int(answer["shares"].argmax())
    across = [left + (at + 0.5) * step for at in range(len(classes))]
    named = [f"<b>{escape(name)}</b>" if at == label else escape(name) for at, name in enumerate(classes)]
    colours = [COLOURS[0] if at == label else BASELINE_COLOUR for at in range(len(classes))]
    traces = [{"type": "bar", "x": across, "y": answer["shares"], "width": 0.8 * step, "yaxis": "y2",
               "marker": {"color": colours, "line": {"width": 0}}, "customdata": named, "showlegend": False,
               "hovertemplate": "%{customdata}: %{y:.1%}<extra></extra>"}]
    if len(classes) <= NAMED and max(map(len, classes)) <= 2:
        written = [name if roomy or at in (label, best) else "" for at, name in enumerate(named)]
        traces.append({"type": "scatter", "x": across, "y": [0.0] * len(classes), "mode": "text", "text": written,
                       "cliponaxis": False, "yaxis": "y2", "textposition": "bottom center", "hoverinfo": "skip",
                       "showlegend": False})
    middle = left + width / 2
    notes = [{"x": middle, "y": 1, "yref": "paper", "yanchor": "bottom",
              "text": f"{escape(classes[best])} {answer['shares'][best]:.0%}"}]
    if answer["paid"]:  # the teacher's own is nothing
        notes.append({"x": middle, "y": 0, "yref": "y2", "yanchor": "top", "yshift": -14,
                      "text": number(answer["paid"])})
    return traces, notes
