"""A formula beside the functions that compute it."""

import streamlit as st

from app import engine
from app.components.folded import folded


@st.fragment
def formula(kind: str) -> None:
    """The formula of a term, with its paper, and the code that computes it, to be unfolded."""
    if box := folded("The formula, and the code that computes it", f"formula.{kind}", icon=":material/function:"):
        with box:
            formula_of(engine.catalogue()["terms"][kind])


def formula_of(term: dict) -> None:
    """The same, unfolded, of one term of the catalogue."""
    st.latex(term["formula"], width="content")
    st.caption(f"{term['paper']}{numbered(term['equation'])}. {term['sentence']} These functions compute it, for the "
               "loss and for the picture:")
    st.code(term["source"], language="python")


def numbered(equations: str) -> str:
    """Behind a paper, its equations."""
    return f", eq. {equations}".replace("eq. Prop", "Prop") if equations else ""
