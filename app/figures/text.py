"""Words and numbers as charts and pages show them."""

from __future__ import annotations

from functools import partial
from html import escape as escaped
from textwrap import wrap

import plotly.graph_objects as go

PARTS = " · "  # stands between the parts of a run's name
escape = partial(escaped, quote=False)  # Plotly shows an escaped quote as it is written


def write(figure: go.Figure, *notes: dict) -> None:
    """Add annotations, all at once: plotly's own way takes longer for each one that is there already."""
    figure.layout.annotations += tuple({"showarrow": False, **note} for note in notes)


def heads(names: list[str], letters: int, most: int = 3) -> list[str]:
    """Names as heads of columns or rows, escaped: at most so many lines of about so many letters.

    Of a name with parts, such as a method and a seed, each part begins a line, and those behind the first that all of
    these names have are left out. What a first part has more than there is room for is cut off, as far as that tells
    the heads apart.
    """
    parts = [name.split(PARTS) for name in names]
    several = [set(others) for _, *others in parts if others]
    shared = set.intersection(*several) if len(several) > 1 else set()
    parts = [[first, *(part for part in others if part not in shared)] for first, *others in parts]
    for lines in range(most, max(map(len, names), default=0) + most):
        found = ["<br>".join(map(escape, _head(of_name, letters, lines))) for of_name in parts]
        if len(set(found)) == len(set(names)):
            return found
    return [escape(name) for name in names]


def _head(parts: list[str], letters: int, most: int) -> list[str]:
    first, *others = (wrap(part, letters, break_long_words=False) for part in parts)
    others = [line for lines in others for line in lines]
    room = max(1, most - len(others))
    return [*(first if len(first) <= room else [*first[: room - 1], first[room - 1].rstrip(",") + "…"]), *others]


def number(value: float) -> str:
    """A number with three digits, or all that stand before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def markdown(text: str) -> str:
    """Text as Markdown that shows it as written, whatever a user put into it."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]()<>#+-.!|$~:&" else letter for letter in text)
