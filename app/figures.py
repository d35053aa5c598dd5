"""Arrays -> Plotly figures: pure functions."""

from __future__ import annotations

from html import escape

import numpy as np
import plotly.graph_objects as go

# Okabe & Ito's colours, which colour-blind readers tell apart; the baseline is grey.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#B8A900")
BASELINE_COLOUR = "#8A94A3"
TEACHER_COLOUR = "#A05EB5"
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
POINTS = 300
_GAP = 1


def curves(lines: list[dict], *, title: str, percent: bool = False, logarithmic: bool = False,
           level: tuple[str, float] | None = None) -> go.Figure:
    """Lines over steps. Each line: {"name", "group", "colour", "dash", "steps", "values"}.

    Lines of a group share a legend entry. `level` is a named horizontal line. At most 300 points a line are sent.
    """
    figure = go.Figure()
    seen: set[str] = set()
    for line in lines:
        steps, values = thinned(line["steps"], line["values"])
        figure.add_scatter(x=steps, y=values, name=escape(line["group"]), legendgroup=line["group"], mode="lines",
                           uid=line["name"], showlegend=line["group"] not in seen,
                           line={"color": line["colour"], "dash": line["dash"], "width": 2.2},
                           hovertemplate=f"{escape(line['name'])}: %{{y:{'.1%' if percent else '.4g'}}}<extra></extra>")
        seen.add(line["group"])
    if level:
        figure.add_hline(y=level[1], line={"dash": "dot", "color": TEACHER_COLOUR, "width": 1.5},
                         annotation={"text": escape(level[0]), "font": {"color": TEACHER_COLOUR}},
                         annotation_position="top left")
    figure.update_layout(height=400, uirevision="constant", hovermode="x unified",
                         margin={"l": 64, "r": 16, "t": 44, "b": 48},
                         legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    figure.update_xaxes(title="training steps", rangemode="tozero")
    figure.update_yaxes(title=title, tickformat=".0%" if percent else None,
                        type="log" if logarithmic else "linear")
    return figure


def distance_over_steps(timeline: dict[int, dict], step: int) -> go.Figure:
    """The distance of a student's map to its teacher's at every snapshot, the shown one marked; steps as ordered."""
    steps = [str(at) for at in timeline]
    values = [entry["distance"] for entry in timeline.values()]
    figure = go.Figure()
    figure.add_scatter(x=steps, y=values, mode="lines+markers", line={"color": COLOURS[0], "width": 2.2},
                       hovertemplate="step %{x}: %{y:.4g}<extra></extra>", showlegend=False)
    figure.add_scatter(x=[str(step)], y=[timeline[step]["distance"]], mode="markers", hoverinfo="skip",
                       marker={"size": 14, "color": COLOURS[3]}, showlegend=False)
    figure.update_layout(height=240, uirevision="constant", margin={"l": 64, "r": 16, "t": 12, "b": 48})
    figure.update_xaxes(title="snapshot at training step", type="category")
    figure.update_yaxes(title="distance to the teacher", rangemode="tozero")
    return figure


def thinned(steps: list, values: list, points: int = POINTS) -> tuple[list, list]:
    """At most `points` of a curve, first and last included."""
    if len(steps) <= points:
        return steps, values
    kept = np.unique(np.linspace(0, len(steps) - 1, points).round().astype(int))
    return [steps[i] for i in kept], [values[i] for i in kept]


def map_grid(tiles: np.ndarray, *, rows: list[str], columns: list[str], notes: list[str],
             image: np.ndarray | None = None, overlay: bool = False, scale: float | None = None,
             tile: int = 120) -> go.Figure:
    """Maps side by side on one colour scale, as one stitched picture.

    `tiles` (rows, columns, H, W), signed or not. `image` (H, W) in [0, 1] leads the first row in grey and, with
    `overlay`, lies under every map. `notes` are written under the columns where there is one row, else behind the rows.
    `scale` is the value at the end of the colour scale, by default the largest in sight.
    """
    signed, largest = bool(tiles.min() < 0), scale or float(np.abs(tiles).max()) or 1.0
    if image is not None:
        tiles = np.concatenate([np.full_like(tiles[:, :1], np.nan), tiles], axis=1)
        columns, notes = ["image", *columns], [*([""] if len(tiles) == 1 else []), *notes]
    figure = go.Figure()
    if image is not None:
        grey = np.broadcast_to(image, tiles.shape).copy()
        grey[slice(1, None) if overlay else slice(None), slice(0, 1) if overlay else slice(1, None)] = np.nan
        grey[0, 0] = image
        figure.add_heatmap(z=stitched(grey), colorscale="gray", showscale=False, zmin=0, zmax=1, hoverinfo="skip")
    figure.add_heatmap(z=stitched(tiles), colorscale="RdBu_r" if signed else "Viridis", opacity=0.65 if overlay else 1,
                       zmin=-largest if signed else 0, zmax=largest, hovertemplate="%{z:.4g}<extra></extra>",
                       colorbar={"thickness": 10, "outlinewidth": 0, "tickformat": ".2g", "nticks": 5})
    behind = 0 if len(tiles) == 1 else _text_width(notes)
    _label(figure, tiles.shape, rows, columns, notes)
    figure.update_layout(height=len(tiles) * tile + 110, uirevision="constant",
                         margin={"l": 12 + _text_width(rows), "r": 80 + behind, "t": 44, "b": 44 if not behind else 12})
    figure.data[-1].colorbar.update(xref="container", x=1, xanchor="right")
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, autorange="reversed", scaleanchor="x", constrain="domain")
    return figure


def _label(figure: go.Figure, shape: tuple[int, ...], rows: list[str], columns: list[str], notes: list[str]) -> None:
    count, width, height_px, width_px = shape
    across = [(i + 0.5) * (width_px + _GAP) - _GAP / 2 - 0.5 for i in range(width)]
    down = [(i + 0.5) * (height_px + _GAP) - _GAP / 2 - 0.5 for i in range(count)]
    for x, label in zip(across, columns):
        figure.add_annotation(x=x, y=-0.5, yanchor="bottom", text=f"<b>{_lines(label)}</b>", showarrow=False)
    for y, label in zip(down, rows):
        figure.add_annotation(x=-0.5, y=y, xshift=-6, xanchor="right", align="right", text=f"<b>{_lines(label)}</b>",
                              showarrow=False)
    for position, note in zip(across if count == 1 else down, notes):
        place = ({"x": position, "y": height_px - 0.5, "yanchor": "top"} if count == 1 else
                 {"x": width * (width_px + _GAP) - 1, "y": position, "xshift": 4, "xanchor": "left", "align": "left"})
        figure.add_annotation(**place, text=_lines(note), showarrow=False)


def _lines(text: str) -> str:
    return escape(text).replace(" · ", "<br>")


def _text_width(texts: list[str]) -> int:
    """About how many pixels the longest line of labels takes at the chart's 12-pixel type."""
    return 7 * max((len(line) for text in texts for line in text.split(" · ")), default=0)


def stitched(tiles: np.ndarray) -> np.ndarray:
    """(rows, columns, H, W) -> one picture with a pixel of nothing between the tiles, float32."""
    padded = np.pad(tiles.astype(np.float32), ((0, 0), (0, 0), (0, _GAP), (0, _GAP)), constant_values=np.nan)
    rows, columns, height, width = padded.shape
    return padded.swapaxes(1, 2).reshape(rows * height, columns * width)[:-_GAP, :-_GAP]


def markdown(text: str) -> str:
    """Text as Markdown that shows it as written, whatever a user put into it."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]()<>#+-.!|$~:" else letter for letter in text)
