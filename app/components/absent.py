"""Why a network has nothing to show."""

from __future__ import annotations

import streamlit as st

from app import figures


def why_absent(names: list[str], entries: list[dict]) -> None:
    """Say it of the inspector's entries that have a reason, by the networks' names."""
    for name, entry in zip(names, entries):
        if entry["reason"]:
            st.info(f"{figures.markdown(name)}: {figures.markdown(entry['reason'])}", icon=":material/block:")
