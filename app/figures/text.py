"""Words and numbers as charts and pages show them."""

from __future__ import annotations

from functools import partial
from html import escape as escaped

import plotly.graph_objects as go

escape = partial(escaped, quote=False)  # Plotly shows an escaped quote as it is written


def write(figure: go.Figure, *notes: dict) -> None:
    """Add annotations, all at once: plotly's own way takes longer for each one that is there already."""
    figure.layout.annotations += tuple({"showarrow": False, **note} for note in notes)


def number(value: float) -> str:
    """A number with three digits, or all that stand before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def markdown(text: str) -> str:
    """Text as Markdown that shows it as written, whatever a user put into it."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]()<>#+-.!|$~:&" else letter for letter in text)
