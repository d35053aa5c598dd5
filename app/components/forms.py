"""Forms made from a schema: one widget a field, with the field's own help sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import streamlit as st

from app import engine

PAIRS = "pairs of taps"
KEPT = {"persist_state": "session"}  # a form that is left, and what a choice hides in it, come back as they were
TYPED = {"filter_mode": "contains", "select_all": False}  # Enter takes the first match of what was typed, not all
Taps = dict[str, dict[str, list[int]]]


def field(name: str, schema: dict, value: Any, key: str, taps: Taps | None = None) -> Any:
    """One widget for a field of a JSON schema; returns what the user chose.

    Numbers have no limits here: a browser would keep an impossible one to itself. Beneath one it is said what would be
    possible, and the engine refuses it.
    `taps` are those of teacher and student, for fields that choose among them.
    """
    label, help_ = schema["title"].capitalize(), schema.get("description")
    kinds = schema.get("anyOf", [schema])
    if any(kind.get("type") == "array" for kind in kinds[1:]):
        return _layers(schema, value, key, taps)
    if "enum" in kinds[0]:
        options = [*([""] if {"type": "null"} in kinds else []), *kinds[0]["enum"]]  # None would be no choice
        chosen = st.selectbox(label, options, options.index(value or ""), help=help_, key=key, format_func=_words,
                              **KEPT)
        return chosen or None
    match kinds[0].get("type"):
        case "boolean":
            return st.toggle(label, value, help=help_, key=key, **KEPT)
        case "integer":
            return within(kinds[0], st.number_input(label, value=value, step=1, help=help_, key=key, **KEPT))
        case "number":
            return within(kinds[0], st.number_input(label, value=float(value), step=10.0 ** _magnitude(value),
                                                    format="%.4g", help=help_, key=key, **KEPT))
        case "array":
            words = st.text_input(label, ", ".join(f"{share:g}" for share in value), help=help_, key=key, **KEPT)
            return [_number(word) for word in words.replace(";", ",").split(",") if word.strip()]
    return st.text_input(label, value, help=help_, key=key, **KEPT)


def within(limits: dict, value: float | None) -> float | None:
    """The value; beneath its widget it is said what the schema's limits are where it is not within them."""
    words = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most",
             "exclusiveMaximum": "less than"}
    past = {"minimum": float.__lt__, "exclusiveMinimum": float.__le__, "maximum": float.__gt__,
            "exclusiveMaximum": float.__ge__}
    if value is not None and any(limit in limits and past[limit](float(value), float(limits[limit])) for limit in past):
        told = " and ".join(f"{words[limit]} {limits[limit]:,.12g}" for limit in words if limit in limits)
        st.caption(f":red[:material/error: It must be {told}.]")
    return value


def _words(option: str | float) -> str:
    return _SPELT.get(option) or (f"{option:g}" if isinstance(option, float) else
                                  option.replace("_", " ").capitalize())


_SPELT = {"": "As in its paper", "sgd": "SGD"}


def fields(schemas: dict[str, dict], values: dict, key: str, cells: Iterator, taps: Taps | None = None) -> dict:
    """One widget for each field, each in the next of the `cells`."""
    chosen = {}
    for name, schema in schemas.items():
        with next(cells):
            chosen[name] = field(name, schema, values[name], f"{key}.{name}", taps)
    return chosen


def defaults(schemas: dict[str, dict]) -> dict:
    """What fields are where nobody chose; None for those that have no such value."""
    return {name: schema.get("default") for name, schema in schemas.items()}


def optimiser_fields(schemas: dict[str, dict], values: dict, key: str, cells: Iterator) -> dict:
    """The fields of an optimiser; momentum, which says nothing to Adam, is asked for SGD alone."""
    rest = dict(schemas)
    kind = fields({"kind": rest.pop("kind")}, values, key, cells)
    kept = {name: values[name] for name in ("momentum", "nesterov") if kind["kind"] == "adam"}
    return {**kind, **kept, **fields({name: rest[name] for name in rest if name not in kept}, values, key, cells)}


def _layers(schema: dict, value: Any, key: str, taps: Taps | None) -> Any:
    """Which layers are matched: one of the schema's words, or pairs of taps."""
    words = schema["anyOf"][0]["enum"]
    pairs = [] if isinstance(value, str) else [tuple(pair) for pair in value]
    found = {who: list((taps or {}).get(who, {})) for who in ("teacher", "student")}
    options = [*words, *([PAIRS] if taps or pairs else [])]
    chosen = st.selectbox(schema["title"], options, options.index(PAIRS if pairs else value), key=key,
                          help=schema["description"], format_func=str.capitalize, **KEPT)
    if chosen != PAIRS:
        return chosen
    couples = list(dict.fromkeys([*pairs, *((theirs, ours) for theirs in found["teacher"] for ours in found["student"]
                                            if _alike(taps, theirs, ours))]))
    taken = st.multiselect("Teacher's tap → student's tap", couples, pairs, key=f"{key}.pairs", **TYPED, **KEPT,
                           format_func=lambda couple: " → ".join(couple))
    if not taken:
        st.caption("No pair is chosen yet: all groups are matched.")
    return list(map(list, taken)) or words[0]


def _alike(taps: Taps, theirs: str, ours: str) -> bool:
    """Whether both are maps, or both vectors."""
    return len(taps["teacher"][theirs]) == len(taps["student"][ours])


def weighted_term(weighted: dict, term: dict, key: str, taps: Taps | None = None) -> dict:
    """A term with its weight and settings, as a card; returns it as the user wants it."""
    with st.container(border=True):
        st.markdown(f"**{term['title']}** — {term['sentence']}")
        formula, cells = st.empty(), places(3)
        counted = _weight(weighted, cells, key, term)
        settings = fields(term["fields"], weighted["term"], key, cells, taps)
        made = {"kind": weighted["term"]["kind"], **settings}
        with suppress(engine.UserError):  # the whole form says what is not possible
            formula.latex(engine.answer("formula", term=made), width="content")
    return {**counted, "term": made}


def method_form(method: dict, terms: dict[str, dict], key: str, taps: Taps | None = None) -> dict:
    """A method's terms with their weights and settings; returns the method as the user wants it."""
    method, stages = plain(method), []
    for number, stage in enumerate(method["stages"]):
        if len(method["stages"]) > 1:
            st.markdown(f"**{stage['name'].capitalize()}**, {stage['share']:.0%} of the steps")
        objective = {name: weighted_term(weighted, terms[weighted["term"]["kind"]], f"{key}.{number}.{name}", taps)
                     for name, weighted in stage["objective"].items()}
        stages.append({**stage, "objective": objective})
    if stages == method["stages"]:
        return method
    return varied({**method, "stages": stages}, "changed")


def varied(method: dict, how: str) -> dict:
    """The method under a title that says how it is no longer the paper's, short enough for the form."""
    return {**method, "title": f"{method['title'][:70]} ({how})", "rows": [], "ablation": False}


def plain(method: dict) -> dict:
    """A method without what the catalogue says about it."""
    return {name: value for name, value in method.items() if name not in ("formula", "needs_teacher", "suits",
                                                                                "schedule", "settings")}


def _weight(weighted: dict, cells: Iterator, key: str, term: dict) -> dict:
    ways = {"weight": "weight", "schedule": "weight that moves", "share": "share of the cross entropy"}
    if term["is_labels"]:
        del ways["share"]
    start = "share" if weighted.get("share") else "schedule" if weighted.get("final") is not None else "weight"
    way = next(cells).selectbox(
        "Counts by", list(ways), list(ways).index(start), format_func=ways.get, key=f"{key}.by", **KEPT,
        help="A weight is a factor; it may move in a straight line over the stage. With a share, the factor is set "
        "once, on the first batch with a label, so that the term starts at this share of the cross entropy: a safe "
        "start where no weight is known.")
    counted = {"weight": None, "share": None, "final": None}
    if way == "share":
        return {**counted, "share": next(cells).number_input(
            "Share", value=float(weighted.get("share") or 0.01), format="%g", step=0.01, key=f"{key}.share", **KEPT,
            help="0.01 starts the term at 1 % of the cross entropy.")}
    weight = 1.0 if weighted.get("weight") is None else float(weighted["weight"])
    counted["weight"] = next(cells).number_input(
        "Weight" if way == "weight" else "Weight at first", value=weight, format="%g", step=10.0 ** _magnitude(weight),
        key=f"{key}.weight", **KEPT, help=f"λ, the factor on the term. {term['weight']} On other images a share of "
        "the cross entropy is the safer start.")
    if way == "schedule":
        last = weighted.get("final")
        counted["final"] = next(cells).number_input("Weight at the end", value=float(1.0 if last is None else last),
                                                    format="%g", step=0.1, key=f"{key}.final", **KEPT)
    return counted


def places(width: int) -> Iterator:
    """Places for widgets, `width` to a row, without end."""
    while True:
        yield from st.columns(width)


def _number(word: str) -> float | str:
    try:
        return float(word)
    except ValueError:
        return word.strip()  # the engine says what is wrong with it


def _magnitude(value: float) -> int:
    """The power of ten that a number's stepper moves by: 0.1 for 0.4, 0.001 for 0.001."""
    return math.floor(math.log10(abs(value))) if value else -1
