"""A network in the Train page's form: its architecture, its size, and the weights that it starts from."""

from __future__ import annotations

import json

import streamlit as st

from app import engine
from app.components.folded import folded
from app.components.forms import KEPT, field, fields, places

LAST = "the last one"


def network_form(catalogue: dict, suggested: dict, data: str, role: str) -> dict:
    """The settings of the "teacher" or "student"; stops the page while there are no weights to start from."""
    networks, schema = catalogue["networks"], catalogue["schemas"]["network"]
    name = st.selectbox("Network", list(networks), list(networks).index(suggested[role]),
                        format_func=lambda key: networks[key]["title"],
                        key=f"{role}.network", bind="query-params", help="The architecture.")
    st.caption(networks[name]["sentence"])
    width, initial = st.columns(2)
    fits = networks[name]["initial"] == "truncated_normal"  # the image set's advice is for these networks
    with width:
        wide = field("width", schema["width"], suggested["width"] if fits else 1.0, f"{role}.width.{data}.{fits}")
    with initial:
        drawn = field("initial", schema["initial"], suggested["initial"] if fits else None,
                      f"{role}.initial.{data}.{fits}")
    start, more = None, {"resize": None, "classes": None}
    if box := folded("Weights to start from, size of its images, outputs", f"{role}.weights"):
        with box:
            start = _start_form(name, wide, networks, schema, f"{role}.start")
            more = fields({field: schema[field] for field in more}, more, role, places(2))
    return {"name": name, "width": wide, "initial": drawn, "start": start, **more}


def _start_form(name: str, width: float, networks: dict, schema: dict, key: str) -> dict | None:
    """Where the weights come from; None: they are drawn fresh."""
    network = networks[name]
    ways = {"fresh": "fresh weights", "published": "published weights", "run": "a run's snapshot", "file": "a file"}
    if not network["published"]:
        del ways["published"]
    kind = st.selectbox("Starts from", list(ways), format_func=ways.get, key=f"{key}.kind", **KEPT,
                        help=schema["start"]["description"])
    if not network["published"]:
        others = ", ".join(other["title"] for other in networks.values() if other["published"])
        st.caption(f"No weights are published for {network['title']}; torchvision has some for {others}.")
    match kind:
        case "published":
            st.caption("They tell ImageNet's 1000 classes apart. To keep these, set Outputs to 1000; else the last "
                       "layer is drawn fresh. With 0 steps they stay as they are.")
            return {"kind": kind}
        case "file":
            path = st.text_input("File", key=f"{key}.path", **KEPT, placeholder="/home/me/weights.pt",
                                 help="A state_dict that torch.save wrote, on the machine that trains.")
            if not path:
                st.info("Give the path of a state_dict that torch.save wrote.", icon=":material/draft:")
                st.stop()
            return {"kind": kind, "path": path}
        case "run":
            done = [(run, json.loads(run["config"])["network"]) for run in engine.visible(engine.store().runs())
                    if run["state"] == "done" and run["role"] != "ensemble"]
            runs = {run["id"]: _run_title(run) for run, of in done if (of["name"], of["width"]) == (name, width)}
            chosen = st.selectbox("Run", list(runs), format_func=runs.get, key=f"{key}.run", **KEPT,
                                  placeholder="No such run is done yet")
            if not chosen:
                st.info(f"No run of {network['title']} at width {width:g} is done yet; start from other weights.",
                        icon=":material/history:")
                st.stop()
            steps = engine.store().snapshot_steps(chosen)
            step = st.selectbox("Snapshot", [LAST, *steps[-2::-1]], key=f"{key}.step.{chosen}", **KEPT,
                                format_func=lambda step: step if step == LAST else f"step {step}")
            return {"kind": kind, "run": chosen, "step": None if step == LAST else step}
    return None


def _run_title(run: dict) -> str:
    return " · ".join(filter(None, [f"{run['id']}", run["name"], run["experiment"]]))
