"""What groups of runs reach, against what their networks cost."""

from __future__ import annotations

import streamlit as st

from app import comparison, engine, figures, results
from app.comparison import Group
from app.components.chart import chart

COSTS = {  # what each is, and the settings that it depends on
    "labels": ("Labels", "training images with a label", "data."),
    "parameters": ("Parameters", "parameters of the network", "network."),
    "operations": ("Operations", "multiply-add operations for one image", "network."),
    "one": ("Time, one image", "milliseconds for an image that comes alone", "network."),
    "batch": ("Time, 64 at once", "milliseconds for an image among 64", "network.")}
BATCHES = {"one": 1, "batch": 64}


def costs(groups: list[Group], runs: list[dict]) -> None:
    """The accuracy of each group against labels, parameters, operations or time."""
    by = st.segmented_control("Against", list(COSTS), default="labels", required=True, key="cost", bind="query-params",
                              format_func=lambda cost: COSTS[cost][0], help="Operations are those of convolutions and "
                              "matrix products, a multiplication and its addition counted as one.")
    _, words, place = COSTS[by]
    firsts = [group.runs[0] for group in groups]
    teachers = engine.store().runs(ids=list({run["teacher"] for run in firsts if run["teacher"]}))
    with st.spinner("Counting and timing the networks…"):
        found = dict(zip((run["id"] for run in (*firsts, *teachers)), engine.answer(
            "costs", runs=[run["id"] for run in (*firsts, *teachers)])))
    at = {run: entry["milliseconds"] and entry["milliseconds"][BATCHES[by]] if by in BATCHES else entry[by]
          for run, entry in found.items()}
    for reason in dict.fromkeys(entry["reason"] for run, entry in found.items() if entry["reason"] and at[run] is None):
        st.info(figures.markdown(reason), icon=":material/block:")
    drawn = _families([group for group in groups if at[group.runs[0]["id"]]], runs, place, at)
    if not drawn:
        return
    chart(figures.spots([*drawn, *_teachers(teachers, at)], title="accuracy on the test images", across=words), "spots",
          f"The accuracy of each group against {words}")
    st.caption("Mean accuracy over the seeds at the last step, ± one standard error; groups that differ in nothing "
               "else are joined, and points at one place set a little apart."
               + (" The median of some batches, measured here: on one thread of this server's processor, whatever "
                  "trained them." if by in BATCHES else ""))


def _families(groups: list[Group], runs: list[dict], place: str, at: dict[int, float]) -> list[dict]:
    came, drawn = results.by_method(runs), []
    for name, members in comparison.families(groups, runs, place).items():
        members = sorted(members, key=lambda group: at[group.runs[0]["id"]])
        accuracy = [came[group.words]["accuracy"] for group in members]
        drawn.append({"name": name, **members[0].look, "x": [at[group.runs[0]["id"]] for group in members],
                      "y": [mean for mean, *_ in accuracy], "error": [error for _, error, _ in accuracy],
                      "notes": [group.name for group in members]})
    return drawn


def _teachers(teachers: list[dict], at: dict[int, float]) -> list[dict]:
    last = {run: found["last"] for run, found in engine.store().summary([run["id"] for run in teachers]).items()}
    return [{"name": "Teacher" if len(teachers) == 1 else run["name"], **figures.TEACHER_LOOK,
             "x": [at[run["id"]]], "y": [last[run["id"]]], "error": [None],
             "notes": [run["name"]]} for run in teachers if at[run["id"]] and run["id"] in last]
