"""Runs: live curves, results, and what is running, waiting or failed."""

import streamlit as st

from app import engine, figures, results
from app.components.exchange import import_form
from app.components.live import live_curves
from app.components.manage import manage
from app.components.notes import note_shown
from app.components.pickers import experiment_picker, settings_picker
from app.components.search_form import search_result
from app.components.verdict import verdict
from kdcore.store import ENDED

st.title("Runs")
st.markdown("How each student does while it trains, against the same student with labels alone.")
experiment = experiment_picker()
note_shown(engine.store().experiment(experiment))
runs = engine.store().runs(experiment)
students = results.students(runs) or runs[::-1]
shown = settings_picker(students)
ids = [run["id"] for run in shown]

names = results.metrics(ids)
left, right = st.columns([3, 1], vertical_alignment="bottom")
metric = left.selectbox("Curve", list(names), format_func=names.get, key="metric", bind="query-params",
                        help="Accuracy and losses; every term before its weight; and the distance to the teacher in "
                        "every kind of knowledge, whatever the run trains on.")
logarithmic = right.toggle("Logarithmic", key="log", bind="query-params", disabled=metric == "accuracy")
live_curves(ids, metric, "curves", title=names[metric], logarithmic=logarithmic and metric != "accuracy",
            table=True, among=[run["id"] for run in students])

for run in runs:
    if run["state"] == "failed":
        st.error(f"**{figures.markdown(run['name'])}** failed: {figures.markdown(run['message'])}")
if engine.store().experiment(experiment)["content"].get("search"):
    search_result(experiment, shown)
elif all(run["state"] in ENDED for run in runs):
    verdict(shown)
manage(runs, experiment)
import_form()
