"""What a paper's table came to, and one cell of it opened: its runs, their curves, the way to their maps."""

from __future__ import annotations

import json
from shlex import quote

import streamlit as st

from app import engine, figures, results
from app.components.live import live_curves
from app.components.paper_table import MARKS
from app.navigation import go_to
from kdcore.papers.report import (
    AS_THERE,
    LEVEL,
    OTHERWISE,
    ended,
    file,
    found,
    in_words,
    markdown,
    printed,
    said,
    units,
)


def what_was_found(report: dict, before: dict | None) -> None:
    """The table in words: how to read it, how many directions are as published, and whether the order is; `before` is
    this project's own report.
    """
    st.caption(f"In each cell the published figure ({figures.markdown(units(report))}), with * where the paper calls "
               "it significant, and under it what was measured: mean ± standard error (seeds). Ahead of its baseline, "
               f"or behind: {MARKS[AS_THERE]} as published (blue), {MARKS[OTHERWISE]} the other way (orange), "
               f"{MARKS[LEVEL]} level; in strong colour where the seeds make it clear (Student's t, 95 %); no mark "
               f"where the paper calls it not significant. {figures.markdown(report['images'])}")
    if any(one["mean"] is not None for one in report["cells"]):
        st.markdown(_in_words(report))
    if before:
        st.markdown("*By this project, in italics where nothing was measured here:* " + _in_words(before)
                    + f" {figures.markdown(before['images'])}")


def _in_words(report: dict) -> str:
    told = [f"{figures.markdown(line['line'])} **{line['tau']:.2f}** ({len(line['published'])})"
            for line in report["orders"] if line["tau"] is not None]
    order = f" Order, by Kendall's τ (cells): {'; '.join(told)}. 1 is the published order, −1 the reverse." * bool(told)
    return f"{said(report)} Budget *{report['budget']}*. {ended(report)}{order}"


def cell_opened(cells: list[dict], place: tuple[str, str], columns: bool) -> None:
    """The runs of a cell and of its baseline: their curves, and links to their maps."""
    one = next((cell for cell in cells if (cell["row"], cell["column"]) == place), None)
    if not one:
        return
    st.subheader(" · ".join(filter(None, place)))
    beside = (place[0], one["against"]) if columns else (one["against"], place[1])
    baseline = next((cell for cell in cells if (cell["row"], cell["column"]) == beside), None)
    st.markdown(f"{one['unit'].capitalize()}: published **{figures.markdown(printed(one)) or 'nothing'}**, measured "
                + _pointing(f"**{found(one) or 'nothing yet'}**", one) + "."
                + (" By this project: " + _pointing(f"*{found(before)}*", before) + "."
                   if (before := one["before"]) and before["mean"] is not None else "")
                + (f" {figures.markdown(one['reason'])}" if one["reason"] else ""))
    for again in one["again"]:
        st.markdown(f"Tried again by this project with {figures.markdown(again['change'])}: *{found(again['own'])}*, "
                    f"beside *{found(again['baseline'])}* of {figures.markdown(one['against'])}; the gain on the same "
                    f"seeds is *{found(again['gain'])}*.")
    ids = [*(baseline["networks"] if baseline else []), *one["networks"]]
    if not ids:
        st.caption("No run of it is there yet.")
        return
    metric = one["metric"] if one["metric"] in engine.store().metric_names(ids) else "accuracy"
    live_curves(ids, metric, f"paper.{place}", title=results.metrics(ids).get(metric, metric))
    experiment = engine.store().run((one["runs"] or baseline["runs"])[0])["experiment"]
    with st.container(horizontal=True):
        for page, words, icon in (("runs", "These runs", ":material/monitoring:"),
                                  ("side", "Their maps, side by side", ":material/view_column:"),
                                  ("compare", "Compare", ":material/balance:")):
            if st.button(words, icon=icon, key=f"paper.to.{page}"):
                go_to(page, experiment)


def _pointing(figure: str, one: dict) -> str:
    """A figure, and which way it points."""
    return ", ".join(filter(None, (figure, in_words(one))))


def take_report(report: dict) -> None:
    """The table to take away, as Markdown and as JSON, and the line that fills it from a shell."""
    with st.popover("Report and command", icon=":material/download:"):
        name = file(report["table"], report["budget"], report["path"])
        with st.container(horizontal=True):
            st.download_button("Markdown", markdown(report), f"{name}.md", on_click="ignore",
                               icon=":material/download:")
            st.download_button("JSON", json.dumps(report, ensure_ascii=False, indent=1), f"{name}.json",
                               on_click="ignore", icon=":material/download:")
        st.markdown("From a shell, in the repository's folder:")
        images = f" --images {quote(report['path'])}" if report["path"] else ""
        st.code(f"python -m kdcore reproduce {report['table']} --budget {report['budget']}{images}", language="shell")
