"""The one picture of the Start page: what a teacher can hand over."""

import streamlit as st

_BOX = ("<g transform='translate({x},{y})'><rect width='{w}' height='64' rx='10' fill='none' stroke='currentColor' "
        "stroke-opacity='.35'/><text x='{m}' y='28' text-anchor='middle' font-weight='600'>{title}</text>"
        "<text x='{m}' y='48' text-anchor='middle' font-size='12' fill-opacity='.7'>{words}</text></g>")


def _box(x: int, y: int, w: int, title: str, words: str) -> str:
    return _BOX.format(x=x, y=y, w=w, m=w / 2, title=title, words=words)


def _arrow(x: int, y: int, to: int, label: str, colour: str) -> str:
    return (f"<line x1='{x}' y1='{y}' x2='{to - 7}' y2='{y}' stroke='{colour}' stroke-width='2.5'/>"
            f"<path d='M{to - 9} {y - 5} L{to} {y} L{to - 9} {y + 5} Z' fill='{colour}'/>"
            f"<text x='{(x + to) / 2}' y='{y - 8}' text-anchor='middle' font-size='12.5'>{label}</text>")


_PARTS = (
    _box(0, 58, 190, "Teacher", "large, saw many images"),
    _box(650, 58, 190, "Student", "small, saw ten images"),
    _arrow(200, 46, 640, "the labels: “this is a 7”", "#8A94A3"),
    _arrow(200, 92, 640, "soft targets: “a 7, though a bit like a 1”", "#0072B2"),
    _arrow(200, 138, 640, "full Jacobian, its sensitivity maps: “look here, and here”", "#E69F00"),
)
illustration = st.components.v2.component(
    "apprentice_illustration",
    html="<svg viewBox='-2 20 844 140' role='img' aria-label='A teacher hands a student labels, soft targets or "
         f"sensitivity maps' font-size='15'>{''.join(_PARTS)}</svg>",
    css="svg { width: 100%; max-width: 860px; height: auto; fill: currentColor; color: var(--st-text-color); "
        "font-family: var(--st-font); }")
