"""Compare: groups of runs against each other, in what they reach, what it costs, what they know, how sure they are."""

import streamlit as st

from app.components.comparison import compared_runs, group_picker, outcomes, over_training, settings
from app.components.comparison_answers import calibration, classes, noise
from app.components.comparison_costs import costs
from app.components.comparison_knowledge import knowledge
from app.components.take import take_runs

VIEWS = {"Results": outcomes, "Over training": over_training, "Costs": costs, "Knowledge": knowledge, "Noise": noise,
         "Calibration": calibration, "Classes": classes, "Settings": settings}

st.title("Compare")
st.markdown("Methods and settings side by side, as means over seeds with their spread: what they reach, what it costs, "
            "and what of their teachers they have learnt.")
runs = compared_runs()
groups = group_picker(runs)
view = st.segmented_control("View", list(VIEWS), default="Results", required=True, key="view", bind="query-params",
                            help="What of the groups is compared.")
VIEWS[view](groups, runs)
take_runs([st.session_state["experiment"], *st.session_state["with"]])
