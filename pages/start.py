"""Start: what this is, and a demo that trains in front of the visitor."""

import random

import streamlit as st

from app import engine, planning, results
from app.components.chart import fetch_library
from app.components.exchange import example_button
from app.components.illustration import illustration
from app.components.live import live_curves
from app.components.verdict import explaining_maps, verdict
from app.navigation import go_to
from kdcore.store import ENDED

st.title("What does a student network learn from its teacher?")
st.markdown(
    "A large *teacher* network can hand a small *student* more than labels: its soft answers, or the places in an "
    "image that it looks at. Apprentice trains such pairs on your machine, with the methods of published papers. "
    "While they train, it shows you what each student took over.")
illustration(key="illustration")
fetch_library(key="library")  # while the visitor still reads

with st.container(horizontal=True):
    if st.button("Run the one-minute demo", type="primary", icon=":material/play_arrow:",
                 disabled=engine.settings().read_only):
        with st.spinner("Preparing…"):
            st.query_params["demo"] = planning.submit(engine.ask("demo", seed=random.randrange(1, 1000)))
    if example := example_button():
        go_to("side", example)
st.caption("Trains one teacher on 1297 handwritten digits, then three kinds of student on **ten** of them, one of each "
           "digit, with four different draws of the ten. Nothing is recorded beforehand, nothing is downloaded.")

demo = st.query_params.get("demo") or st.session_state.get("demo")
if not demo:
    last = next((name for name in engine.experiments() if name.startswith("Demo ")), None)
    if last and st.button("Show the last demo", icon=":material/history:"):
        st.session_state["demo"] = last
        st.rerun()
    st.stop()
st.query_params["demo"] = st.session_state["demo"] = demo
if demo not in engine.experiments():
    st.info("This demo is not in this store; it may have been deleted. Press the button for a new one.")
    st.stop()
students = results.students(engine.store().runs(demo))
live_curves([run["id"] for run in students], "accuracy", "demo-curves", title="accuracy on 500 test images")
if all(run["state"] in ENDED for run in students):
    verdict(students)
    explaining_maps(students, demo)
