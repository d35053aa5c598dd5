"""Shares of neurons, side by side."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from app.figures.curves import named_place
from app.figures.style import DASHES, LEGEND, MARGIN, SYMBOLS
from app.figures.text import escape

BINS = 16
EDGE = 0.02  # of an axis, on either side of what it shows



def shares(groups: list[dict], labels: list[str], title: str, across: str) -> go.Figure:
    """Shares side by side at each label, a mark for each group: {"name", "colour", "values"}, NaN where there is none.

    The axis need not begin at 0: what chance gives is far above it.
    """
    figure = go.Figure([{"type": "scatter", "x": [escape(label) for label in labels], "y": group["values"],
                         "name": escape(group["name"]), "mode": "markers", "hovertemplate": "%{y:.1%}", "marker": {
                             "color": group["colour"], "size": 11, "symbol": SYMBOLS[i % len(SYMBOLS)]}}
                        for i, group in enumerate(groups)])
    figure.update_layout(height=300 + 20 * len(groups), uirevision="constant", hovermode="x unified",
                         margin=MARGIN, legend=LEGEND)
    figure.update_xaxes(title=across, type="category")
    figure.update_yaxes(title=title, tickformat=".4~%")
    return figure


def histograms(groups: list[dict], bins: np.ndarray, title: str, marks: dict[str, float],
               of: str = "neurons") -> go.Figure:
    """Shares of values, a line for each group of `shares`; `marks` are named values, `of` is what has the values.

    All bins and marks are in sight.
    """
    centres = (bins[1:] + bins[:-1]) / 2
    figure = go.Figure([{"type": "scatter", "x": centres, "y": group["values"], "name": escape(group["name"]),
                         "mode": "lines", "hovertemplate": "%{y:.1%}", "line": {
                             "color": group["colour"], "width": 2.2, "shape": "hvh", "dash": DASHES[i % len(DASHES)]}}
                        for i, group in enumerate(groups)])
    for name, value in marks.items():
        named_place(figure, value, name)
    figure.update_layout(height=300 + 20 * len(groups), uirevision="constant", hovermode="x unified",
                         margin={"l": 64, "r": 16, "t": 64, "b": 48},
                         legend={"orientation": "h", "y": 1.1, "yanchor": "bottom", "x": 0})
    low, high = (end(bins.tolist() + [*marks.values()]) for end in (min, max))
    figure.update_xaxes(title=title, range=[low - EDGE * (high - low), high + EDGE * (high - low)])
    figure.update_yaxes(title=f"share of {of}", tickformat=".4~%", rangemode="tozero")
    return figure


def distributions(groups: list[dict], title: str, marks: dict[str, float], of: str) -> go.Figure:
    """The histogram of each group's own "values"; bins are not narrower than the values' steps, where they have any."""
    every = np.concatenate([group["values"] for group in groups])
    width = max(np.ptp(every) / BINS, np.diff(np.unique(every)).min(initial=1.0))
    low, high = np.floor(every.min() / width), np.ceil(every.max() / width)
    bins = (np.arange(low, high + 2) - 0.5) * width
    counted = [{**group, "values": np.histogram(group["values"], bins)[0] / max(len(group["values"]), 1)}
               for group in groups]
    return histograms(counted, bins, title, marks, of)


def strips(values: np.ndarray, names: list[str], title: str) -> go.Figure:
    """Shares (names, columns) as rows of cells, one below the other."""
    figure = go.Figure()
    figure.add_heatmap(z=values, y=[escape(name) for name in names], colorscale="Viridis", zmin=0, zmax=1, ygap=4,
                       hovertemplate="%{y}, %{x}: %{z:.1%}<extra></extra>",
                       colorbar={"thickness": 10, "outlinewidth": 0, "tickformat": ".0%"})
    figure.update_layout(height=110 + 34 * len(names), uirevision="constant",
                         margin={"l": 8, "r": 16, "t": 12, "b": 48})
    figure.update_xaxes(title=title)
    figure.update_yaxes(autorange="reversed", automargin=True)
    return figure
