"""A Plotly chart that takes new data without flicker and keeps zoom and hidden lines."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go
import streamlit as st

_HERE = Path(__file__).parent
_LIBRARY = (_HERE / "plotly.js").read_text()
fetch_library = st.components.v2.component(
    "apprentice_library", html="<div></div>", js=_LIBRARY + "export default () => { plotly(); }")
_CHART = st.components.v2.component(
    "apprentice_chart", html="<div class='apprentice-chart' role='img' tabindex='0'></div>", isolate_styles=False,
    css=(_HERE / "chart.css").read_text(), js=_LIBRARY + (_HERE / "chart.js").read_text())


def chart(figure: go.Figure, key: str, description: str) -> None:
    """Show a figure from `app.figures`; `description` is its alternative text. Its layout has a constant uirevision.

    It is saved as PNG and SVG and enlarged from its tool bar; a click enlarges one tile of a picture.
    """
    chart_of(figure.to_json(), key, description)


def chart_of(figure: str, key: str, description: str) -> None:
    """The same of a figure that is JSON already."""
    _CHART(key=key, data={"figure": figure, "description": description})
