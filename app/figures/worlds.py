"""Networks of one or two inputs, drawn whole."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.figures.curves import named_place
from app.figures.style import COLOURS, DASHES, LEGEND, MARGIN, SYMBOLS, TEACHER_COLOUR
from app.figures.text import escape, write

TANGENT = 0.03  # half of it, along the inputs
APART = 0.025  # two columns of panels, as a share of the width
ROOM = 0.13  # between two rows of panels, as a share of the height
TALLEST, READABLE = 720, 640  # pixels of all panels, and what their words take
PALE = 2.2  # the end of the shades, so that they stay behind lines and points
SIDES = ("#2166AC", "#B2182B")  # the colours of the shades, for points


def curves_and_slopes(world: dict, snapshot: int) -> go.Figure:
    """A column for each student of a world of one input: its curve over its teacher's, and its slope below.

    `world` as the inspector tells it; the scales are the teacher's, so that they stay from one snapshot to the next.
    """
    students, teacher, inputs, at = world["students"], world["teacher"], world["inputs"], world["at"]
    drawn, axes, titles = [], {}, []
    width = (1 - APART * (len(students) - 1)) / len(students)
    for column, student in enumerate(students):
        ours = {what: student[what][snapshot] for what in ("values", "slopes")}
        who = (("teacher", teacher, TEACHER_COLOUR, "dash"), ("student", ours, COLOURS[column], "solid"))
        across = [column * (width + APART), column * (width + APART) + width]
        titles.append({"text": f"<b>{escape(student['title'])}</b>", "x": sum(across) / 2, "xref": "paper",
                       "xanchor": "center", "y": 1, "yref": "paper", "yanchor": "bottom", "font": {"size": 13}})
        for row, (what, words, up) in enumerate((("values", "output", [0.42, 1]), ("slopes", "slope", [0, 0.36]))):
            number = row * len(students) + column + 1
            panel = {"type": "scatter", "showlegend": False, "xaxis": f"x{number}", "yaxis": f"y{number}"}
            drawn += [{**panel, "x": inputs, "y": network[what], "mode": "lines", "name": name,
                       "line": {"color": colour, "dash": dash, "width": 2.2}, "hovertemplate": "%{y:.3g}"}
                      for name, network, colour, dash in who]
            drawn.append({**panel, "x": inputs[at], "y": teacher[what][at], "mode": "markers", "hoverinfo": "skip",
                          "marker": {"color": TEACHER_COLOUR, "size": 9}})
            if what == "values":
                drawn += [{**panel, **_tangents(inputs[at], network["values"][at], network["slopes"][at]),
                           "mode": "lines", "line": {"color": colour, "width": 5}, "opacity": 0.75, "hoverinfo": "skip"}
                          for _, network, colour, _ in who]
            axes[f"xaxis{number}"] = {"domain": across, "anchor": f"y{number}", "range": [0, 1], "zeroline": False,
                                      "title": "input" if row else None, "showticklabels": bool(row), "matches": "x",
                                      "unifiedhovertitle": {"text": "input %{x:.2f}"}}
            axes[f"yaxis{number}"] = {"domain": up, "anchor": f"x{number}", "range": _around(teacher[what]),
                                      "title": None if column else words, "showticklabels": not column,
                                      "matches": f"y{row * len(students) + 1}" if column else None}
    del axes["xaxis1"]["matches"]
    figure = go.Figure(drawn, {"height": 520, "uirevision": "constant", "hovermode": "x unified",
                               "margin": {"l": 56, "r": 8, "t": 28, "b": 44}, **axes})  # at once: a third of the time
    write(figure, *titles)
    return figure


def _tangents(x: np.ndarray, y: np.ndarray, slope: np.ndarray) -> dict[str, np.ndarray]:
    """Short lines through points, with a gap between each two."""
    ends = np.array([-TANGENT, TANGENT, np.nan])
    return {"x": (x[:, None] + ends).ravel(), "y": (y[:, None] + slope[:, None] * ends).ravel()}


def _around(values: np.ndarray) -> list[float]:
    room = 0.35 * float(np.ptp(values))
    return [float(values.min()) - room, float(values.max()) + room]


def over_training(lines: dict[str, np.ndarray], steps: list[int], step: int, title: str, *, percent: bool = False,
                  ends: int | None = None) -> go.Figure:
    """A line for each student over the snapshots, the shown one marked; on a logarithmic scale, or in `percent`.

    `ends` is the step at which their first stage does.
    """
    figure = go.Figure()
    for i, (name, values) in enumerate(lines.items()):
        figure.add_scatter(x=[str(at) for at in steps], y=values, name=escape(name), mode="lines+markers",
                           hovertemplate="%{y:.1%}" if percent else "%{y:.3g}",
                           marker={"symbol": SYMBOLS[i], "size": 7},
                           line={"color": COLOURS[i], "dash": DASHES[i], "width": 2.2})
    named_place(figure, steps.index(step))
    if ends:
        named_place(figure, sum(at <= ends for at in steps) - 0.5, "then labels", dash="solid", y=0, xanchor="left")
    figure.update_layout(height=320, uirevision="constant", margin=MARGIN, hovermode="x unified",
                         legend=LEGEND)
    figure.update_xaxes(title="snapshot at training step", type="category", nticks=7, tickangle=0)
    figure.update_yaxes(title=title, type="linear" if percent else "log", tickformat=".0%" if percent else None,
                        exponentformat="power", dtick=None if percent else 1, title_standoff=12, automargin=True)
    return figure


def two_sides(world: dict, noise: float) -> go.Figure:
    """Both sides of Prop. 1 over σ, two lines for each student of a world of one input; `noise` is the σ in use.

    The scale ends below the left sides: a student that errs nowhere in values and slopes has a right side of 0.
    """
    figure = go.Figure()
    for i, student in enumerate(world["students"]):
        for side, name, dash in (("noisy", "left side", "solid"), ("expanded", "right side", "dot")):
            figure.add_scatter(x=world["noises"], y=student[side], name=f"{escape(student['title'])}: {name}",
                               mode="lines+markers" if side == "noisy" else "lines", hovertemplate="%{y:.3g}",
                               marker={"symbol": SYMBOLS[i], "size": 8},
                               line={"color": COLOURS[i], "dash": dash, "width": 2.2})
    named_place(figure, noise, f"σ = {noise:g}", x=np.log10(noise))  # an annotation wants the logarithm, a line not
    figure.update_layout(height=400, uirevision="constant", margin={"l": 64, "r": 16, "t": 24, "b": 48},
                         hovermode="x unified", legend={"x": 1.02, "y": 1, "tracegroupgap": 4})
    figure.update_xaxes(title="σ of the noise", type="log", tickvals=[0.003, 0.01, 0.03, 0.1, 0.3])
    lowest = min(student["noisy"].min() for student in world["students"])
    highest = max(max(student["noisy"].max(), student["expanded"].max()) for student in world["students"])
    figure.update_yaxes(title="squared error", type="log", exponentformat="power", dtick=1, title_standoff=12,
                        automargin=True, range=[np.log10(lowest) - 0.6, np.log10(highest) + 0.3])
    return figure


def regions(world: dict, snapshot: int) -> go.Figure:
    """A panel for the teacher and each of three students of a world of two inputs: answers as shades, neurons as lines.

    `world` as the inspector tells it. A neuron has one colour and dash in all panels.
    """
    shown = [({"title": "Teacher", **world["teacher"]}, 0), *((student, snapshot) for student in world["students"])]
    figure = make_subplots(2, 2, horizontal_spacing=0.02, vertical_spacing=ROOM,
                           subplot_titles=[f"<b>{escape(network['title'])}</b>" for network, _ in shown])
    for i, (network, at) in enumerate(shown):
        _panel(figure, world, {name: network[name][at] for name in ("lean", "boundaries")},
               {"row": i // 2 + 1, "col": i % 2 + 1}, legend=i == 0)
        if i:
            figure.add_annotation(text=f"{network['agreement'][at]:.0%} of activations agree, "
                                  f"{network['decisions'][at]:.0%} of answers", showarrow=False, x=0.5, y=0,
                                  xref=f"x{i + 1} domain", yref=f"y{i + 1} domain", yanchor="top")
    figure.update_xaxes(visible=False, range=[world["across"][0], world["across"][-1]])
    figure.update_yaxes(visible=False, range=[world["up"][0], world["up"][-1]])
    aspect = np.ptp(world["up"]) / np.ptp(world["across"]) * 0.98 / (1 - ROOM)
    figure.update_layout(uirevision="constant", margin={"l": 8, "r": 8, "t": 84, "b": 28}, hovermode=False,
                         meta={"aspect": float(aspect), "tallest": TALLEST, "readable": READABLE},
                         legend={"orientation": "h", "x": 0, "y": 1, "yref": "container", "yanchor": "top",
                                "itemwidth": 40})
    return figure


def _panel(figure: go.Figure, world: dict, network: dict, place: dict, legend: bool) -> None:
    """One network: how it leans to a class, where it is undecided, and where each neuron switches."""
    field = {"z": network["lean"], "x": world["across"], "y": world["up"], "showscale": False, "hoverinfo": "skip"}
    figure.add_heatmap(**field, colorscale="RdBu_r", zmin=-PALE, zmax=PALE, zsmooth="best", **place)
    for i, ends in enumerate(network["boundaries"]):
        figure.add_scatter(x=ends[:, 0], y=ends[:, 1], mode="lines", name=f"neuron {i + 1}", showlegend=legend,
                           legendgroup=i, line={"color": COLOURS[i], "dash": DASHES[i], "width": 2.2}, **place)
    figure.add_contour(**field, contours={"start": 0, "end": 0, "size": 1, "coloring": "none"}, showlegend=legend,
                       name="decision boundary", legendgroup="decision", line={"color": "#333333", "width": 4}, **place)
    for label, name in enumerate(world["classes"]):
        x, y = world["points"][world["labels"] == label].T
        marker = {"symbol": SYMBOLS[label], "size": 8, "color": SIDES[label], "line": {"color": "white", "width": 1}}
        figure.add_scatter(x=x, y=y, mode="markers", name=escape(name), legendgroup=name, showlegend=legend,
                           marker=marker, **place)
