"""What the students of the small worlds minimise."""

from __future__ import annotations

import streamlit as st


def minimised(world: dict) -> None:
    """The formula of each student's loss, to be unfolded."""
    with st.expander("What each student minimises"):
        for student in world["students"]:
            st.markdown(f"**{student['title']}**")
            st.latex(student["formula"], width="content")
