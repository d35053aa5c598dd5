"""Settings that an experiment varies: a grid, made from the catalogue's schemas."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from app import figures
from app.components.folded import folded
from app.components.forms import KEPT, TYPED
from kdcore import grid

WHOSE = {"": "Budget", "data": "Images", "network": "Student", "optimiser": "Optimiser", "teacher": "Teacher",
         "teacher.network": "Teacher"}
OFFERED = {"": ("steps", "batch_size"),
           "data": ("images", "per_class", "labelled_per_class", "labelled_share", "label_noise", "augment"),
           "network": ("name", "width", "initial", "resize"),
           "optimiser": ("kind", "learning_rate", "momentum", "weight_decay"),
           "teacher": ("steps",), "teacher.network": ("name", "width")}


def vary_form(catalogue: dict, methods: list[dict], run: dict) -> dict[str, list]:
    """Which settings vary, and over which values: {path: values}. `run` is the run as the rest of the form has it."""
    box = folded("Vary settings: a grid", "vary", icon=":material/grid_on:")
    if not box:
        return {}
    schemas = varied_settings(catalogue, methods)
    with box:
        chosen = st.multiselect("What varies", list(schemas), format_func=lambda path: schemas[path]["label"],
                                key="vary", **TYPED, **KEPT, placeholder="nothing: each method is trained as above",
                                help="Every combination of the values is trained, with each method and seed, beside "
                                "labels alone under the same settings.")
        vary = {path: _values(path, schemas[path], catalogue, _now(path, run)) for path in chosen}
        if empty := [schemas[path]["label"] for path, values in vary.items() if not values]:
            st.caption(f"Give at least one value of {', '.join(empty)}; until then it stays as above.")
    vary = {path: values for path, values in vary.items() if values}
    if vary:  # in sight when the box is closed
        st.caption("**Varied:** " + " · ".join(
            f"{figures.markdown(schemas[path]['label'])} {figures.markdown(', '.join(map(grid.told, values)))}"
            for path, values in vary.items()))
    return vary


def varied_settings(catalogue: dict, methods: list[dict]) -> dict[str, dict]:
    """{path: schema, with a label} of all that can vary."""
    found = {}
    for place, names in OFFERED.items():
        schema = catalogue["schemas"][place.rpartition(".")[2].replace("teacher", "") or "run"]
        for name in names:
            path = f"{place}.{name}".lstrip(".")
            title = "architecture" if path.endswith("network.name") else schema[name]["title"].lower()
            found[path] = {**schema[name], "label": f"{WHOSE[place]}: {title}"}
    for method in methods:
        for stage in method["stages"]:
            for name in ("share", "dropout") if len(method["stages"]) > 1 else ("dropout",):
                found[f"method.stages.{stage['name']}.{name}"] = {
                    **catalogue["schemas"]["stage"][name],
                    "label": f"{method['title']}: {name} of the stage {stage['name'] or 'alone'}"}
            for key, weighted in stage["objective"].items():
                term = catalogue["terms"][weighted["term"]["kind"]]
                settings = {f"method.{key}.{name}": {**schema, "label": f"{method['title']}: {schema['title'].lower()}"}
                            for name, schema in term["fields"].items() if "items" not in schema}
                if not term["is_labels"]:
                    found[f"method.{key}"] = {"type": "number", "label": f"{method['title']}: weight of {key}",
                                              "description": term["weight"] or "λ, the factor on the term."}
                    found |= settings
    return found


def _values(path: str, schema: dict, catalogue: dict, now: Any) -> list:
    label, help_ = schema["label"], schema.get("description")
    options = schema.get("enum") or schema.get("anyOf", [{}])[0].get("enum")
    if path.endswith("network.name"):
        networks = catalogue["networks"]
        return st.multiselect(label, list(networks), format_func=lambda name: networks[name]["title"],
                              key=f"vary.{path}", help=help_, **TYPED, **KEPT)
    if options:
        return st.multiselect(label, options, key=f"vary.{path}", help=help_, **KEPT)
    words = st.text_input(label, key=f"vary.{path}", help=help_, **KEPT,
                          placeholder="values with commas between them" + ("" if now is None else f"; now {now}"))
    values = [_value(word.strip()) for word in words.replace(";", ",").split(",") if word.strip()]
    return list({json.dumps(value): value for value in values}.values())


def _value(word: str) -> Any:
    """A number or a word; "all" is the setting left empty."""
    if word.lower() in ("all", "none", "empty"):
        return None
    try:
        return json.loads(word)
    except json.JSONDecodeError:
        return word  # the engine says what is wrong with it


def _now(path: str, run: dict) -> Any:
    """What a field of the run is where it does not vary."""
    for part in path.split("."):
        run = run.get(part) if isinstance(run, dict) else None
    return run
