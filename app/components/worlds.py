"""What the students of the small worlds minimise."""

from __future__ import annotations

import streamlit as st

from app.components.folded import folded


@st.fragment
def minimised(world: dict) -> None:
    """The formula of each student's loss, to be unfolded."""
    if box := folded("What each student minimises", "minimised"):
        for student in world["students"]:
            box.markdown(f"**{student['title']}**")
            box.latex(student["formula"], width="content")
