"""Train: set up an experiment, see what it costs, start it."""

import streamlit as st

from app import engine, figures, results
from app.components.experiment_form import budget_form, data_form, methods_form, pair_form
from app.components.forms import KEPT
from app.navigation import go_to

st.title("Train")
st.markdown("Choose a pair of networks and what the teacher hands over. Labels alone are always trained beside your "
            "choice, on the same images for the same steps, so that every gain is measured.")
catalogue = engine.catalogue()

st.subheader("Images")
entry, data = data_form(catalogue)
st.subheader("Networks")
teacher, network = pair_form(catalogue, entry, data)
st.subheader("What is handed over")
methods = methods_form(catalogue, {"data": data, "network": network, "teacher": teacher})
st.subheader("Budget")
budget = budget_form(catalogue, entry, data["name"])

name = st.text_input("Name", placeholder="A name for this experiment (optional)", max_chars=120, **KEPT,
                     key="name")
if methods is None:
    st.error("The method that is being composed is not possible yet, and its box says why. Mend it, or put it away.")
    st.stop()
experiment = {"name": name,
              "run": {**budget["run"], "data": data, "network": network, "teacher": teacher},
              "methods": methods, "seeds": budget["seeds"]}
try:
    with st.spinner("Measuring a few steps, to tell what this costs…"):
        planned = engine.plan(experiment)
        cost = engine.cost(experiment, planned)
except engine.UserError as error:
    st.error(figures.markdown(str(error)))
    st.stop()

with st.expander("What each run minimises"):
    for title, formula in planned["formulas"].items():
        st.markdown(f"**{figures.markdown(title)}**")
        st.latex(formula, width="content")
start, words = st.columns([1, 3], vertical_alignment="center")
words.markdown(f"**{cost['runs']} run{'s' * (cost['runs'] > 1)}**, about **{results.duration(cost['seconds'])}** on "
               f"this machine ({cost['slots']} at a time), and {cost['bytes'] / 1e6:.0f} MB of disk. {cost['teacher']}")
if cost["bytes"] > engine.free_disk():
    st.error("There is not enough room on the disk for this; lower the seeds, or set KD_STORE to another folder.")
elif start.button("Start", type="primary", icon=":material/play_arrow:", width="stretch"):
    go_to("runs", engine.submit(planned))
