"""A formula beside the functions that compute it."""

import streamlit as st

from app import engine


def formula(*kinds: str) -> None:
    """The formulas of terms, with their papers, and the code that computes them, to be unfolded."""
    with st.expander("The formula, and the code that computes it", icon=":material/function:"):
        for kind in kinds:
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
