"""Lines over training steps, snapshots and values."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.figures.style import BASELINE_COLOUR, COLOURS, DASHES, LEGEND, MARGIN, MARK, TEACHER_COLOUR
from app.figures.text import escape
from kdcore.comparison import spread_out

POINTS = 300
TOGETHER = 10  # lines whose values are read at once; of more the box would cover them, and one is read at a time
ENTRY = 23  # pixels of a legend's entry, where each takes a line


def curves(lines: list[dict], *, title: str, percent: bool = False, logarithmic: bool = False,
           level: tuple[str, float] | None = None, at: int | None = None) -> go.Figure:
    """Lines over steps. Each line: {"run", "name", "group", "colour", "dash", "steps", "values"}.

    Lines of a group share a legend entry. `level` is a named horizontal line, `at` a step that is marked. At most 300
    points a line are sent.
    """
    drawn, seen = [], set()
    for line in lines:
        steps, values = thinned(line["steps"], line["values"])
        drawn.append({"type": "scatter", "x": steps, "y": values, "name": escape(line["group"]), "mode": "lines",
                      "legendgroup": line["group"], "showlegend": line["group"] not in seen, "uid": str(line["run"]),
                      "line": {"color": line["colour"], "dash": line["dash"], "width": 2.2},
                      "meta": escape(line["name"]), "hovertemplate": f"%{{meta}}: %{{y:{'.1%' if percent else '.4g'}}}"
                      f"{'<br>step %{x}' * (len(lines) > TOGETHER)}<extra></extra>"})
        seen.add(line["group"])
    figure = go.Figure(drawn)  # at once: line by line takes twice as long
    if level:
        named_level(figure, *level)
    if at is not None:
        named_place(figure, at)
    lay_out(figure, len(seen))
    if len(lines) > TOGETHER:
        figure.update_layout(hovermode="closest")
    figure.update_xaxes(title="training steps", rangemode="tozero", unifiedhovertitle={"text": "step %{x}"})
    figure.update_yaxes(title=escape(title), tickformat=".4~%" if percent else None,
                        type="log" if logarithmic else "linear")
    return figure


def lay_out(figure: go.Figure, entries: int) -> None:
    """What charts with any number of lines share: their legend above them has room for all of its entries."""
    legend = ENTRY * entries
    figure.update_layout(height=400 + max(0, legend - 4 * ENTRY), uirevision="constant", hovermode="x unified",
                         margin=MARGIN, legend={**LEGEND, "maxheight": legend + 12})


def named_level(figure: go.Figure, name: str, value: float) -> None:
    """Draw a named horizontal line: what add_hline makes, in a tenth of the time."""
    figure.add_shape(type="line", x0=0, x1=1, xref="x domain", y0=value, y1=value,
                     line={"dash": "dot", "color": TEACHER_COLOUR, "width": 1.5})
    figure.add_annotation(text=escape(name), font={"color": TEACHER_COLOUR}, showarrow=False, x=0, xref="x domain",
                          xanchor="left", y=value, yanchor="bottom")


def named_place(figure: go.Figure, value: float, name: str = "", dash: str = "dot", **note) -> None:
    """Draw a vertical line at a value of the x-axis, with a name above it: what add_vline makes, as quickly."""
    figure.add_shape(type="line", x0=value, x1=value, y0=0, y1=1, yref="y domain", line={**MARK, "dash": dash})
    if name:
        figure.add_annotation(**{"text": escape(name), "showarrow": False, "x": value, "y": 1, "yref": "y domain",
                                 "yanchor": "bottom", **note})


def scores(found: dict[float, float], best: float, low: float, high: float) -> go.Figure:
    """Accuracy on held-out images over the values of a search from `low` to `high`, the best one marked."""
    figure = go.Figure()
    figure.add_scatter(x=list(found), y=list(found.values()), mode="lines+markers", showlegend=False,
                       line={"color": COLOURS[0], "width": 2.2}, hovertemplate="%{x:.3g}: %{y:.1%}<extra></extra>")
    figure.add_scatter(x=[best], y=[found[best]], mode="markers", hoverinfo="skip", showlegend=False,
                       marker={"size": 14, "color": COLOURS[3]})
    figure.update_layout(height=300, uirevision="constant", margin={"l": 64, "r": 16, "t": 12, "b": 48})
    edge = 0.04 * np.log10(high / low)
    figure.update_xaxes(title="value", type="log", range=[np.log10(low) - edge, np.log10(high) + edge],
                        dtick=1 if high / low >= 10 else None)
    figure.update_yaxes(title="accuracy on held-out images", tickformat=".4~%")
    return figure


def over_snapshots(timeline: dict[int, dict], step: int, title: str) -> go.Figure:
    """The number of a student's map at every snapshot, the shown one marked; steps as ordered."""
    steps = [str(at) for at in timeline]
    values = [entry["distance"] for entry in timeline.values()]
    figure = go.Figure()
    figure.add_scatter(x=steps, y=values, mode="lines+markers", line={"color": COLOURS[0], "width": 2.2},
                       hovertemplate="step %{x}: %{y:.4g}<extra></extra>", showlegend=False)
    figure.add_scatter(x=[str(step)], y=[timeline[step]["distance"]], mode="markers", hoverinfo="skip",
                       marker={"size": 14, "color": COLOURS[3]}, showlegend=False)
    figure.update_layout(height=240, uirevision="constant", margin={"l": 64, "r": 16, "t": 12, "b": 48})
    figure.update_xaxes(title="snapshot at training step", type="category")
    figure.update_yaxes(title=title, rangemode="tozero")
    return figure


def layers_over_snapshots(timeline: dict[int, dict], step: int, title: str, stages: list[tuple[str, int]] = (),
                          apart: bool = False) -> go.Figure:
    """What a student pays at each layer at every snapshot, one line a layer, the shown step marked.

    `stages` are (name, the step at which it ends); where there are several, a line stands between them. Lines are
    `apart`, in a small chart each with its own axis, where layers differ in size and are not to be compared.
    """
    steps = [str(at) for at in timeline]
    names = [escape(layer["student"].removesuffix(".pre")) for layer in timeline[step]["layers"]]
    figure = make_subplots(cols=len(names) if apart else 1,
                           subplot_titles=[f"<b>{name}</b>" for name in names] if apart else None,
                           horizontal_spacing=0.22 / len(names))
    for i, name in enumerate(names):
        figure.add_scatter(x=steps, y=[entry["layers"][i]["paid"] for entry in timeline.values()], name=name,
                           mode="lines+markers", line={"color": COLOURS[i % len(COLOURS)], "width": 2.2,
                                                       "dash": DASHES[i % len(DASHES)]},
                           hovertemplate="%{y:.4g}", showlegend=not apart, row=1, col=1 + i * apart)
    figure.add_vline(x=steps.index(str(step)), line=MARK)
    for name, end in list(stages)[:-1]:
        figure.add_vline(x=sum(at <= end for at in timeline) - 0.5, line={"color": BASELINE_COLOUR, "width": 1.5},
                         annotation={"text": f"{escape(name)} ends", "yanchor": "bottom"},
                         annotation_position="bottom left" if apart else "top")  # above stand the charts' names
    figure.update_annotations(font_size=12)
    figure.update_layout(height=280, uirevision="constant", margin={"l": 64, "r": 16, "t": 30, "b": 48},
                         hovermode="x unified", legend=LEGEND)
    figure.update_xaxes(title="training step" if apart else "snapshot at training step", type="category",
                        nticks=6 if apart else None, tickangle=0 if apart else None)
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(title=title, col=1)
    return figure


def thinned(steps: list, values: list, points: int = POINTS) -> tuple[list, list]:
    """At most `points` of a curve, first and last included."""
    if len(steps) <= points:
        return steps, values
    kept = spread_out(len(steps), points)
    return [steps[i] for i in kept], [values[i] for i in kept]
