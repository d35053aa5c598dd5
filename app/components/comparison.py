"""Which groups of runs are compared; their results, curves and settings."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import comparison, engine, figures, results
from app.comparison import Group
from app.components import tables
from app.components.chart import chart
from app.components.pickers import experiment_picker
from kdcore import grid
from kdcore.comparison import smallest_p
from kdcore.store import ENDED

MOST = 12  # groups at a time
NAME, LETTERS = 225, 28  # pixels of a group's name in a table at the least, and what they hold
ROW = 66  # pixels: in lower rows nothing takes two lines


def compared_runs() -> list[dict]:
    """Students of the chosen experiments that are done, oldest first; stops the page where there is none."""
    left, right = st.columns(2)
    with left:
        experiment = experiment_picker()
    others = [name for name in engine.experiments() if name != experiment]
    also = right.multiselect("Together with", others, key="with", bind="query-params", disabled=not others,
                             placeholder="no other experiment", help="Further experiments, whose runs are compared "
                             "with these." if others else "There is no other experiment.")
    runs = {run["id"]: run for name in (experiment, *also) for run in engine.store().runs(name)}
    learners = results.students([*runs.values()]) or [*runs.values()]
    measured = engine.store().summary([run["id"] for run in learners if run["state"] == "done"])
    coming = sum(run["state"] not in ENDED for run in learners)
    if coming:
        st.caption(f":material/hourglass_empty: {coming} of {len(learners)} runs have not finished; they count as soon "
                   "as they have.")
    if not measured:
        st.info("No run here has finished with an accuracy yet. Wait for one on **Runs**, or choose another "
                "experiment.", icon=":material/hourglass_empty:")
        st.stop()
    return [run for run in learners if run["id"] in measured]


def group_picker(runs: list[dict]) -> list[Group]:
    """Which groups of the runs to show, the first twelve by default; stops the page where none is chosen."""
    names = list(comparison.named(runs))
    before = st.session_state.get("groups among", names)
    if before != names:  # what was chosen stays so, unless all was, or nothing of it is there any more
        kept = [name for name in st.session_state.get("groups", []) if name in names]
        st.session_state["groups"] = kept if kept and len(kept) < len(before) else names[:MOST]
    st.session_state["groups among"] = names
    chosen = st.multiselect("Groups", names, None if "groups" in st.session_state else names[:MOST], key="groups",
                            bind="query-params", max_selections=MOST, help="A group has one method and one setting, "
                            f"and a run for each seed. At most {MOST} at a time.")
    if len(chosen) < len(names):
        st.caption(f"{len(chosen)} of {len(names)} groups are shown.")
    if not chosen:
        st.info("Choose at least one group.", icon=":material/balance:")
        st.stop()
    return comparison.shown(runs, chosen)


def table(rows: list[dict], columns: dict) -> None:
    """Show a row for each group, by its "name", on which long ones take two lines so that all columns are in sight."""
    long = any(len(row["name"]) > LETTERS for row in rows)
    st.dataframe(rows, hide_index=True, placeholder="–", height="content", row_height=ROW if long else None,
                 column_config={"name": st.column_config.TextColumn("Group", width=NAME), **columns})


def outcomes(groups: list[Group], runs: list[dict]) -> None:
    """A row for each group, and what its test can say."""
    rows = comparison.outcomes(groups, runs)
    table([{"name": row["name"], "seeds": row["accuracy"][2], **results.in_percent(row), "p": row["p"],
            "holm": row["holm"]} for row in rows], {
        **tables.OUTCOME,
        "p": tables.number("p", width=55, format="%.3f", help="Wilcoxon's rank-sum test of the accuracies against "
                           "those of labels alone, two-sided: how often chance alone would put the two so far apart, "
                           "were they equal."),
        "holm": tables.number("p (Holm)", width=72, format="%.3f", help="Corrected for as many tests as there are "
                              "here.")})
    st.caption(_what_a_test_can_say([row for row in rows if row["p"] is not None]))


def _what_a_test_can_say(tested: list[dict]) -> str:
    if not tested:
        return "There is no test: it takes two seeds or more of a group, and of labels alone under the same settings."
    sizes = {(row["accuracy"][2], row["against"]) for row in tested}
    ours, theirs = min(sizes, key=lambda pair: smallest_p(*pair))
    least = smallest_p(ours, theirs)
    few = (f"With {ours} seeds against {theirs} the smallest p that there can be is {least:.2g}"
           + (", so that this test cannot call any difference significant at 5 %, however large it is; 4 against 4 "
              "come to 0.029, 5 against 5 to 0.008." if least > 0.05 else "."))
    many = (f" Where nothing differs, one test in twenty falls below 0.05 by chance, and here are {len(tested)}: "
            "Holm's column allows for that." * (len(tested) > 1))
    return f"Wilcoxon's rank-sum test against labels alone. {few}{many}"


def over_training(groups: list[Group], runs: list[dict]) -> None:
    """Any recorded metric over steps or seconds: mean over seeds, and a band."""
    names = results.metrics([run["id"] for group in groups for run in group.runs])
    left, middle, right = st.columns([3, 1.4, 1], vertical_alignment="bottom")
    metric = left.selectbox("Curve", list(names), format_func=names.get, key="metric", bind="query-params",
                            help="Accuracy and losses, every term before its weight, and the distance to the teacher "
                            "in every kind of knowledge.")
    against = middle.segmented_control("Against", ["steps", "seconds"], default="steps", required=True, key="against",
                                       bind="query-params", help="Seconds are spent in training steps, on the machine "
                                       "that trained.")
    percent = metric == "accuracy"
    logarithmic = right.toggle("Logarithmic", key="log", bind="query-params", disabled=percent) and not percent
    lines = comparison.curves(groups, metric, against == "seconds")
    if not lines:
        st.info(f"None of these groups recorded {figures.markdown(names[metric])}.", icon=":material/block:")
        return
    students = [run for group in groups for run in group.runs]
    chart(figures.bands(lines, title=names[metric], percent=percent, logarithmic=logarithmic,
                        across="training steps" if against == "steps" else "seconds of training",
                        level=results.teacher_level(students) if percent else None), "bands",
          f"{names[metric]} of each group against {against}, mean over seeds with a band of one standard error")
    absent = len(groups) - len(lines)
    st.caption("Mean over the seeds; the band is one standard error on either side, and where there is none, one seed "
               "counts."
               + " A step stands where the seeds were at on average when they came to it." * (against == "seconds")
               + f" {absent} of the groups did not record it." * bool(absent))


def settings(groups: list[Group], runs: list[dict]) -> None:
    """Only the settings in which the groups differ, a row for each."""
    told = grid.unlike([group.runs[0]["config"] for group in groups])
    paths = dict.fromkeys(path for one in told for path in one)
    if not paths:
        st.info("There is one group: nothing differs." if len(groups) == 1 else
                "These groups differ in nothing but their names.", icon=":material/balance:")
        return
    st.dataframe([{"setting": _spelt(path), **{
        group.name: _told(one[path]) if path in one else None for group, one in zip(groups, told)}}
        for path in paths], hide_index=True, placeholder="–", height="content",
        column_config={"setting": st.column_config.TextColumn("Setting", pinned=True)})
    st.caption(f"The {len(paths)} settings in which these groups are not alike; in all others, beside the seed, they "
               "are. A dash: it has no such thing.")


def _spelt(path: str) -> str:
    """A path as one reads it, with the term that a method's setting belongs to."""
    place, *inside = path.split(".")
    of_term = place == "method" and len(inside) == 2
    return f"{grid.spelt(path)} of {inside[0].replace('_', ' ')}" if of_term else grid.spelt(path)


def _told(value: Any) -> str:
    return ", ".join(map(_told, value)) if isinstance(value, (list, tuple)) else grid.told(value)
