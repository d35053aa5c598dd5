"""A search for a weight: set up on Train, and what it came to on Runs."""

from __future__ import annotations

import math

import streamlit as st

from app import engine, figures, results
from app.components.chart import chart
from app.components.folded import folded
from app.components.forms import KEPT
from app.components.vary import varied_settings

WAYS = {"grid": "evenly on a logarithmic scale", "optuna": "where Optuna expects the most"}


def search_form(catalogue: dict, methods: list[dict]) -> dict | None:
    """Which weight is searched for, and where: {"method", "path", "low", "high", "trials", "how"}; None for none."""
    box = folded("Search for a weight", "search", icon=":material/search:")
    if not box:
        return None
    offered = {f"{number}.{path}": (method, path, schema) for number, method in enumerate(methods)
               for path, schema in varied_settings(catalogue, [method]).items()
               if path.startswith("method.") and schema.get("type") == "number"}
    with box:
        chosen = st.selectbox("What is searched for", list(offered), None, key="search.path", **KEPT,
                              format_func=lambda key: offered[key][2]["label"], placeholder="nothing",
                              help="It is judged by images that are held out from training, never by the test images: "
                              "set a validation share under Images.")
        if chosen is None:
            return None
        method, path, _ = offered[chosen]
        low, high, trials, how = st.columns([1, 1, 1, 2])
        return {"method": method, "path": path,
                "low": low.number_input("From", value=0.001, format="%g", key="search.low", **KEPT,
                                        help="The smallest value."),
                "high": high.number_input("To", value=10.0, format="%g", key="search.high", **KEPT,
                                          help="The largest value."),
                "trials": trials.number_input("Values", value=9, step=1, key="search.trials", **KEPT,
                                              help="How many are tried, each with every seed."),
                "how": how.selectbox("Placed", list(WAYS), format_func=WAYS.get, key="search.how", **KEPT,
                                     help="A grid shows the whole range; Optuna looks closer where it was good.")}


def search_result(experiment: str, runs: list[dict]) -> None:
    """How good each value is on the held-out images, and what the best of them comes to on the test images."""
    wanted = engine.store().experiment(experiment)["content"]["search"]
    found = engine.ask("search_outcomes", name=experiment)
    scores = {value: score for value, score in sorted(found.items()) if score is not None and not math.isnan(score)}
    st.subheader("What the search found")
    if not scores:
        st.caption("No value is tried to its end yet.")
        return
    best = max(scores, key=scores.get)
    over = len(found) == wanted["trials"] and None not in found.values()
    st.markdown(f"**{best:g}** is the best of {len(scores)}{'' if over else ' so far'}, with {scores[best]:.1%} on the "
                "held-out images.")
    chart(figures.scores(scores, best, wanted["low"], wanted["high"]), "search",
          "Accuracy on held-out images for each value that was tried")
    told = next((row for row in results.summary(runs) if best in row.values()), None)
    if over and told and told["gain"] is not None:
        error = f" ± {told['gain_error']:.1f}" if told["gain_error"] else ""
        st.caption(f"On the test images, which chose nothing: {told['accuracy']:.1f} %, {told['gain']:+.1f}{error} "
                   f"points over labels alone, {told['seeds']} seeds.")
