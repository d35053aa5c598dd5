"""Numbers of each class as bars."""

from __future__ import annotations

import plotly.graph_objects as go

from app.figures.style import LEGEND, MARGIN
from app.figures.text import escape

PATTERNS = ("", "/", "x", ".")


def class_counts(groups: list[dict], classes: list[str], *, stacked: bool) -> go.Figure:
    """How many images there are of each class, a bar for each group: {"name", "colour", "values"}.

    The bars of a class stand side by side, or on each other.
    """
    figure = go.Figure([{"type": "bar", "x": [escape(name) for name in classes], "y": group["values"],
                         "name": escape(group["name"]), "hovertemplate": "%{y:,}",
                         "marker": {"color": group["colour"], "pattern": {
                             "shape": PATTERNS[i % len(PATTERNS)], "fillmode": "overlay", "fgcolor": "white"}}}
                        for i, group in enumerate(groups)])
    figure.update_layout(height=320, uirevision="constant", barmode="stack" if stacked else "group", bargap=0.3,
                         hovermode="x unified", showlegend=True, margin=MARGIN,
                         legend={**LEGEND, "traceorder": "normal"})
    figure.update_xaxes(type="category", automargin=True)
    figure.update_yaxes(title="images", rangemode="tozero", tickformat=",d")
    return figure
