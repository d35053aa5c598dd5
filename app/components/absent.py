"""Why there is nothing to show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from app import engine, figures


@contextmanager
def or_say_why() -> Iterator[None]:
    """Where the engine cannot answer, show its sentence, and end the page there."""
    try:
        yield
    except engine.UserError as error:
        st.error(figures.markdown(str(error)))
        st.stop()


def why_absent(names: list[str], entries: list[dict]) -> None:
    """Of the networks that have nothing to show, by their names, the inspector's reason, once for all that share it."""
    of: dict[str, list[str]] = {}
    for name, entry in zip(names, entries):
        if entry["reason"]:
            of.setdefault(entry["reason"], []).append(name)
    for reason, those in of.items():
        st.info(f"{figures.markdown(', '.join(those))}: {figures.markdown(reason)}", icon=":material/block:")
