"""Images in rows, as one stitched picture."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from app.figures.text import escape

MAP_PIXELS = 230
GAP = 6
NOTE = 18  # pixels that a line of words takes
LETTER = 7
SMALLER = 1.15  # how much wider a picture would have to be for its words to have their usual size


def picture(image: np.ndarray) -> Image.Image:
    """An image (channels, H, W) in [0, 1], grey or coloured, as large as a map is drawn; what is beyond is clipped."""
    return Image.fromarray(_enlarged((255 * image.clip(0, 1)).round().astype(np.uint8), MAP_PIXELS))


def image_rows(rows: list[list[dict]], names: list[str], *, side: int = 64) -> go.Figure:
    """Images in rows, each row with its name at the left, as one stitched picture.

    Each image: {"pixels" (C, h, w) uint8, grey or coloured, all of one size, "note" a few words beneath it, "colour" of
    a frame, or None, "told" what is said of it where the mouse is}. A tile has about `side` pixels, a whole number for
    each pixel of an image, so that nothing is blurred.
    """
    gap = NOTE if any(one["note"] for row in rows for one in row) else GAP
    canvas, places, (height, width) = stitched_images(rows, side, gap)
    shown = [one for row in rows for one in row]
    figure = go.Figure({"type": "scatter", "mode": "markers", "showlegend": False, "marker": {"opacity": 0, "size": 30},
                        "x": [left + width / 2 for _, left in places], "y": [top + height / 2 for top, _ in places],
                        "text": [escape(one["told"]) for one in shown], "hovertemplate": "%{text}<extra></extra>"})
    figure.add_layout_image(source=Image.fromarray(canvas), xref="x", yref="y", x=0, y=0, sizex=canvas.shape[1],
                            sizey=canvas.shape[0], sizing="stretch", layer="below")
    for row, name in enumerate(names):
        figure.add_annotation(x=0, xshift=-8, xanchor="right", y=row * (height + gap) + height / 2, showarrow=False,
                              text=escape(name), align="right")
    for one, (top, left) in zip(shown, places):
        _tell(figure, one, top, left, height, width)
    aspect, wide = canvas.shape[0] / canvas.shape[1], canvas.shape[1]
    figure.update_layout(uirevision="constant", meta={"aspect": aspect, "tallest": canvas.shape[0],
                                                      "readable": SMALLER * wide},
                         margin={"l": 10 + LETTER * max(map(len, names), default=0), "r": 8, "t": 8, "b": 8})
    figure.update_xaxes(visible=False, fixedrange=True, range=[-2, wide + 2])
    figure.update_yaxes(visible=False, fixedrange=True, range=[canvas.shape[0] + 2, -2])
    return figure


def stitched_images(rows: list[list[dict]], side: int, gap: int) -> tuple[np.ndarray, list, tuple[int, int]]:
    """The images of `image_rows` as one picture (H, W, RGBA), where each begins (top, left), and the size of one.

    Nothing is between them: `gap` pixels under each row, fewer between columns.
    """
    tiles = [[_enlarged(one["pixels"], side) for one in row] for row in rows]
    height, width = next(tile.shape[:2] for row in tiles for tile in row)
    canvas = np.zeros(((height + gap) * len(rows), (width + GAP) * max(map(len, rows)) - GAP, 4), np.uint8)
    places = []
    for row, of_row in enumerate(tiles):
        for column, tile in enumerate(of_row):
            top, left = row * (height + gap), column * (width + GAP)
            canvas[top : top + height, left : left + width] = np.pad(tile, ((0, 0), (0, 0), (0, 1)),
                                                                     constant_values=255)
            places.append((top, left))
    return canvas, places, (height, width)


def _tell(figure: go.Figure, one: dict, top: int, left: int, height: int, width: int) -> None:
    """An image's frame, and the words beneath it."""
    if one["colour"]:
        figure.add_shape(type="rect", x0=left - 1, x1=left + width + 1, y0=top - 1, y1=top + height + 1,
                         line={"color": one["colour"], "width": 3})
    if one["note"]:
        figure.add_annotation(x=left + width / 2, y=top + height, yanchor="top", showarrow=False,
                              text=escape(_shortened(one["note"], (width + GAP) // 6)))


def _shortened(words: str, most: int) -> str:
    """Words of so many letters at most, an ellipsis among them."""
    return words if len(words) <= most else f"{words[:most - 1]}…"


def _enlarged(pixels: np.ndarray, side: int) -> np.ndarray:
    """(C, h, w) -> (H, W, 3), about `side` wide, in whole pixels: a browser blurs what it enlarges."""
    times = max(1, side // pixels.shape[2])
    return np.broadcast_to(pixels, (3, *pixels.shape[1:])).transpose(1, 2, 0).repeat(times, 0).repeat(times, 1)
