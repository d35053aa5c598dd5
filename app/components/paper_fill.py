"""The runs that a paper's table lacks: what they cost, their start, and how they come along."""

from __future__ import annotations

import streamlit as st

from app import engine, figures, papers, planning
from app.components.folded import folded
from kdcore.papers.report import experiment
from kdcore.settings import DEMONSTRATION

POLL_SECONDS = 2.0


def follow(made: list[dict], cells: list[dict]) -> None:
    """While runs of the table wait or train, say how many; when one ends the page is drawn anew."""
    if not any(one["running"] for one in cells):
        return
    hashes = {hash for one in made for hash in one["hashes"]}
    began = _states(hashes)

    @st.fragment(run_every=POLL_SECONDS)
    def draw() -> None:
        now = _states(hashes)
        if not now["there"]:  # all were stopped, or failed
            st.rerun()
        st.progress(now["done"] / now["there"], f"{now['running']} running, {now['queued']} waiting, {now['done']} of "
                                                f"{now['there']} done. **Runs** and **Queue** show them.")
        if now["done"] != began["done"] or now["there"] != began["there"]:
            st.rerun()

    draw()


def _states(hashes: set[str]) -> dict[str, int]:
    states = [row["state"] for row in map(papers.find, hashes) if row]
    return {"there": len(states), **{state: states.count(state) for state in ("running", "queued", "done")}}


def fill(name: str, budget: str, images: str | None, cells: list[dict]) -> None:
    """Choose columns and rows, see what their missing runs cost, and queue them."""
    lacking = [one for one in cells if one["missing"] and not one["reason"]]
    if not lacking:
        st.caption("All cells that can be made here are there.")
        return
    if engine.settings().read_only:
        st.caption(DEMONSTRATION)
        return
    box = folded("Fill what is missing", f"fill.{name}.{budget}", icon=":material/playlist_add:")
    if not box:
        return
    with box:
        chosen = {what: _choice(what, [one[what] for one in lacking]) for what in ("column", "row")}
        try:
            with st.spinner("Measuring a few steps, to tell what this costs…"):
                runs = papers.missing(name, budget, images, chosen["column"], chosen["row"])
                planning.may_fill(runs)
                cost = papers.cost(runs)
        except engine.UserError as error:
            st.error(figures.markdown(str(error)))
            return
        start, words = st.columns([1, 3], vertical_alignment="center")
        words.markdown(planning.in_words(cost))
        if cost["bytes"] > engine.free_disk():
            st.error("There is not enough room on the disk for this; choose fewer columns or rows.")
        elif start.button("Start", type="primary", icon=":material/play_arrow:", width="stretch",
                          disabled=cost["found"] == cost["runs"]):
            planning.fill(runs, experiment(name, budget, images))
            st.rerun()


def _choice(what: str, labels: list[str]) -> list[str]:
    """Some of the columns or rows, all where there is one or none is chosen."""
    options = list(dict.fromkeys(labels))
    if len(options) == 1:
        return []
    return st.pills(f"{what.capitalize()}s", options, selection_mode="multi", key=f"fill.{what}",
                    help="None chosen: all of them.")
