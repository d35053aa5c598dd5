"""Maps side by side, as one stitched picture."""

from __future__ import annotations

from textwrap import wrap

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from app.figures.text import escape

MAP_PIXELS = 230
SMOOTH_PIXELS = 48  # of a side, when a map is interpolated
LINE = 78  # letters in all columns' titles together
READABLE = 560  # pixels that they take


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
    signed = np.repeat(_signed(tiles), len(tiles))  # one scale, and so one kind of colours
    read = {"hovertemplate": "%{z:.4g}<extra></extra>"}
    if each:
        read = {"customdata": stitched(tiles, gap), "hovertemplate": "%{customdata:.4g}<extra></extra>"}
        own = np.abs(tiles).max((2, 3), keepdims=True)
        tiles, largest = tiles / np.where(own == 0, 1, own), 1.0
    figure = _picture(tiles, gap, image, under, signed, largest=largest, opacity=0.65 if overlay else 1, **read)
    if each:
        _name_ends(figure, "a map")
    _label(figure, tiles.shape, gap, rows, columns, notes)
    return figure


def layer_grid(rows: list[dict], *, columns: list[str], image: np.ndarray, overlay: bool = False,
               smooth: bool = False, each: bool = False) -> go.Figure:
    """Maps of several layers, a row for each layer, each on a colour scale of its own, as one stitched picture.

    Each row: {"name", "maps" one a column, (h, w) or None, "notes" one a column, "mark" a place in all of them as
    shares of height and width, or None}. The maps are enlarged to the size of the image (channels, H, W), which leads
    the first row: in cells, or smoothly. What is read from a map is its value. `each` map has a scale of its own, or
    else each row; rows with a sign are drawn in red and blue.
    """
    times = max(1, SMOOTH_PIXELS // image.shape[1]) if smooth else 1
    size = tuple(max(times * side, *(one.shape[axis] for row in rows for one in row["maps"] if one is not None))
                 for axis, side in enumerate(image.shape[1:]))
    none = np.full(size, np.nan, np.float32)
    tiles = np.stack([np.stack([none, *(none if one is None else enlarged(one, size, smooth) for one in row["maps"])])
                      for row in rows])
    largest = np.nanmax(np.abs(np.nan_to_num(tiles)), (2, 3) if each else (1, 2, 3), keepdims=True)
    largest[largest == 0] = 1.0
    gap = round(max(0.22, 0.07 * tiles.shape[1]) * size[0])  # room for two lines, of maps that many make small
    under = [(0, 0), *((row, column) for row in range(len(rows)) for column in range(1, tiles.shape[1]) if overlay)]
    figure = _picture(tiles / largest, gap, enlarged_image(image, size), under, _signed(tiles, (1, 2, 3)), largest=1.0,
                      customdata=stitched(tiles, gap), hovertemplate="%{customdata:.4g}<extra></extra>",
                      opacity=0.65 if overlay else 1)
    figure.update_layout(margin={"b": 28})
    _name_ends(figure, "a map" if each else "a row")
    _label(figure, tiles.shape, gap, [row["name"] for row in rows], ["image", *columns], [""] * len(rows))
    for row, told in enumerate(rows):
        top, left = row * (size[0] + gap) - 0.5, [column * (size[1] + 1) - 0.5 for column in range(tiles.shape[1])]
        for x, note in zip(left[1:], told["notes"]):
            figure.add_annotation(x=x + size[1] / 2, y=top + size[0], yanchor="top", text=escape(note), showarrow=False)
        if told["mark"]:
            down, across = told["mark"]
            figure.add_scatter(x=[x + across * size[1] for x in left[1:]], y=[top + down * size[0]] * len(left[1:]),
                               mode="markers", hoverinfo="skip", showlegend=False, marker={
                                   "symbol": "circle-open", "size": 13, "color": "#111111", "line": {"width": 2.5}})
    return figure


def _name_ends(figure: go.Figure, what: str) -> None:
    """Say at colour scales from -1 or 0 to 1 whose lowest and highest values their ends are."""
    words = [f"lowest<br>of {what}", "0", f"highest<br>of {what}"]
    for trace in figure.data:
        signed = trace.zmin < 0
        trace.update(colorbar={"tickvals": [-1, 0, 1] if signed else [0, 1], "ticktext": words[not signed:]})
    figure.update_layout(margin={"r": 84})


def blur(width: int) -> float:
    """The standard deviation, in pixels, of the Gaussian that smooths a map of a width."""
    return max(0.7, width / 32)


def smoothed(maps: np.ndarray) -> np.ndarray:
    """Maps (..., H, W) convolved with a Gaussian, which at the borders is made of what is inside alone."""
    std = blur(maps.shape[-1])
    down, across = (_gaussian(side, std) for side in maps.shape[-2:])
    return down @ maps @ across.T


def _gaussian(side: int, std: float) -> np.ndarray:
    """(side, side): in each row the weights around one place."""
    places = np.arange(side)
    weights = np.exp(-((places[:, None] - places) ** 2) / (2 * std**2))
    return weights / weights.sum(1, keepdims=True)


def enlarged(values: np.ndarray, size: tuple[int, int], smooth: bool) -> np.ndarray:
    """A map (h, w) at another size (H, W), float32: in cells, or interpolated."""
    whole = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(whole.resize(size[::-1], Image.BILINEAR if smooth else Image.NEAREST))


def enlarged_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image (channels, H, W) at another size, in cells."""
    return np.stack([enlarged(channel, size, smooth=False) for channel in image])


def _picture(tiles: np.ndarray, gap: int, image: np.ndarray | None, under: list[tuple[int, int]],
             signed: np.ndarray, *, largest: float, **heatmap) -> go.Figure:
    """Tiles as one picture, with the image at the places `under`, (row, column) each; `largest` ends the scales.

    Rows that are `signed` are red and blue, the others from dark to bright, each kind with its scale beside it.
    """
    figure = go.Figure()
    if image is not None:
        _lay(figure, image, [(row * (tiles.shape[2] + gap), column * (tiles.shape[3] + 1)) for row, column in under])
    kinds = [kind for kind in (True, False) if kind in signed]
    for i, kind in enumerate(kinds):
        figure.add_heatmap(
            meta=np.flatnonzero(signed == kind).tolist(),  # the rows, for whoever enlarges one
            z=stitched(np.where((signed == kind)[:, None, None, None], tiles, np.nan), gap), hoverongaps=False,
            colorscale="RdBu_r" if kind else "Viridis", zmin=-largest if kind else 0, zmax=largest, **heatmap,
            colorbar={"thickness": 10, "outlinewidth": 0, "tickformat": ".2g", "nticks": 5, "xref": "container",
                      "x": 1, "xanchor": "right", "y": 1 - (i + 0.5) / len(kinds),
                      "len": 1 / len(kinds) - 0.05 * (len(kinds) > 1)})
    height, width = (len(tiles) * (tiles.shape[2] + gap) - gap, tiles.shape[1] * (tiles.shape[3] + 1) - 1)
    # The browser sets the height from the width it has, so that the pixels of a map stay square and large.
    figure.update_layout(uirevision="constant", margin={"l": 8, "r": 64, "t": 64, "b": 8 if gap > 1 else 64},
                         meta={"aspect": height / width, "tallest": MAP_PIXELS * len(tiles)})
    figure.update_xaxes(visible=False, fixedrange=True, range=[-0.5, width - 0.5])
    figure.update_yaxes(visible=False, fixedrange=True, range=[height - 0.5, -0.5])
    return figure


def _signed(tiles: np.ndarray, axes: tuple[int, ...] | None = None) -> np.ndarray:
    """Whether there are negative values."""
    return np.nan_to_num(tiles).min(axes) < 0


def _lay(figure: go.Figure, image: np.ndarray, places: list[tuple[int, int]]) -> None:
    """Put an image under the maps, with its upper left pixel at each of the places (row, column)."""
    _, height, width = image.shape
    source = picture(image)
    for row, column in places:
        figure.add_layout_image(source=source, xref="x", yref="y", x=column - 0.5, y=row - 0.5, sizex=width,
                                sizey=height, sizing="stretch", layer="below")


def picture(image: np.ndarray) -> Image.Image:
    """An image (channels, H, W) in [0, 1], grey or coloured, as large as a map is drawn; what is beyond is clipped."""
    _, height, width = image.shape
    pixels = np.broadcast_to(image, (3, height, width)).transpose(1, 2, 0).clip(0, 1)
    times = max(1, MAP_PIXELS // width)  # a browser blurs what it enlarges
    return Image.fromarray((255 * pixels).round().astype(np.uint8)).resize((width * times, height * times), 0)


def _label(figure: go.Figure, shape: tuple[int, ...], gap: int, rows: list[str], columns: list[str],
           notes: list[str]) -> None:
    _, width, height_px, width_px = shape
    wrapped = [_lines(label, LINE // width).split("<br>") for label in columns]
    highest, longest = max(map(len, wrapped)) - 1, max(len(line) for lines in wrapped for line in lines)
    readable = READABLE * max(1, longest * width / LINE)  # pixels without which the titles run into each other
    figure.update_layout(margin={"t": 34 + 15 * highest + (18 if rows else 0)}, meta={
        **figure.layout.meta, "readable": readable, "tile": {  # for whoever enlarges one
            "height": height_px, "width": width_px, "gap": gap, "rows": [escape(row) for row in rows] or [""],
            "columns": [escape(column) for column in columns]}})
    across = [i * (width_px + 1) + (width_px - 1) / 2 for i in range(width)]
    for x, label in zip(across, columns):
        figure.add_annotation(x=x, y=1, yref="paper", yanchor="bottom", yshift=18 if rows else 0,
                              text=f"<b>{_lines(label, LINE // width)}</b>", showarrow=False)
    if not rows:
        for x, note in zip(across, notes):
            figure.add_annotation(x=x, y=height_px - 0.5, yanchor="top", text=_lines(note, LINE // width),
                                  showarrow=False)
    for row, (label, note) in enumerate(zip(rows, notes)):
        figure.add_annotation(x=-0.5, y=row * (height_px + gap) - 0.5, xanchor="left", yanchor="bottom",
                              text=f"<b>{escape(label)}</b>  {escape(note)}", showarrow=False)


def _lines(text: str, width: int) -> str:
    parts = [line for part in text.split(" · ") for line in wrap(part, max(width, 8), break_long_words=False)]
    return "<br>".join(escape(line) for line in parts)


def stitched(tiles: np.ndarray, gap: int = 1) -> np.ndarray:
    """(rows, columns, H, W) -> one picture, float32: nothing between the tiles, one pixel wide and `gap` high."""
    padded = np.pad(tiles.astype(np.float32), ((0, 0), (0, 0), (0, gap), (0, 1)), constant_values=np.nan)
    rows, columns, height, width = padded.shape
    return padded.swapaxes(1, 2).reshape(rows * height, columns * width)[:-gap, :-1]
