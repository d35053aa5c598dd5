"""Papers: each table of the five papers beside what was measured here, and the runs that are missing."""

import streamlit as st

from app import engine, figures, papers
from app.components.absent import or_say_why
from app.components.paper_cell import cell_opened, take_report, what_was_found
from app.components.paper_fill import fill, follow
from app.components.paper_table import paper_table
from kdcore.papers import BUDGETS, TABLES

st.title("Papers")
st.markdown("Does it hold, here, on your budget? Every table of the five papers, with what was measured on this "
            "machine under each published figure.")
name = st.selectbox("Table", list(TABLES), format_func=lambda name: f"{TABLES[name].paper}, {TABLES[name].title}",
                    key="table", bind="query-params", help="All tables, by paper.")
table, title = TABLES[name], engine.catalogue()["data"][TABLES[name].data]["title"]
with st.container(horizontal=True, vertical_alignment="bottom"):
    budget = st.segmented_control("Budget", list(BUDGETS), default="quick", required=True, key="budget",
                                  bind="query-params", help="How much of the paper's setting is spent: "
                                  + " ".join(f"*{name}*: {words}" for name, words in BUDGETS.items()))
    images = st.text_input(f"Images in place of {title}", key="images", bind="query-params", width=320,
                           placeholder="none", help="A folder or zip file of class folders; a relative path starts in "
                           "the data folder. Empty: the paper's own set.") or None
st.markdown(f"**The paper:** {figures.markdown(table.claim)}  \n**Here:** {table.budgets[budget].note}; "
            f"{table.budgets[budget].seeds} seed{'s' * (table.budgets[budget].seeds > 1)}.")
with or_say_why(), st.spinner("Looking for what is there…"):
    made = papers.outline(name, budget, images)
    before = papers.committed(name, budget, images)
    cells = papers.measured(name, made, before)
if all(one["reason"] for one in made):
    st.info(figures.markdown(made[0]["reason"]) + " Or give images in place of them, above." * (not images),
            icon=":material/folder_open:")
chosen = paper_table(cells, f"cells.{name}.{budget}")
report = papers.whole(name, budget, images, cells)
what_was_found(report, before)
if not chosen:  # whose own curves follow it
    follow(made, cells)
for why, runs in papers.failed(name, budget, images, made).items():
    st.error(figures.markdown(f"Failed: {'; '.join(runs)}. {why}"), icon=":material/error:")
if any(not one["reason"] for one in made):
    fill(name, budget, images, cells)
if chosen:
    cell_opened(cells, chosen, table.columns)
take_report(report)
