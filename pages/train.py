"""Train: set up an experiment, see what it costs, start it."""

import streamlit as st

from app import engine, figures, planning
from app.components.absent import or_say_why
from app.components.experiment_form import budget_form, data_form, methods_form, pair_form
from app.components.folded import folded
from app.components.forms import KEPT
from app.components.search_form import search_form
from app.components.vary import vary_form
from app.navigation import go_to
from kdcore.settings import DEMONSTRATION

st.title("Train")
st.markdown("Choose a pair of networks and what the teacher hands over. Labels alone are always trained beside your "
            "choice, on the same images for the same steps, so that every gain is measured.")
if engine.settings().read_only:
    st.info(DEMONSTRATION, icon=":material/visibility:")
    st.stop()
catalogue = engine.catalogue()

st.subheader("Images")
entry, data = data_form(catalogue)
st.subheader("Networks")
teacher, network = pair_form(catalogue, entry, data)
st.subheader("What is handed over")
methods = methods_form(catalogue, {"data": data, "network": network, "teacher": teacher})
st.subheader("Budget")
budget = budget_form(catalogue, entry, data["name"])

grid = st.container()

name = st.text_input("Name", placeholder="A name for this experiment (optional)", max_chars=120, **KEPT,
                     key="name")
if methods is None:
    st.error("The method that is being composed is not possible yet, and its box says why. Mend it, or put it away.")
    st.stop()
run = {**budget["run"], "data": data, "network": network, "teacher": teacher}
with grid:
    vary = vary_form(catalogue, methods, run)
    wanted = search_form(catalogue, methods)
experiment = {"name": name, "run": run, "methods": methods, "seeds": budget["seeds"], "vary": vary}
again = st.session_state.get("again", False)
with or_say_why():
    if wanted:
        values = engine.ask("search_values", content={**wanted, "run": run})
        experiment |= {"methods": [wanted["method"]], "vary": {wanted["path"]: values}}
    with st.spinner("Measuring a few steps, to tell what this costs…"):
        planned = planning.plan(experiment)
        cost = planning.cost(experiment, planned, again)

if box := folded("What each run minimises", "minimises"):
    for title, formula in planned["formulas"].items():
        box.markdown(f"**{figures.markdown(title)}**")
        box.latex(formula, width="content")
if cost["found"] or again:
    st.toggle("Train again what is there already", key="again", help="Runs of the same settings and seed are found "
              "again, with their curves and maps; only what is missing is trained.")
start, words = st.columns([1, 3], vertical_alignment="center")
words.markdown(planning.in_words(cost))
if cost["bytes"] > engine.free_disk():
    st.error("There is not enough room on the disk for this; lower the seeds, or set KD_STORE to another folder.")
elif start.button("Start", type="primary", icon=":material/play_arrow:", width="stretch"):
    go_to("runs", planning.search(wanted, run, budget["seeds"], name) if wanted else planning.submit(planned, again))
