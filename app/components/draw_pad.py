"""A pad to draw on, whose drawing arrives while the pen moves."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

import numpy as np
import streamlit as st

_HERE = Path(__file__).parent
_IMAGE = (_HERE / "draw_pad_image.js").read_text()
_PAD = st.components.v2.component(
    "apprentice_pad",
    html="""
    <section><canvas tabindex="0" role="img"></canvas><p aria-hidden="true">Draw here</p></section>
    <footer>
      <button name="undo" title="Take the last stroke back (Ctrl+Z)">Undo</button>
      <button name="clear" title="Take all strokes back">Clear</button>
    </footer>
    <label><span>Pen width</span><input name="width" type="range" min="2" max="30" value="11"></label>
    <label><span>Brightness</span><input name="grey" type="range" min="0" max="255" value="255"></label>
    <label><span>Colour</span><input name="colour" type="color" value="#ffffff"></label>""",
    css=(_HERE / "draw_pad.css").read_text(), js=_IMAGE + (_HERE / "draw_pad.js").read_text())
_SEEN = st.components.v2.component(
    "apprentice_pad_seen",
    html="""<canvas role="img" aria-label="The image as the networks see it"></canvas>""",
    css="canvas { width: 140px; image-rendering: pixelated; border-radius: var(--st-base-radius); }",
    js=_IMAGE + (_HERE / "draw_pad_seen.js").read_text())


def draw_pad(image: np.ndarray) -> tuple[np.ndarray, int]:
    """Show a pad on which one draws onto an image (C, H, H) in [0, 1].

    Returns the image with what is drawn onto it, the very same where nothing is, and the drawing's number, which
    `seen` takes. Each image has strokes of its own, and they stay while the browser's tab does.
    """
    sent = _sent(image)
    size, base = sent["size"], f"{sent['size']}.{sent['channels']}.{zlib.crc32(sent['image'].encode())}"
    told = _PAD(key="pad", default={"drawn": None}, on_drawn_change=lambda: None, data={
        **sent, "base": base, "empty": not image.any(),
        "description": f"Drawing pad of {size} by {size} pixels. Draw with mouse, finger or pen; Control and Z takes "
                       "the last stroke back."}).drawn
    if not told or told["base"] != base:
        return image, 0
    drawn = np.frombuffer(base64.b64decode(told["pixels"]), np.uint8)
    return drawn.reshape(image.shape).astype(np.float32) / 255 if drawn.size else image, told["number"]


def seen(image: np.ndarray, number: int) -> None:
    """Show an image as the networks see it, and let the pad send its next drawing: to be called last.

    `number` is that of the drawing that was answered.
    """
    _SEEN(key="pad.seen", data={**_sent(image), "number": number})


def _sent(image: np.ndarray) -> dict:
    """An image (C, H, H) in [0, 1] on its way to the browser; what is beyond is clipped."""
    content = (255 * image.clip(0, 1)).round().astype(np.uint8).tobytes()
    return {"image": base64.b64encode(content).decode(), "size": image.shape[1], "channels": len(image)}
