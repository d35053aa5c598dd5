"""Groups of runs against each other: means with their spread, tables of cells, and how sure networks are."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.figures.curves import lay_out, named_level
from app.figures.style import BASELINE_COLOUR, COLOURS
from app.figures.text import escape, heads

NUMBERED = 20  # rows or columns whose cells have room for a number
APART = 0.014  # of the width, between points at one place
WORDS = 24  # letters of a row's name in a line
ACROSS, PANEL, TITLE = 3, 170, 16  # small charts in a row; pixels of one, and of a line of its name


def bands(groups: list[dict], *, title: str, across: str, percent: bool = False, logarithmic: bool = False,
          level: tuple[str, float] | None = None) -> go.Figure:
    """A mean line for each group with a band of one standard error on either side.

    Each: {"name", "colour", "dash", "x", "mean", "error" (NaN where one value counts), "count" of values}, (N,) each.
    `level` is a named horizontal line.
    """
    drawn = []
    for group in groups:
        error = np.nan_to_num(group["error"])
        drawn.append({"type": "scatter", "x": np.concatenate([group["x"], group["x"][::-1]]), "fill": "toself",
                      "y": np.concatenate([group["mean"] + error, (group["mean"] - error)[::-1]]), "mode": "lines",
                      "line": {"width": 0}, "fillcolor": group["colour"], "opacity": 0.13, "hoverinfo": "skip",
                      "legendgroup": group["name"], "showlegend": False})
    for group in groups:
        each = ".1%" if percent else ".4g"
        drawn.append({"type": "scatter", "x": group["x"], "y": group["mean"], "name": escape(group["name"]),
                      "mode": "lines" if len(group["x"]) > 12 else "lines+markers", "legendgroup": group["name"],
                      "line": {"color": group["colour"], "dash": group["dash"], "width": 2.2},
                      "customdata": np.stack([group["error"], group["count"]], axis=1),
                      "hovertemplate": f"%{{y:{each}}} ± %{{customdata[0]:{each}}} (%{{customdata[1]}})"})
    figure = go.Figure(drawn)
    if level:
        named_level(figure, *level)
    lay_out(figure, len(groups))
    figure.update_xaxes(title=across)
    figure.update_yaxes(title=title, tickformat=".4~%" if percent else None,
                        type="log" if logarithmic else "linear")
    return figure


def spots(families: list[dict], *, title: str, across: str) -> go.Figure:
    """Points with standard errors, those of a family joined; `across` grows by factors.

    Each: {"name", "colour", "dash", "symbol", "x", "y", "error" (None where one value counts), "notes" what is read
    from each point}. Points at one place are set a little apart.
    """
    places = [x for family in families for x in family["x"]]
    low, high = np.log10(min(places)) - 0.15, np.log10(max(places)) + 0.15
    drawn = []
    for i, family in enumerate(families):
        beside = [j for j, other in enumerate(families) if set(other["x"]) & set(family["x"])]
        apart = 10 ** (APART * (high - low) * (beside.index(i) - (len(beside) - 1) / 2))
        drawn.append({"type": "scatter", "x": [apart * x for x in family["x"]], "y": family["y"],
                      "name": escape(family["name"]), "mode": "lines+markers",
                      "customdata": [(escape(note), x) for note, x in zip(family["notes"], family["x"])],
                      "line": {"color": family["colour"], "dash": family["dash"], "width": 1.5},
                      "marker": {"size": 11, "symbol": family["symbol"]},
                      "error_y": {"array": family["error"], "thickness": 1.5, "width": 5},
                      "hovertemplate": "%{customdata[0]}: %{y:.1%}, %{customdata[1]:,.4~g}<extra></extra>"})
    figure = go.Figure(drawn)
    lay_out(figure, len(families))
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(title=across, type="log", range=[low, high], tickformat="~s" if low > 0 else "~g",
                        dtick=1 if high - low > 2 else "D2" if high - low > 0.5 else None)
    figure.update_yaxes(title=title, tickformat=".4~%")
    return figure


def cells(values: np.ndarray, rows: list[str], columns: list[str], *, texts: list[list[str]], hover: str,
          across: str | None = None, down: str | None = None, signed: bool = False,
          ringed: list[tuple[int, int]] = ()) -> go.Figure:
    """Values (rows, columns) as coloured cells with a text in each; NaN is an empty one.

    Signed ones have a scale that is symmetrical about 0; it is drawn where there is no room for the texts. `hover` is
    what is read from a cell, the row's whole name as %{customdata}; `ringed` are cells (row, column) with a frame.
    """
    largest = float(np.nanmax(np.abs(values), initial=0)) or 1.0
    roomy = max(values.shape) <= NUMBERED
    figure = go.Figure()
    figure.add_heatmap(z=values, x=[escape(name) for name in columns], y=heads(rows, WORDS, most=2),
                       customdata=[[escape(name)] * len(columns) for name in rows],
                       text=texts, texttemplate="%{text}" if roomy else None, textfont={"size": 10},
                       hovertemplate=f"{hover}<extra></extra>", colorscale="RdBu_r" if signed else "Viridis",
                       zmin=-largest if signed else 0, zmax=largest, xgap=int(roomy), ygap=int(roomy),
                       showscale=not roomy, colorbar={"thickness": 10, "outlinewidth": 0,
                                                      "tickformat": None if signed else ".0%"})
    for row, column in ringed:
        figure.add_shape(type="rect", x0=column - 0.46, x1=column + 0.46, y0=row - 0.44, y1=row + 0.44,
                         line={"color": COLOURS[1], "width": 3})
    figure.update_layout(height=max(220, 150 + (36 if roomy else 14) * min(len(rows), 60)), uirevision="constant",
                         margin={"l": 8, "r": 16, "t": 12, "b": 8})
    figure.update_xaxes(title=across, type="category", automargin=True, showgrid=False, title_standoff=10,
                        tickangle=-45 if max(map(len, columns)) > 6 else 0)
    figure.update_yaxes(title=down, type="category", autorange="reversed", automargin=True, showgrid=False,
                        title_standoff=12)
    return figure


def reliability(groups: list[dict]) -> go.Figure:
    """How often networks are right when they are so sure, and how often they are: a small chart for each group.

    Each: {"name", "colour", "dash", "symbol", "edges" (bins + 1,), "count", "confidence" and "accuracy" (bins,)}.
    """
    rows, titles = -(-len(groups) // ACROSS), heads([group["name"] for group in groups], WORDS)
    columns, room = -(-len(groups) // rows), TITLE * max(title.count("<br>") + 2 for title in titles)
    inner = rows * PANEL + (rows - 1) * room
    figure = make_subplots(rows=rows, cols=columns, shared_xaxes="all", shared_yaxes="all", horizontal_spacing=0.05,
                           vertical_spacing=room / inner, subplot_titles=[f"<b>{title}</b>" for title in titles])
    figure.update_annotations(font_size=12)
    for i, group in enumerate(groups):
        there, share = group["count"] > 0, group["count"] / group["count"].sum()
        place = {"row": i // columns + 1, "col": i % columns + 1}
        figure.add_bar(x=(group["edges"][1:] + group["edges"][:-1]) / 2, y=share, width=np.diff(group["edges"]),
                       marker={"color": BASELINE_COLOUR, "opacity": 0.35}, name="share of its answers",
                       customdata=group["count"], hovertemplate="%{y:.1%} of its answers (%{customdata:,})<extra>"
                       "</extra>", legendgroup="share", showlegend=i == 0, **place)
        figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="as sure as right", hoverinfo="skip",
                           line={"color": BASELINE_COLOUR, "dash": "dot", "width": 1.5}, legendgroup="sure",
                           showlegend=i == 0, **place)
        figure.add_scatter(x=group["confidence"][there], y=group["accuracy"][there], mode="lines+markers",
                           name=escape(group["name"]), showlegend=False, customdata=group["count"][there],
                           line={"color": group["colour"], "width": 2.2},
                           marker={"size": 8, "symbol": group["symbol"]},
                           hovertemplate="%{x:.1%} sure, %{y:.1%} right (%{customdata:,} answers)", **place)
        if i >= len(groups) - columns:
            figure.update_xaxes(title={"text": "confidence", "standoff": 6}, showticklabels=True, **place)
    figure.update_layout(height=inner + room + 82, uirevision="constant", hovermode="closest", bargap=0,
                         margin={"l": 64, "r": 16, "t": room + 26, "b": 56},
                         legend={"orientation": "h", "y": 1, "yref": "container", "yanchor": "top", "x": 0})
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%", nticks=4)
    figure.update_yaxes(range=[-0.03, 1.06], tickformat=".0%", nticks=5)
    figure.update_yaxes(title="right", col=1)
    return figure
