"""Queue: what runs, what waits and in which order; the disk, and what was deleted."""

import streamlit as st

from app import engine, rights
from app.components.disk import deleted, disk
from app.components.line import line_controls, line_table

st.title("Queue")
st.markdown("What runs, what waits for a place, and in which order. It goes on when you close the browser.")
runs = engine.visible(engine.queue().line())
if runs:
    line_table()
    if rights.mine(runs):
        line_controls(rights.mine(runs))
else:
    others = len(engine.queue().line())
    st.info(f"None of yours runs or waits. {others} of others have or want a place." if others else
            "Nothing runs and nothing waits. Set up an experiment on **Train**.", icon=":material/done_all:")

if rights.deleted():
    st.subheader("Deleted")
    deleted()
st.subheader("Disk")
if st.toggle("Show what takes how much", key="disk", help="Curves and settings take little; snapshots of weights, "
             "from which the maps are made, take most."):
    disk()
