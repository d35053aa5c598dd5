"""The pages, by section and in the order of the menu."""

from pathlib import Path

import streamlit as st

FOLDER = Path(__file__).resolve().parent.parent / "pages"
SECTIONS = {
    "": {
        "start": ("Start", ":material/rocket_launch:"),
        "train": ("Train", ":material/school:"),
        "runs": ("Runs", ":material/monitoring:"),
        "compare": ("Compare", ":material/balance:"),
        "queue": ("Queue", ":material/format_list_numbered:")},
    "What they know": {
        "side": ("Side by side", ":material/view_column:"),
        "sensitivity": ("Sensitivity maps", ":material/visibility:"),
        "attention": ("Attention maps", ":material/center_focus_strong:"),
        "flow": ("FSP matrices", ":material/grid_view:"),
        "agreement": ("Activation agreement", ":material/toggle_on:"),
        "disagreements": ("Disagreements", ":material/compare:")},
    "Play": {
        "try": ("Try it", ":material/draw:"),
        "noise": ("Noise and slope", ":material/airwave:")},
    "Background": {
        "papers": ("Papers", ":material/article:"),
        "data": ("Data", ":material/photo_library:"),
        "methods": ("Methods", ":material/menu_book:")},
}


def sections() -> dict[str, list]:
    """The pages by section; made anew for each drawing, since a page can only be run by one session at a time."""
    return {section: [_page(name, *shown) for name, shown in named.items()] for section, named in SECTIONS.items()}


def pages() -> dict:
    """The pages by name."""
    return {name: _page(name, *shown) for named in SECTIONS.values() for name, shown in named.items()}


def _page(name: str, title: str, icon: str):
    return st.Page(FOLDER / f"{name}.py", title=title, icon=icon, url_path=name, default=name == "start")


def arrive(page) -> None:
    """What plays on a page stops when it is left."""
    if st.session_state.get("page") != page.url_path:
        for key in [key for key in st.session_state if str(key).endswith(".playing")]:
            del st.session_state[key]
    st.session_state["page"] = page.url_path


def go_to(name: str, experiment: str) -> None:
    """Open a page on an experiment, whatever the page showed before."""
    st.session_state["experiment"] = experiment
    st.switch_page(pages()[name], query_params={"experiment": experiment})
