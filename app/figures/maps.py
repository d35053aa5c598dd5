"""Maps side by side, as one stitched picture."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from app.figures.pictures import MAP_PIXELS, picture
from app.figures.text import PARTS, escape, heads, write

SEAM = 0.02  # about what lies between the maps of layers, as a share of their width
SMOOTH_PIXELS = 48  # of a side, when a map is interpolated
LINE = 78  # letters in all columns' titles together
LETTERS = 8  # of a column's, at least
READABLE = 590  # pixels that they take


def map_grid(tiles: np.ndarray, *, rows: list[str], columns: list[str], notes: list[str],
             image: np.ndarray | None = None, overlay: bool = False, scale: float | None = None,
             each: bool = False) -> go.Figure:
    """Maps side by side on one colour scale, or `each` on its own, as one stitched picture.

    `tiles` (rows, columns, H, W), signed or not; `rows` are their names, empty where the one row needs none. `image`
    (channels, H, W) in [0, 1], grey or coloured, leads the first row and, with `overlay`, lies under every map.
    `notes` stand beside the names of the rows, or under the columns where there are none. `scale` is the value at the
    end of the colour scale, by default the largest in sight; larger ones have the colour of the end. What is read from
    a map is its value.
    """
    largest = scale or float(np.abs(tiles).max()) or 1.0
    gap = 1 if not rows else round(0.45 * tiles.shape[2])  # room for a line above each row
    under = [(row, column) for row in range(len(tiles)) for column in range(tiles.shape[1]) if overlay]
    if image is not None:
        tiles = np.concatenate([np.full_like(tiles[:, :1], np.nan), tiles], axis=1)
        columns, notes = ["image", *columns], notes if rows else ["", *notes]
        under = [(0, 0), *((row, column + 1) for row, column in under)]
    read = {"hovertemplate": "%{z:.4g}<extra></extra>"}
    if each:
        read = {"customdata": stitched(tiles, gap), "hovertemplate": "%{customdata:.4g}<extra></extra>"}
        own = np.abs(tiles).max((2, 3), keepdims=True)
        tiles, largest = tiles / np.where(own == 0, 1, own), 1.0
    figure = _picture(tiles, gap, image, under, largest=largest, opacity=0.65 if overlay else 1, **read)
    if each:
        _name_ends(figure, "a map")
    _label(figure, tiles.shape, (gap, 1), rows, columns, notes)
    return figure


def layer_grid(rows: list[dict], *, columns: list[str], image: np.ndarray, overlay: bool = False,
               smooth: bool = False, each: bool = False) -> go.Figure:
    """Maps of several layers, a row for each layer, each on a colour scale of its own, in its own cells.

    Each row: {"name", "maps" one a column, (h, w) or None, "notes" one a column, "mark" a place in all of them as
    shares of height and width, or None}. Every map is as large as the image (channels, H, W), which leads the first
    row; `smooth` interpolates between its cells. What is read from a map is its value. `each` map has a scale of its
    own, or else each row; rows with a sign are drawn in red and blue.
    """
    (height, width), names = image.shape[1:], ["image", *columns]
    seam = _seam(rows, smooth) * width
    across, gap = width + seam, max(0.22, 0.07 * len(names)) * height  # room for two lines, of many small maps
    lefts, tops = np.arange(len(names)) * across - 0.5, np.arange(len(rows)) * (height + gap) - 0.5
    figure, scaled = go.Figure(), set()
    _lay(figure, image, [(0, 0), *((top + 0.5, left + 0.5) for top in tops for left in lefts[1:] if overlay)])
    for number, (row, top) in enumerate(zip(rows, tops)):
        cells = _cells(row["maps"], lefts[1:], top, (height, width), smooth, each)
        if cells is not None:
            signed = bool(np.nanmin(cells["z"]) < 0)
            figure.add_heatmap(meta=[number], opacity=0.65 if overlay else 1, showscale=signed not in scaled,
                               **_colours(signed, float(np.nanmax(np.abs(cells["z"]))) or 1.0), **cells)
            scaled.add(signed)
    _share_room([trace for trace in figure.data if trace.showscale])
    _frame(figure, tops[-1] + height + 0.5, lefts[-1] + width + 0.5, len(rows), room=28)
    _name_ends(figure, "a map" if each else "a row")
    _label(figure, (len(rows), len(names), height, width), (gap, seam), [row["name"] for row in rows], names,
           [""] * len(rows), ({"x": left + width / 2, "y": top + height, "yanchor": "top", "text": escape(note)}
                              for row, top in zip(rows, tops) for left, note in zip(lefts[1:], row["notes"]) if note))
    for row, top in zip(rows, tops):
        if row["mark"]:
            figure.add_scatter(x=lefts[1:] + row["mark"][1] * width, y=[top + row["mark"][0] * height] * len(columns),
                               mode="markers", hoverinfo="skip", showlegend=False, marker={
                                   "symbol": "circle-open", "size": 13, "color": "#111111", "line": {"width": 2.5}})
    return figure


def _seam(rows: list[dict], smooth: bool) -> float:
    """The share of a map's width between two: whole cells of the finest, which a browser draws at once, if they do."""
    finest = max([one.shape[1] for row in rows for one in row["maps"] if one is not None] + [SMOOTH_PIXELS] * smooth,
                 default=1)
    return round(SEAM * finest) / finest or SEAM


def _cells(maps: list[np.ndarray | None], lefts: np.ndarray, top: float, size: tuple[int, int], smooth: bool,
           each: bool) -> dict | None:
    """Maps beside each other as a heatmap's cells with their edges, at the finest one's; None where there is no map."""
    shapes = [one.shape for one in maps if one is not None]
    if not shapes:
        return None
    shape = tuple(max((SMOOTH_PIXELS,) * smooth + sides) for sides in zip(*shapes))
    whole = [np.full(shape, np.nan) if one is None else _resized(one, shape, smooth) for one in maps]
    read = {"hovertemplate": "%{z:.4g}<extra></extra>"}
    if each:
        read = {"hovertemplate": "%{customdata:.4g}<extra></extra>", "customdata": _beside(whole)}
        whole = [one / (np.abs(one).max() or 1.0) for one in whole]
    down, right = (np.linspace(0, side, count + 1) for side, count in zip(size, shape))
    return {"z": _beside(whole), "x": (lefts[:, None] + right).ravel(), "y": top + down, "hoverongaps": False, **read}


def _beside(maps: list[np.ndarray]) -> np.ndarray:
    """Maps in one row, with a column of nothing between them."""
    return np.concatenate([np.pad(one.astype(np.float32), ((0, 0), (0, 1)), constant_values=np.nan)
                           for one in maps], 1)[:, :-1]


def _name_ends(figure: go.Figure, what: str) -> None:
    """Say at the colour scales whose lowest and highest values their ends are."""
    words = [f"lowest<br>of {what}", "0", f"highest<br>of {what}"]
    for trace in figure.select_traces("heatmap"):
        ends = [trace.zmin, 0, trace.zmax] if trace.zmin < 0 else [0, trace.zmax]
        trace.update(colorbar={"tickvals": ends, "ticktext": words[-len(ends):]})
    figure.update_layout(margin={"r": 84})


def _resized(values: np.ndarray, size: tuple[int, int], smooth: bool) -> np.ndarray:
    """A map (h, w) at a size (H, W), float32: interpolated, or in its own cells."""
    whole = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(whole.resize(size[::-1], Image.BILINEAR if smooth else Image.NEAREST))


def _picture(tiles: np.ndarray, gap: int, image: np.ndarray | None, under: list[tuple[int, int]], *, largest: float,
             **heatmap) -> go.Figure:
    """Tiles as one picture, with the image at the places `under`, (row, column) each; `largest` ends the scale."""
    whole, figure = stitched(tiles, gap), go.Figure()
    if image is not None:
        _lay(figure, image, [(row * (tiles.shape[2] + gap), column * (tiles.shape[3] + 1)) for row, column in under])
    figure.add_heatmap(z=whole, meta=[*range(len(tiles))], hoverongaps=False,
                       **_colours(bool(np.nanmin(tiles) < 0), largest), **heatmap)
    _frame(figure, *whole.shape, len(tiles), room=8 if gap > 1 else 64)
    return figure


def _colours(signed: bool, largest: float) -> dict:
    """Red and blue for what has a sign, else from dark to bright, up to `largest`; the scale at the right edge."""
    ends = [-largest, 0, largest] if signed else [0, largest / 2, largest]
    return {"colorscale": "RdBu_r" if signed else "Viridis", "zmin": ends[0], "zmax": largest,
            "colorbar": {"thickness": 10, "outlinewidth": 0, "xref": "container", "x": 1, "xanchor": "right",
                         "tickvals": ends, "ticktext": [f"{end:.2g}" for end in ends]}}


def _share_room(traces: list) -> None:
    """Put the scales of several traces below each other."""
    for number, trace in enumerate(traces if len(traces) > 1 else ()):
        trace.update(colorbar={"y": 1 - (number + 0.5) / len(traces), "len": 1 / len(traces) - 0.05})


def _frame(figure: go.Figure, height: float, width: float, rows: int, room: int) -> None:
    """Axes of a picture so high and wide, whose browser sets its height from its width: pixels stay square and large.

    `room` below it, in pixels.
    """
    figure.update_layout(uirevision="constant", margin={"l": 8, "r": 64, "t": 64, "b": room},
                         meta={"aspect": height / width, "tallest": MAP_PIXELS * rows})
    figure.update_xaxes(visible=False, fixedrange=True, range=[-0.5, width - 0.5])
    figure.update_yaxes(visible=False, fixedrange=True, range=[height - 0.5, -0.5])


def _lay(figure: go.Figure, image: np.ndarray, places: list[tuple[int, int]]) -> None:
    """Put an image under the maps, with its upper left pixel at each of the places (row, column)."""
    _, height, width = image.shape
    laid = {"source": picture(image), "xref": "x", "yref": "y", "sizex": width, "sizey": height, "sizing": "stretch",
            "layer": "below"}
    figure.layout.images += tuple({**laid, "x": column - 0.5, "y": row - 0.5} for row, column in places)


def _label(figure: go.Figure, shape: tuple[int, ...], gaps: tuple[float, float], rows: list[str], columns: list[str],
           notes: list[str], further: Iterable[dict] = ()) -> None:
    """Name rows and columns; `further` annotations go with theirs, since each call makes all anew that are there."""
    _, width, height_px, width_px = shape
    titles = heads(columns, max(LINE // width, LETTERS))
    wrapped = [title.split("<br>") for title in titles]
    highest, longest = max(map(len, wrapped)) - 1, max(len(line) for lines in wrapped for line in lines)
    readable = READABLE * max(1, longest * width / LINE)  # pixels without which the titles run into each other
    figure.update_layout(margin={"t": 34 + 15 * highest + (18 if rows else 0)}, meta={
        **figure.layout.meta, "readable": readable, "tile": {  # for whoever enlarges one
            "height": height_px, "width": width_px, "down": height_px + gaps[0], "across": width_px + gaps[1],
            "rows": [escape(row) for row in rows] or [""], "columns": [escape(column) for column in columns]}})
    across = [i * (width_px + gaps[1]) + (width_px - 1) / 2 for i in range(width)]
    above = ({"x": x, "y": 1, "yref": "paper", "yanchor": "bottom", "yshift": 18 if rows else 0,
              "text": f"<b>{title}</b>", "hovertext": escape(label)}
             for x, title, label in zip(across, titles, columns))
    told = ({"x": -0.5, "y": row * (height_px + gaps[0]) - 0.5, "xanchor": "left", "yanchor": "bottom",
             "text": f"<b>{escape(label)}</b>  {escape(note)}"} for row, (label, note) in enumerate(zip(rows, notes)))
    below = ({"x": x, "y": height_px - 0.5, "yanchor": "top", "text": _lines(note, LINE // width)}
             for x, note in zip(across, notes))
    write(figure, *above, *(told if rows else below), *further)


def _lines(text: str, width: int) -> str:
    parts = [line for part in text.split(PARTS) for line in wrap(part, max(width, LETTERS), break_long_words=False)]
    return "<br>".join(escape(line) for line in parts)


def stitched(tiles: np.ndarray, gap: int = 1) -> np.ndarray:
    """(rows, columns, H, W) -> one picture, float32: nothing between the tiles, one pixel wide and `gap` high."""
    padded = np.pad(tiles.astype(np.float32), ((0, 0), (0, 0), (0, gap), (0, 1)), constant_values=np.nan)
    rows, columns, height, width = padded.shape
    return padded.swapaxes(1, 2).reshape(rows * height, columns * width)[:-gap, :-1]
