"""Long lists that go on when their end comes in sight: a browser takes more than a second to draw all of one."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_END = st.components.v2.component("apprentice_end", html="<div></div>", css="div { height: 1px }",
                                  js=(Path(__file__).parent / "scrolled.js").read_text())


def scrolled_to(key: str) -> bool:
    """Whether this place, the end of what is drawn, has come in sight on this visit of the page."""
    return bool(_END(key=f"end-{key}", on_seen_change=lambda: None).seen)
