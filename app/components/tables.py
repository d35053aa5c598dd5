"""Columns that several tables have, each with what its number is."""

from __future__ import annotations

import streamlit as st

number = st.column_config.NumberColumn
SEEDS = number("Seeds", width=52)
ERROR = number("±", width=45, format="%.1f", help="Standard error of the mean.")
OUTCOME = {  # of a group of runs, as `results.in_percent` has it
    "accuracy": number("Accuracy", width=74, format="%.1f %%", help="Mean over the seeds of the accuracy on the test "
                       "images at the last step."),
    "accuracy_error": ERROR,
    "gain": number("Gain", width=60, format="%+.1f", help="Points over labels alone under the same settings, paired by "
                   "seed."),
    "gain_error": number("± ", width=45, format="%.1f", help="Standard error of the gain."),
    "seeds": SEEDS}
