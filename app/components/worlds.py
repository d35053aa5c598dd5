"""What both small worlds have: a step of their students' training, and what these minimise."""

from __future__ import annotations

import streamlit as st


def step_picker(world: dict) -> tuple[int, int]:
    """The chosen step of a world's snapshots, and which of them it is."""
    step = st.select_slider("Training step", world["steps"], world["steps"][-1], key="step", bind="query-params",
                            help="Snapshots lie close together early on, where most changes.")
    return step, world["steps"].index(step)


def minimised(world: dict) -> None:
    """The formula of each student's loss, to be unfolded."""
    with st.expander("What each student minimises"):
        for student in world["students"]:
            st.markdown(f"**{student['title']}**")
            st.latex(student["formula"], width="content")
