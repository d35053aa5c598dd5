"""Boxes whose content is drawn when it is looked at: a browser takes a while for what nobody sees, too."""

from __future__ import annotations

from typing import Any

import streamlit as st

_OPENED = "opened"


def folded(label: str, key: str, **how: Any):
    """An expander whose content is to be drawn, or None until it is opened for the first time.

    Who asks for settings in it has their defaults until then; whatever was chosen in it stays, open or closed.
    """
    box = st.expander(label, key=f"box.{key}", on_change="rerun", **how)
    opened = st.session_state.setdefault(_OPENED, set())
    if box.open:
        opened.add(key)
    return box if key in opened else None
