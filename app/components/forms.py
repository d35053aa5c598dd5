"""Forms made from a schema: one widget a field, with the field's own help sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import streamlit as st


def field(name: str, schema: dict, value: Any, key: str) -> Any:
    """One widget for a field of a JSON schema; returns what the user chose.

    Numbers have no limits here: a browser would keep an impossible one to itself, and the engine says what is wrong.
    """
    label, help_ = schema["title"].capitalize(), schema.get("description")
    if options := _options(schema):
        return st.selectbox(label, options, index=options.index(value), help=help_, key=key,
                            format_func=lambda option: (option or "as in its paper").replace("_", " ").capitalize())
    if schema.get("type") == "boolean":
        return st.toggle(label, value, help=help_, key=key)
    if schema.get("type") == "integer":
        return st.number_input(label, value=int(value), step=1, help=help_, key=key)
    if schema.get("type") == "number":
        return st.number_input(label, value=float(value), step=10.0 ** _magnitude(value), format="%g", help=help_,
                               key=key)
    return st.text_input(label, value, help=help_, key=key)


def _options(schema: dict) -> list[str | None]:
    """What can be chosen, where that is a few words, or none of them."""
    if "enum" in schema:
        return schema["enum"]
    return next(([None, *kind["enum"]] for kind in schema.get("anyOf", ()) if "enum" in kind), [])


def method_form(method: dict, terms: dict[str, dict], key: str) -> dict:
    """A method's terms with their weights and settings; returns the method as the user wants it."""
    stages = []
    for number, stage in enumerate(method["stages"]):
        objective = {name: _weighted_term(weighted, terms[weighted["term"]["kind"]], f"{key}.{number}.{name}")
                     for name, weighted in stage["objective"].items()}
        stages.append({**stage, "objective": objective})
    kept = {name: method[name] for name in ("name", "title", "sentence", "paper", "equations", "rows")}
    if stages != method["stages"]:
        kept |= {"title": f"{method['title']} (changed)", "rows": []}  # no longer the paper's row
    return {**kept, "stages": stages}


def composed_form(terms: dict[str, dict], key: str) -> list[dict]:
    """A method made of any terms, each with its weight and settings; none where no term is chosen."""
    with st.expander("Compose a method of your own", icon=":material/tune:"):
        kinds = st.multiselect("Terms", list(terms), key=key, bind="query-params",
                               format_func=lambda kind: terms[kind]["title"],
                               help="The loss is their weighted sum. Leave cross entropy out to learn without labels.")
        if not kinds:
            return []
        title = st.text_input("What to call it", "My method", max_chars=80, key=f"{key}.title")
        objective = {}
        for kind in kinds:
            defaults = {name: schema["default"] for name, schema in terms[kind]["fields"].items()}
            objective[kind] = _weighted_term({"weight": 1.0, "term": {"kind": kind, **defaults}}, terms[kind],
                                             f"{key}.{kind}")
    return [{"title": title, "stages": [{"objective": objective}]}]


def _weighted_term(weighted: dict, term: dict, key: str) -> dict:
    with st.container(border=True):
        st.markdown(f"**{term['title']}** — {term['sentence']}")
        st.latex(term["formula"], width="content")
        cells = _cells(3)
        counted = _weight(weighted, cells, key, may_share=not term["is_labels"])
        settings = {}
        for name, schema in term["fields"].items():
            with next(cells):
                settings[name] = field(name, schema, weighted["term"][name], f"{key}.{name}")
    return {**counted, "term": {"kind": weighted["term"]["kind"], **settings}}


def _weight(weighted: dict, cells: Iterator, key: str, may_share: bool) -> dict:
    by_share = may_share and next(cells).selectbox(
        "Counts by", (False, True), format_func=lambda share: "share of the cross entropy" if share else "weight",
        key=f"{key}.by", help="A weight is a factor. With a share, the factor is set once, on the first batch, so that "
        "the term starts at this share of the cross entropy: the paper's own way of choosing λ.")
    if by_share:
        return {"weight": None, "share": next(cells).number_input(
            "Share", value=0.01, format="%g", step=0.01, key=f"{key}.share",
            help="0.01 starts the term at 1 % of the cross entropy.")}
    return {"share": None, "weight": next(cells).number_input(
        "Weight", value=float(weighted["weight"]), format="%g", step=10.0 ** _magnitude(weighted["weight"]),
        key=f"{key}.weight", help="λ, the factor on the term. The default is the paper's, chosen on MNIST; on "
        "other images a share of the cross entropy is the safer start.")}


def _cells(width: int) -> Iterator:
    """Places for widgets, `width` to a row, without end."""
    while True:
        yield from st.columns(width)


def _magnitude(value: float) -> int:
    """The power of ten that a number's stepper moves by: 0.1 for 0.4, 0.001 for 0.001."""
    return math.floor(math.log10(abs(value))) if value else -1
