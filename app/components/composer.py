"""A method of one's own: stages of weighted terms, seen as one formula, saved, passed on as a file or a link."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable
from itertools import count

import streamlit as st

from app import engine, figures, own_methods
from app.components import forms
from app.components.folded import folded
from app.components.forms import KEPT, TYPED, Taps, defaults, fields, optimiser_fields, places, weighted_term

LINK = "composed"
AGAIN = "_2"
_EMPTY = {"name": "custom", "title": "My method", "sentence": "", "stages": []}


def composer(catalogue: dict, taps: Taps) -> list[dict] | None:
    """The expander in which a method is made; returns it in a list, empty where there is none.

    None where it is not possible as it stands.
    """
    draft = _draft()
    box = folded("Compose a method of your own", "compose", icon=":material/tune:", expanded=bool(draft["stages"]))
    if not box:
        return []
    with box:
        _begin(catalogue)
        if not draft["stages"]:
            return []
        method = _method_form(draft, catalogue, taps)
        st.query_params[LINK] = encode(method)
        return _finish(method)


def encode(method: dict) -> str:
    """A method as the part of a link."""
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(method, separators=(",", ":")).encode())).decode()


def decode(text: str) -> dict:
    """The method of a link. Raises UserError where the link is damaged."""
    try:
        unpacked = zlib.decompressobj().decompress(base64.urlsafe_b64decode(text), 100_000)
        return engine.described(unpacked)["method"]
    except (ValueError, zlib.error, engine.UserError) as error:
        raise engine.UserError("The method of this link cannot be read; ask its sender for its file.") from error


def _draft() -> dict:
    """The method in the making; a link's, on the first look."""
    if "draft" not in st.session_state:
        st.session_state["draft"], st.session_state["draft.version"] = _EMPTY, 0
        if LINK in st.query_params:
            try:
                _take(decode(st.query_params[LINK]))
            except engine.UserError as error:
                st.warning(str(error), icon=":material/link_off:")
                del st.query_params[LINK]
    return st.session_state["draft"]


def _take(method: dict) -> None:
    """Make a method the draft: its widgets start from it."""
    st.session_state["draft"] = {**method, "name": _EMPTY["name"]}  # whatever its file calls it
    st.session_state["draft.version"] += 1


def _begin(catalogue: dict) -> None:
    left, middle, right = st.columns([3, 1, 2], vertical_alignment="bottom")
    saved = own_methods.saved()
    known = {**catalogue["methods"], **saved}
    name = left.selectbox("Start from", list(known), index=None, placeholder="an empty stage",
                          format_func=lambda name: known[name]["title"], key="draft.from")
    if middle.button("Begin", width="stretch", key="draft.begin"):
        labels = next(kind for kind, term in catalogue["terms"].items() if term["is_labels"])
        stage = {**defaults(catalogue["schemas"]["stage"]), "objective": {labels: _fresh(labels, catalogue)}}
        _take({**_EMPTY, "stages": [stage]} if name is None else forms.varied(forms.plain(known[name]), "mine"))
        st.rerun()
    if name in saved:
        with st.popover(f"Delete {figures.markdown(saved[name]['title'])}", icon=":material/delete:"):
            st.write("It is then no longer among the methods. Runs that it trained keep it.")
            if st.button("Delete it", type="primary", key="draft.delete", disabled=engine.settings().read_only):
                own_methods.forget(saved[name]["title"])
                st.rerun()
    uploaded = right.file_uploader("Or a method's file", type="json", key="draft.file", max_upload_size=1)
    if uploaded and st.session_state.get("draft.uploaded") != uploaded.file_id:
        st.session_state["draft.uploaded"] = uploaded.file_id
        try:
            _take(engine.described(uploaded.getvalue())["method"])
        except engine.UserError as error:
            st.error(figures.markdown(f"This file holds no method: {error}"))
        else:
            st.rerun()


def _method_form(draft: dict, catalogue: dict, taps: Taps) -> dict:
    key = f"draft.{st.session_state['draft.version']}"
    title, sentence = st.columns([1, 2])
    method = {field: draft[field] for field in ("name", "paper", "equations") if field in draft}
    method |= {"title": title.text_input("What to call it", draft["title"], max_chars=80, **KEPT,
                                         key=f"{key}.title"),
               "sentence": sentence.text_input("What is handed over, in a sentence", draft["sentence"], max_chars=300,
                                               key=f"{key}.sentence", **KEPT)}
    settings = {name: catalogue["schemas"]["method"][name] for name in ("start", "members", "shared_stages")}
    method |= fields(settings, {**defaults(settings), **draft}, key, places(3))
    method["stages"] = [_stage_form(stage, number, catalogue, taps, f"{key}.{number}")
                        for number, stage in enumerate(draft["stages"])]
    add, remove, _ = st.columns([1, 1, 2])
    if add.button("Add a stage", icon=":material/add:", width="stretch", key=f"{key}.add"):
        _change(method, [*method["stages"], {**method["stages"][-1], "name": f"stage {len(method['stages']) + 1}",
                                             "share": method["stages"][-1]["share"]}])
    if len(method["stages"]) > 1 and remove.button("Remove the last", icon=":material/remove:", width="stretch",
                                                   key=f"{key}.remove"):
        _change(method, method["stages"][:-1])
    return method


def _change(method: dict, stages: list[dict]) -> None:
    """Other stages, whose shares are scaled to make up the whole."""
    total, shared = sum(stage["share"] for stage in stages), min(method["shared_stages"], len(stages) - 1)
    shares = [stage["share"] / total if total > 0 else 1 / len(stages) for stage in stages]
    _take({**method, "shared_stages": shared,
           "stages": [{**stage, "share": share} for stage, share in zip(stages, shares)]})
    st.rerun()


def _stage_form(stage: dict, number: int, catalogue: dict, taps: Taps, key: str) -> dict:
    terms, schemas = catalogue["terms"], catalogue["schemas"]
    with st.container(border=True):
        cells = iter(st.columns([2, 1, 1, 1], vertical_alignment="bottom"))
        made = fields({name: schemas["stage"][name] for name in ("name", "share", "dropout", "restarts")}, stage, key,
                      cells)
        own = stage["optimiser"] is not None
        if st.toggle("An optimiser of its own", own, help=schemas["stage"]["optimiser"]["description"],
                     key=f"{key}.own", **KEPT):
            made["optimiser"] = optimiser_fields(
                schemas["optimiser"], stage["optimiser"] or defaults(schemas["optimiser"]), f"{key}.optimiser",
                places(4))
        else:
            made["optimiser"] = None
        present = stage["objective"]
        kinds = _offered(present, st.session_state.get(f"{key}.terms", present), terms)
        numbers = {name: list(kinds.values())[:place].count(kind) for place, (name, kind) in enumerate(kinds.items())}
        chosen = st.multiselect("Terms", list(kinds), list(present), key=f"{key}.terms", **TYPED, **KEPT,
                                format_func=lambda name: terms[kinds[name]]["title"]
                                + (f" ({numbers[name] + 1})" if numbers[name] else ""),
                                help="The loss of the stage is their weighted sum. Leave cross entropy out to learn "
                                "without labels.")
        made["objective"] = {name: weighted_term(present.get(name) or _fresh(kinds[name], catalogue),
                                                 terms[kinds[name]], f"{key}.{name}", taps) for name in chosen}
    return made


def _offered(present: dict, chosen: Iterable[str], terms: Iterable[str]) -> dict[str, str]:
    """{name: kind of term} that a stage may have: those that are there or chosen, and one more of each kind."""
    kinds = {name: weighted["term"]["kind"] for name, weighted in present.items()}
    for kind in terms:
        for name in (kind + AGAIN * times for times in count()):
            if name not in present:
                kinds[name] = kind
                if name not in chosen:
                    break
    return kinds


def _fresh(kind: str, catalogue: dict) -> dict:
    term = catalogue["terms"][kind]
    return {**defaults(catalogue["schemas"]["weighted"]), "weight": term["usual"],
            "term": {"kind": kind, **defaults(term["fields"])}}


def _finish(method: dict) -> list[dict] | None:
    """The total as one formula, and where the method may go."""
    try:
        found = engine.described(method)
    except engine.UserError as error:
        st.error(figures.markdown(str(error)))
        found = None
    else:
        st.latex(found["formula"], width="content")
    save, file, drop, note = st.columns([1, 1, 1, 2], vertical_alignment="center")
    saves = found is not None and not engine.settings().read_only
    if save.button("Save", icon=":material/save:", width="stretch", disabled=not saves,
                   help="It is then among the methods, under its name, instead of one that you saved under it before."):
        if method["title"] in [known["title"] for known in engine.catalogue()["methods"].values()]:
            st.error(f"{figures.markdown(method['title'])} is a method of the papers; call yours something else.")
        else:
            own_methods.save(found["method"])
            st.toast(f"Saved as {figures.markdown(method['title'])}.")
    file.download_button("File", json.dumps(found and found["method"], indent=2), f"{method['title']}.json",
                         "application/json", icon=":material/download:", width="stretch", disabled=found is None)
    if drop.button("Put away", icon=":material/close:", width="stretch"):
        _take(_EMPTY)
        st.query_params.pop(LINK, None)
        st.rerun()
    note.caption("It is trained beside the methods above until it is put away. The address of this page holds it, the "
                 "image set and the networks: pass it on as a link.")
    return [found["method"]] if found else None
