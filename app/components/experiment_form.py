"""The Train page's form: an experiment as the engine understands it, made from the catalogue."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app import engine, figures, own_methods
from app.components.absent import or_say_why
from app.components.composer import composer
from app.components.folded import folded
from app.components.forms import (
    KEPT,
    TYPED,
    defaults,
    field,
    fields,
    method_form,
    optimiser_fields,
    places,
    plain,
    within,
)
from app.components.image_set import facts, left_out, set_picker, varying_form
from app.components.network_form import network_form

MOST_SEEDS = 100
ADAM = "Adam, as suggested"


def data_form(catalogue: dict) -> tuple[dict, dict]:
    """Which images, and which of them have labels; returns (the set as the catalogue has it, settings of the run's
    data). Stops the page where the set is not on this machine.
    """
    sets = catalogue["data"]
    left, right, unit, note = st.columns([6, 4, 5, 9], vertical_alignment="bottom")
    with left:
        name = set_picker(catalogue, partial(_suggest, sets))
    which = {"name": name} | varying_form(catalogue, sets[name], name)
    entry = facts(sets[name], which)
    classes, total = len(entry["classes"]), min(entry["suggested"]["images"], entry["train"])
    each = unit.selectbox("Counted", [False, True], format_func=("in all", "of each class").__getitem__,
                          key="data.counted", **KEPT, help="In all: in parts of each class as equal as can be.")
    count = right.number_input("Training images", value=max(1, total // classes) if each else total,
                               step=1 if each else classes, key=f"images.{name}.{entry['train']}.{each}", **KEPT,
                               help="How many the student trains on. Each seed draws images of its own; they lie "
                               "inside those that the teacher saw, where those are enough.")
    within({"minimum": 1, "maximum": entry["train"] // (classes if each else 1)}, count)  # below the row
    note.caption(entry["sentence"] + (f" {count * classes} to train on." if each else ""))
    left_out(entry["left_out"])
    names = ("labelled_per_class", "labelled_share", "label_noise", "validation", "augment", "seed")
    schemas = {field: catalogue["schemas"]["data"][field] for field in names}
    more = defaults(schemas)
    if box := folded("Labels, validation, variation", "labels"):
        with box:
            more = fields(schemas, more, f"data.{name}", places(3))
    taken = {"per_class": count} if each else {"images": None if count == entry["train"] else count}
    return entry, {**which, **taken, **more}


def _suggest(sets: dict) -> None:
    """Other images: the pair of networks that suits them."""
    suggested = sets[st.session_state["data"]]["suggested"]
    for role in ("teacher", "student"):
        st.session_state[f"{role}.network"] = suggested[role]


def pair_form(catalogue: dict, entry: dict, data: dict) -> tuple[dict, dict]:
    """Teacher and student; returns (the teacher's run, the student's network)."""
    teacher, student = st.columns(2)
    suggested, most, key = entry["suggested"], entry["train"], f"{data['name']}.{entry['train']}"
    schema = catalogue["schemas"]["run"]
    with teacher.container(border=True):
        st.markdown("**Teacher**")
        network = network_form(catalogue, suggested, data["name"], "teacher")
        images, steps = st.columns(2)
        seen = images.number_input("Images it sees", value=min(suggested["teacher_images"] or most, most), step=100,
                                   key=f"teacher.images.{key}", **KEPT, help="In parts of each class as equal as "
                                   "can be; the largest number means all of them.")
        count = steps.number_input("Its steps", value=suggested["teacher_steps"], step=100,
                                   key=f"teacher.steps.{key}", **KEPT, help="A teacher with the same settings is "
                                   "trained once and found again. 0 leaves the weights that it starts from.")
        with images:
            within({"minimum": 1, "maximum": most}, seen)
        with steps:
            within(schema["steps"], count)
        asked = {name: schema[name] for name in ("batch_size", "seed", "precision")}
        more, optimiser = defaults(asked), _adam(catalogue, suggested["teacher_learning_rate"])
        if box := folded("How it learns", "teaching"):
            with box:
                more = fields(asked, more, f"teacher.{key}", places(3))
                choice, rate = st.columns(2)
                optimiser = _optimiser_form(catalogue, suggested["teacher_learning_rate"], key, choice, rate,
                                            st.container(), "teacher.")
    same = {field: data[field] for field in ("name", "path", "size", "watermark", "augment") if field in data}
    run = {"name": f"Teacher {catalogue['networks'][network['name']]['title']}",
           "data": {**same, "images": None if seen == most else seen}, "network": network, "steps": count,
           "optimiser": optimiser, **more, "evaluations": suggested["evaluations"]}
    with student.container(border=True):
        st.markdown("**Student**")
        network = network_form(catalogue, suggested, data["name"], "student")
    return run, network


def methods_form(catalogue: dict, pair: dict) -> list[dict] | None:
    """Which methods, each with its terms, weights and settings; `pair` is a run's data, network and teacher.

    None while the method that is being composed is not possible.
    """
    with or_say_why():
        suited = engine.answer("suitability", content=pair)
    known = {**{name: method for name, method in catalogue["methods"].items() if name != catalogue["baseline"]},
             **own_methods.saved()}
    usable = sorted((name for name in known if not suited["methods"].get(name)),
                    key=lambda name: known[name]["ablation"])
    default = [catalogue["headline"]] if catalogue["headline"] in usable else usable[:1]
    chosen = st.multiselect("Methods", usable, default, key="methods", bind="query-params", **TYPED,
                            format_func=lambda name: known[name]["title"],
                            help="One run for each method and seed. Labels alone are always trained beside them, "
                            "as the baseline: one student, and beside an ensemble as many.")
    left = [known[name]["title"] for name in st.session_state.get("methods.chosen", ())
            if name in known and name not in usable]  # a saved one may have been deleted
    st.session_state["methods.chosen"] = chosen
    if left:
        st.toast(f"Taken out, for this pair does not suit it: {figures.markdown(', '.join(left))}.")
    edited = []
    for name in chosen:
        edited.append(plain(known[name]))
        if box := folded(figures.markdown(f"{known[name]['title']} — {known[name]['sentence']}"), f"method.{name}"):
            with box:
                edited[-1] = method_form(known[name], catalogue["terms"], f"method.{name}", suited["taps"])
                if known[name]["optimiser"]:
                    st.caption(f"Its paper's optimiser is under Budget: *{known[name]['optimiser']}*.")
    _explain(known, suited, edited)
    composed = composer(catalogue, suited["taps"])
    return None if composed is None else [*edited, *(method for method in composed if method not in edited)]


def _explain(known: dict, suited: dict, chosen: list[dict]) -> None:
    """Which layers are matched by what is chosen, and which methods do not suit this pair, each with its reason."""
    layers = [_matched(suited["taps"], *couple) for couple in suited["layers"]]
    if layers and any("groups" in weighted["term"] for method in chosen for stage in method["stages"]
                      for weighted in stage["objective"].values()):
        pooled = " Where sizes differ, the larger maps are averaged to the smaller." if "(" in "".join(layers) else ""
        st.caption("Where layers are matched, all or those that *Layers* names, the teacher's with the student's: "
                   f"{'; '.join(layers)}.{pooled}")
    reasons: dict[str, list[str]] = {}
    for name, reason in suited["methods"].items():
        if reason and not known.get(name, {}).get("ablation", True):
            reasons.setdefault(reason, []).append(known[name]["title"])
    if reasons and (box := folded(f"Methods that do not suit this pair: {sum(map(len, reasons.values()))}",
                                  "unsuited", icon=":material/block:")):
        for reason, titles in reasons.items():
            box.markdown(f"{reason} *{'; '.join(titles)}*")


def _matched(taps: dict, theirs: str, ours: str) -> str:
    """Two layers, with the sizes of their maps where they differ."""
    sizes = ["×".join(map(str, taps[who][tap][1:])) for who, tap in (("teacher", theirs), ("student", ours))]
    if sizes[0] == sizes[1]:
        return f"{theirs} with {ours}"
    return f"{theirs} ({sizes[0]}) with {ours} ({sizes[1]})"


def budget_form(catalogue: dict, entry: dict, data: str) -> dict:
    """Steps, batch size, optimiser, learning rate, seeds and, where there is a choice, the device."""
    suggested, schema = entry["suggested"], catalogue["schemas"]["run"]
    columns = [*st.columns([4, 4, 7, 5]), *(beneath := st.columns([4, 4, 12]))]
    with columns[0]:
        steps = field("steps", schema["steps"], suggested["steps"], f"steps.{data}")
        if steps == 0:
            st.caption("The students stay as they are drawn.")
    with columns[1]:
        batch = field("batch_size", schema["batch_size"], suggested["batch_size"], f"batch.{data}")
    settings = folded("Settings of the optimiser, early end, precision", "optimiser")
    optimiser = _optimiser_form(catalogue, suggested["learning_rate"], data, *columns[2:4], settings,
                                bind="query-params", help="For every student alike, the baseline too. A paper's comes "
                                "with its falls of the learning rate, scaled to the steps.")
    patience, precision = None, schema["precision"]["default"]
    if settings:
        with settings:
            patience = field("patience", schema["patience"], patience, "patience")
            precision = field("precision", schema["precision"], precision, "precision")
    seeds = columns[4].number_input("Seeds", value=3, step=1, key="seeds", **KEPT, help="Runs of each method; each "
                                    "seed has its own images and initial weights. Three or more show the spread.")
    with columns[4]:
        within({"minimum": 1, "maximum": MOST_SEEDS}, seeds)
    first = columns[5].number_input("First seed", value=1, step=1, key="first", **KEPT,
                                    help="The others follow it.")
    with st.spinner("The engine is starting…"):
        devices = engine.answer("device")["available"]
    device = "auto" if devices == ["cpu"] else beneath[2].selectbox("Device", ["auto", *devices], key="device", **KEPT,
                                                               help=schema["device"]["description"])
    return {"run": {"steps": steps, "batch_size": batch, "optimiser": optimiser,
                    "evaluations": suggested["evaluations"], "device": device, "patience": patience,
                    "precision": precision},
            "seeds": list(range(first, first + min(seeds, MOST_SEEDS + 1)))}


def _optimiser_form(catalogue: dict, suggested: float, data: str, choice, rate, settings, place: str = "",
                    **selectbox) -> dict:
    """Adam or a paper's optimiser in `choice`, its learning rate in `rate`, all else of it in `settings`, if drawn."""
    papers, schemas = catalogue["optimisers"], dict(catalogue["schemas"]["optimiser"])
    paper = choice.selectbox("Optimiser", [ADAM, *papers], key=f"{place}optimiser", **KEPT, **selectbox)
    start = papers.get(paper) or _adam(catalogue, suggested)
    with rate:
        length = field("learning_rate", schemas.pop("learning_rate"), start["learning_rate"],
                       f"{place}rate.{data}.{paper}")
    if not settings:
        return {**start, "learning_rate": length}
    with settings:
        return {"learning_rate": length, **optimiser_fields(schemas, start, f"{place}optimiser.{data}.{paper}",
                                                           places(2 if place else 3))}


def _adam(catalogue: dict, learning_rate: float) -> dict:
    """The optimiser that is suggested."""
    return {**defaults(catalogue["schemas"]["optimiser"]), "learning_rate": learning_rate}
