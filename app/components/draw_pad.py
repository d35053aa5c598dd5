"""A pad to draw on, whose drawing arrives while the pen moves."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import streamlit as st

_IMAGE = """
    // Bytes (channels, size, size) as a canvas of so many pixels.
    const imageOf = ({ image, size, channels }, canvas) => {
      const bytes = atob(image), area = size * size, drawn = new ImageData(size, size);
      for (let i = 0; i < area; i++) {
        for (let c = 0; c < 3; c++) drawn.data[4 * i + c] = bytes.charCodeAt((channels === 1 ? 0 : c) * area + i);
        drawn.data[4 * i + 3] = 255;
      }
      canvas.width = canvas.height = size;
      canvas.getContext('2d').putImageData(drawn, 0, 0);
      return canvas;
    };
"""
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
    css="""
    :host, footer, label { font-family: var(--st-font); font-size: 0.875rem; color: var(--st-text-color); }
    canvas { display: block; width: 100%; box-sizing: border-box; touch-action: none;
             cursor: crosshair; border: 2px solid var(--st-border-color); border-radius: var(--st-base-radius); }
    canvas:focus-visible, button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
    section { display: grid; grid-template-columns: minmax(0, 300px); align-items: center; text-align: center; }
    section > * { grid-area: 1 / 1; }
    p { margin: 0; color: #9aa3b0; pointer-events: none; }
    [hidden] { display: none !important; }
    footer, label { display: flex; gap: 0.75rem; align-items: center; margin-top: 0.5rem; max-width: 300px; }
    span { flex: none; width: 5rem; }
    button { font: inherit; color: inherit; padding: 0.25rem 0.75rem; cursor: pointer; background: transparent;
             border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius); }
    button:hover:enabled { color: var(--st-primary-color); border-color: var(--st-primary-color); }
    button:disabled { opacity: 0.4; cursor: default; }
    input { margin: 0; min-width: 0; flex: 1; accent-color: var(--st-primary-color); }
    input[type=color] { flex: none; width: 2.5rem; height: 1.6rem; padding: 0; border: 0; background: none; }""",
    js=_IMAGE + """
    // What is drawn outlives the pad: Streamlit takes it away when one looks at another page.
    const pads = window.__apprenticePads ||= { strokes: {}, settings: {}, number: 0 };
    const THROTTLE = 200, PATIENCE = 3000;  // milliseconds

    export default function ({ parentElement, data, setStateValue }) {
      const { size, channels, base } = data;
      const find = name => parentElement.querySelector(name);
      const canvas = find('canvas'), pen = canvas.getContext('2d', { willReadFrequently: true });
      const strokes = pads.strokes[base] ||= [];
      const here = canvas.__pad ||= {};  // outlives a new call of this function, which comes with every answer
      const cells = Math.max(1, Math.round(280 / size)), side = cells * size;

      const paint = () => {
        pen.imageSmoothingEnabled = false;
        pen.drawImage(here.below, 0, 0, side, side);
        pen.lineCap = pen.lineJoin = 'round';
        for (const { width, colour, points } of strokes) {
          pen.lineWidth = width * side;
          pen.strokeStyle = colour;
          pen.beginPath();
          points.forEach(([x, y], i) => pen[i ? 'lineTo' : 'moveTo'](x * side, y * side));
          if (points.length === 1) pen.lineTo(points[0][0] * side + 0.01, points[0][1] * side);
          pen.stroke();
        }
        find('[name=undo]').disabled = find('[name=clear]').disabled = !strokes.length;
        find('p').hidden = strokes.length || !data.empty;
      };
      const pixels = () => {  // the mean of each pixel's cells, channel by channel
        const seen = pen.getImageData(0, 0, side, side).data;
        let bytes = '';
        for (let c = 0; c < channels; c++)
          for (let y = 0; y < size; y++)
            for (let x = 0; x < size; x++) {
              let sum = 0;
              for (let v = y * cells; v < (y + 1) * cells; v++)
                for (let u = x * cells; u < (x + 1) * cells; u++) sum += seen[4 * (v * side + u) + c];
              bytes += String.fromCharCode(Math.round(sum / (cells * cells)));
            }
        return btoa(bytes);
      };

      // One drawing is on its way at a time; what changes meanwhile follows when it is answered.
      const send = () => {
        here.timer = 0;
        here.changed = false;
        here.waits = true;
        here.sent = performance.now();
        setStateValue('drawn', { number: ++pads.number, base, pixels: strokes.length ? pixels() : '' });
        clearTimeout(here.patience);
        here.patience = setTimeout(() => pads.answered(pads.number), PATIENCE);
      };
      const soon = () => {
        if (here.changed && !here.waits && !here.timer)
          here.timer = setTimeout(() => here.send(), Math.max(0, here.sent + THROTTLE - performance.now()));
      };
      const changed = () => {
        here.changed = true;
        paint();
        soon();
      };
      here.send = send;
      here.sent ??= -THROTTLE;
      pads.answered = number => {
        if (number === pads.number) here.waits = false;
        soon();
      };

      const inputs = ['width', channels === 1 ? 'grey' : 'colour'].map(name => find(`[name=${name}]`));
      find('[name=grey]').parentElement.hidden = channels !== 1;
      find('[name=colour]').parentElement.hidden = channels === 1;
      for (const input of inputs) {
        input.value = pads.settings[input.name] ?? input.value;
        input.oninput = () => { pads.settings[input.name] = input.value; };
      }
      const colour = () => channels === 1 ? `rgb(${Array(3).fill(inputs[1].value)})` : inputs[1].value;
      const place = e => [e.offsetX / canvas.clientWidth, e.offsetY / canvas.clientHeight];
      canvas.onpointerdown = e => {
        if (e.button) return;
        canvas.setPointerCapture(e.pointerId);
        here.stroke = { width: inputs[0].value / 100, colour: colour(), points: [place(e)] };
        strokes.push(here.stroke);
        changed();
      };
      canvas.onpointermove = e => {
        if (!here.stroke) return;
        const between = e.getCoalescedEvents?.() ?? [];
        here.stroke.points.push(...(between.length ? between : [e]).map(place));
        changed();
      };
      canvas.onpointerup = canvas.onpointercancel = () => { here.stroke = null; };
      const undo = () => { if (strokes.pop()) changed(); };
      find('[name=undo]').onclick = undo;
      find('[name=clear]').onclick = () => { strokes.length = 0; changed(); };
      canvas.onkeydown = e => { if ((e.ctrlKey || e.metaKey) && e.key === 'z') { e.preventDefault(); undo(); } };

      canvas.setAttribute('aria-label', data.description);
      if (canvas.width !== side) canvas.width = canvas.height = side;
      if (here.base !== base || here.image !== data.image) {
        const below = imageOf(data, document.createElement('canvas'));
        Object.assign(here, { base, image: data.image, below, stroke: null });
        paint();
        if (strokes.length) changed();
      }
    }
    """,
)
_SEEN = st.components.v2.component(
    "apprentice_pad_seen",
    html="""<canvas role="img" aria-label="The image as the networks see it"></canvas>""",
    css="canvas { width: 140px; image-rendering: pixelated; border-radius: var(--st-base-radius); }",
    js=_IMAGE + """
    export default function ({ parentElement, data }) {
      imageOf(data, parentElement.querySelector('canvas'));
      window.__apprenticePads?.answered?.(data.number);
    }
    """)


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
