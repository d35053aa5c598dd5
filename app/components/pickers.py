"""Pickers whose choice lives in the link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app import engine, results
from app.components.exchange import example_button, import_form
from kdcore import grid


def experiment_picker() -> str:
    """The experiment that the page shows, the newest by default; stops the page where there is none."""
    names = engine.experiments()
    if not names:
        st.info("There is nothing to see yet. Run the one-minute demo on **Start**, set up a run on **Train**, or look "
                "at results that come with the app.", icon=":material/rocket_launch:")
        if example := example_button():
            st.session_state["experiment"] = example
            st.rerun()
        import_form()
        st.stop()
    asked = (st.session_state.get("experiment") or st.query_params.get("experiment")
             or st.session_state.get("looked at"))
    if asked and asked not in names:
        gone = st.session_state.pop("just deleted", None) == asked
        st.info("It is deleted; for a day, **Queue** has it back. This is the newest one." if gone else
                "The experiment of this link is not in this store; this is the newest one.", icon=":material/link_off:")
    place, names = _with_a_tag(names)
    # chosen rather than a default, so that the link names it
    st.session_state["experiment"] = st.session_state["looked at"] = asked if asked in names else names[0]
    return place.selectbox("Experiment", names, index=None, key="experiment", bind="query-params",
                           help="The runs that were started together.") or names[0]


def _with_a_tag(names: list[str]) -> tuple[Any, list[str]]:
    """Where to choose among experiments, and those with the chosen tag; all, where none is chosen or there is none."""
    tagged = {tag: found for tag, found in engine.store().tagged().items() if found.intersection(names)}
    if not tagged:
        return st, names
    place, beside = st.columns([3, 1])
    tag = beside.selectbox("Tag", list(tagged), None, key="tag", bind="query-params", placeholder="any",
                           help="Only experiments that have it, or a run with it; tags are written on Runs.")
    return place, [name for name in names if name in tagged.get(tag, names)]


def settings_picker(runs: list[dict]) -> list[dict]:
    """Of a grid's runs, those with the chosen values of what varies; all, where nothing is chosen or nothing does."""
    found = results.conditions(runs)
    values: dict[str, dict[str, Any]] = {}
    for told in found.values():
        for path, value in told.items():
            values.setdefault(path, {})[grid.told(value)] = value
    chosen = {}
    with st.container(horizontal=True):
        for path, options in values.items():
            chosen[path] = st.pills(grid.spelt(path).capitalize(), list(options), selection_mode="multi",
                                    key=f"show.{path}", help="None chosen: all of them.")
    return [run for run in runs if all(not some or path not in found[run["id"]]  # a weight of another method
                                       or grid.told(found[run["id"]][path]) in some for path, some in chosen.items())]


def trained(runs: list[dict]) -> list[dict]:
    """Runs that have weights to look at, students first; stops the page where there is none."""
    learners = [run for run in runs if run["role"] in ("student", "member")][::-1]
    found = [run for run in learners or runs if engine.store().snapshot_steps(run["id"])]
    if not found:
        st.info("No run of this experiment has weights to look at yet; they appear as soon as one trains. Until then, "
                "choose an earlier experiment.",
                icon=":material/hourglass_empty:")
        st.stop()
    return found


def student_picker(runs: list[dict]) -> tuple[list[dict], tuple[int, int] | None]:
    """Which students to show, one seed of each method by default, and their teacher as (run, last step)."""
    by_id = {run["id"]: run for run in runs}
    seed, experiment = min(run["seed"] for run in runs), runs[0]["experiment"]
    first = {run["title"]: run["id"] for run in reversed(runs) if run["seed"] == seed}  # one member of an ensemble
    default = [run["id"] for run in runs if run["id"] in first.values()]
    if st.session_state.get("students of", experiment) != experiment:
        st.session_state["students"] = default
    st.session_state["students of"] = experiment
    chosen = st.multiselect("Students", list(by_id), None if "students" in st.session_state else default,
                            format_func=lambda run: by_id[run]["name"], key="students", bind="query-params",
                            help="They are shown in this order, beside their teacher.")
    if not chosen:
        st.info("Choose at least one student.", icon=":material/visibility:")
        st.stop()
    teachers = {by_id[run]["teacher"] for run in chosen}
    if len(teachers) > 1:
        st.info("These students had different teachers, so there is no one map to compare with; choose students of one "
                "teacher.")
        st.stop()
    teacher = teachers.pop()
    return [by_id[run] for run in chosen], (teacher, results.last_step({"id": teacher})) if teacher else None


def map_picker(run: dict, places: Sequence | None = None) -> tuple[str, str, list[int] | str | None, bool]:
    """Which map: (kind, what its number is, rows of it or "label" or None for all, whether the image is beneath).

    The three controls stand in a row, or in `places`.
    """
    catalogue, classes = engine.catalogue(), results.image_set(run)["classes"]
    drawn = catalogue["maps"]
    titles = {**{kind: entry["title"] for kind, entry in drawn.items()}, **catalogue["attributions"]}
    which, of_class, under = places or st.columns([2, 2, 1.7], vertical_alignment="bottom")
    kind = which.selectbox("Map", list(titles), format_func=titles.get, key="map", bind="query-params",
                           help="The first are what the losses are made of; the others are attributions, which explain "
                           "the answer for the image's label.")
    several = kind in drawn and drawn[kind]["row_per_class"]
    options = ["the image's class", "all classes", *classes]
    choice = of_class.selectbox("Class", options, key="class", bind="query-params", disabled=not several,
                                help="One class's map, or a row of all." if several else
                                "There is one map of this kind for all classes.")
    rows = {"the image's class": "label", "all classes": None}.get(choice, [options.index(choice) - 2])
    number = drawn[kind]["number"] if kind in drawn else "distance"
    return kind, number, rows if several else None, under.toggle(
        "Image beneath", key="under", bind="query-params", help="The image is seen through the maps.")
