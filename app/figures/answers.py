"""What networks answer: their probabilities, one row of bars a network."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from app.figures.text import escape

MOST = 12  # classes
TITLE, ROW, LABELS = 24, 68, 24  # pixels
WRITTEN = 0.15  # a probability from which on it stands above its bar


def answers(networks: list[dict]) -> go.Figure:
    """Probabilities, one row of bars a network: {"name", "colour", "probabilities" (classes,), "classes"}.

    Of many classes those that some network finds likeliest are shown, the same for all networks that tell them apart.
    """
    figure, taken = go.Figure(), 0
    shown = {classes: _likeliest([one["probabilities"] for one in networks if one["classes"] == classes])
             for classes in dict.fromkeys(one["classes"] for one in networks)}
    labelled = [one["classes"] != below["classes"] for one, below in zip(networks, networks[1:])] + [True]
    height = len(networks) * (TITLE + ROW) + sum(labelled) * LABELS
    for axis, (one, labels) in enumerate(zip(networks, labelled), start=1):
        kept, best = shown[one["classes"]], int(one["probabilities"].argmax())
        names, values = [escape(one["classes"][i]) for i in kept], one["probabilities"][kept]
        top = 1 - (taken + TITLE) / height
        taken += TITLE + ROW + labels * LABELS
        figure.add_bar(x=names, y=values, marker={"color": one["colour"]}, xaxis=f"x{axis}", yaxis=f"y{axis}",
                       showlegend=False, text=[f"{value:.0%}" if value >= WRITTEN else "" for value in values],
                       textposition="outside", textfont={"size": 11}, constraintext="none", cliponaxis=False,
                       hovertemplate="%{x}: %{y:.1%}<extra></extra>")
        figure.update_layout({
            f"xaxis{axis}": {"type": "category", "anchor": f"y{axis}", "showticklabels": labels, "fixedrange": True,
                             "showgrid": False},
            f"yaxis{axis}": {"anchor": f"x{axis}", "domain": [max(0, top - ROW / height), top], "range": [0, 1.25],
                             "showticklabels": False, "tickvals": [0, 0.5, 1], "fixedrange": True}})
        figure.add_annotation(
            text=f"<b>{escape(one['name'])}</b>  says {escape(one['classes'][best])} "
                 f"({one['probabilities'][best]:.0%})",
            x=0, xref="paper", xanchor="left", y=top, yref="paper", yanchor="bottom", showarrow=False)
    figure.update_layout(height=height, uirevision="constant", bargap=0.25, margin={"l": 8, "r": 8, "t": 0, "b": 0})
    return figure


def _likeliest(probabilities: list[np.ndarray]) -> np.ndarray:
    """The classes that some network finds likeliest, in their own order."""
    return np.sort(np.max(probabilities, axis=0).argsort()[::-1][:MOST])
