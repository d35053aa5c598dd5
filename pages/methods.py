"""Methods: the catalogue, each entry with its paper, equation, formula and what is handed over."""

import re

import streamlit as st

from app import engine, figures, own_methods
from app.components.folded import folded
from app.components.formula import formula_of, numbered
from app.components.scrolled import scrolled_to

OWN, FEW = "Your own", 6
st.title("Methods")
st.markdown("What a teacher can hand over, as published. *N* images, *C* classes, *D* input values; *t* is the "
            "teacher, *s* the student, *y* the label, *z* are logits and *p* their softmax; *Tᵏ*, *Sᵏ* are the *k*-th "
            "pair of layers, *T* alone is a temperature, *r* a connector, *h* a second head. Every term is a mean over "
            "the batch.")
catalogue = engine.catalogue()
saved = {name: {**method, "paper": OWN} for name, method in own_methods.saved().items()}
methods = {**saved, **catalogue["methods"]}

papers = list(dict.fromkeys(method["paper"] for method in methods.values()))
paper = st.pills("Paper", papers, key="paper", bind="query-params", help="None chosen: all of them.")
words = st.text_input("Search", key="search", bind="query-params", placeholder="attention, ensemble, no labels …")
variants = st.toggle("With variants", key="variants", bind="query-params",
                     help="Also those that only vary another method's setting: rows of the papers' ablation tables.")


def says(method: dict, name: str) -> str:
    """All that a method's card says, each equation by itself."""
    equations = [f"eq. {equation.strip()}" for equation in method["equations"].split(",")]
    return " ".join([name, method["title"], method["sentence"], method["paper"], *equations, method["suits"],
                     method["optimiser"], *method["schedule"], *method["settings"], *method["rows"]]).lower()


def told(words: str, method: dict, name: str) -> bool:
    """Whether a method's card says the words; a number is a whole one, so that "eq. 1" is not found in "eq. 10"."""
    return bool(re.search(re.escape(words) + (r"(?!\d)" if words[-1:].isdigit() else ""), says(method, name)))


chosen = {name: method for name, method in methods.items()
          if paper in (None, method["paper"]) and (variants or not method["ablation"])}
phrase = words.lower().strip()
shown = {name: method for name, method in chosen.items() if told(phrase, method, name)} or {
    name: method for name, method in chosen.items() if all(told(word, method, name) for word in phrase.split())}
st.caption(f"{len(shown)} of {len(methods)} methods" if shown else "No method says this; try another word.")


@st.fragment
def cards(methods: list[tuple[str, dict]]) -> None:
    """A few methods, and the next ones when the end of these comes in sight."""
    for name, method in methods[:FEW]:
        with st.container(border=True):
            st.markdown(f"#### {figures.markdown(method['title'])}\n{figures.markdown(method['sentence'])}")
            st.latex(method["formula"], width="content")
            source = (f"{OWN}, saved on Train" if method["paper"] == OWN else
                      f"{method['paper']}{numbered(method['equations'])} · `{name}`")
            told_of = {"Suits": [method["suits"]], "Settings": method["settings"], "Training": method["schedule"],
                       "Optimiser in the paper, among those of Train": [method["optimiser"]], "Rows": method["rows"]}
            st.caption("\n\n".join([source, *(f"**{what}:** {' · '.join(words)}" for what, words in told_of.items()
                                             if any(words))]))
    if methods[FEW:] and scrolled_to(f"{len(methods)}"):
        cards(methods[FEW:])


cards(list(shown.items()))

st.subheader("Terms")
st.markdown("The parts that methods are made of; their weights and settings can be changed on **Train**.")


@st.fragment
def terms() -> None:
    """What is unfolded is drawn then: all at once would take seconds."""
    for kind, term in sorted(catalogue["terms"].items(), key=lambda item: item[1]["title"]):
        unfolded = folded(f"{term['title']} — {term['sentence']}", f"term.{kind}")
        if not unfolded:
            continue
        with unfolded:
            formula_of(term)
            if term["weight"]:
                st.caption(f"**Weight:** {term['weight']}")
            for schema in term["fields"].values():
                st.markdown(f"**{schema['title']}** (default {schema['default']}): {schema['description']}")


terms()
