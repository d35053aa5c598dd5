"""Disagreements: the test images on which two networks' answers, or their maps, differ most."""

import streamlit as st

from app import engine, figures, results
from app.components.pickers import experiment_picker, trained
from app.components.take import take
from app.navigation import pages

ANSWERS, ACROSS = "answers", 6
st.title("Disagreements")
st.markdown("The test images on which two networks differ most: there you see what the one has learnt and the other "
            "has not.")
experiment = experiment_picker()
runs = trained(engine.store().runs(experiment))
teachers = engine.store().runs(ids=list({run["teacher"] for run in runs if run["teacher"]}))
named = {run["id"]: run["name"] for run in (*teachers, *runs)}
maps = engine.catalogue()["maps"]
ways = {ANSWERS: "their answers", **{kind: f"their {maps[kind]['title'].lower()}" for kind in maps
                                     if maps[kind]["number"] == "distance"}}
left, right, how = st.columns(3)
first = left.selectbox("One network", list(named), 0, format_func=named.get, key="one", bind="query-params",
                       help="Whose answer stands first under an image.")
second = right.selectbox("The other", list(named), min(1, len(named) - 1), format_func=named.get, key="other",
                         bind="query-params", help="Whose answer stands second.")
by = how.selectbox("Differ by", list(ways), format_func=ways.get, key="by", bind="query-params",
                   help="The share of probability that is given to other classes, or the distance of the maps that the "
                   "losses are made of.")
if first == second:
    st.info("Choose two networks: one agrees with itself.", icon=":material/compare:")
    st.stop()
asked = {"by": by, **{which: (run, results.last_step({"id": run})) for which, run in (
    ("first", first), ("second", second))}}
try:
    with st.spinner("Comparing the test images…"):
        found = engine.answer("differing", **asked)
except engine.UserError as error:
    st.info(figures.markdown(str(error)), icon=":material/block:")
    st.stop()
wrong = sum(one["answers"][0][0] != one["answers"][1][0] for one in found)
st.caption(f"Of up to 500 test images, a fixed random choice, these {len(found)} differ most, the most first; on "
           f"{wrong} of them the two give different answers. Under each: its class, the first network's answer, and "
           "the second's.")
take({"differing": ("differing", asked)}, "disagreements")
its_maps = pages()["sensitivity"]
for start in range(0, len(found), ACROSS):
    for place, one in zip(st.columns(ACROSS), found[start : start + ACROSS]):
        with place:
            said = [f"{which} network says {name} ({share:.0%})" for which, (name, share) in zip(
                ("the first", "the other"), one["answers"])]
            st.image(figures.picture(one["pixels"]), width="stretch",
                     alt=f"Test image {one['index']} of class {one['label']}: {', '.join(said)}")
            told = [f"{':green[✓' if name == one['label'] else ':red[✗'} {figures.markdown(name)} {share:.0%}]"
                    for name, share in one["answers"]]
            st.markdown("  \n".join([f"**{figures.markdown(one['label'])}**", *told]))
            st.page_link(its_maps, label=f"Image {one['index']}", icon=":material/visibility:",
                         query_params={"experiment": experiment, "image": str(one["index"]), "students": [
                             str(run) for run in (first, second) if run in {run["id"] for run in runs}]})
