"""Noise and slope: two worlds so small that all of a teacher and its students can be drawn while they learn."""

import streamlit as st

from app import engine
from app.components.player import player
from app.components.take import take
from app.components.worlds import WORLDS, controls, minimised

st.title("Noise and slope")
st.markdown("Two worlds so small that you see all of a network at once, while it learns by the losses that are used on "
            "images.")
chosen = st.segmented_control("World", list(WORLDS), default="One input", required=True, key="world",
                              bind="query-params", help="Networks that look at one number, which are curves, or at "
                              "two, which are maps.")
world = WORLDS[chosen]
asked = controls(world)
st.markdown(world.sentence)
with st.spinner(f"Training {world.learners}…"):
    found = engine.answer(world.question, **asked)
player(found["steps"], lambda step: world.draw(found, step), key="moment")
take({"world": (world.question, asked)}, world.file)
minimised(found)
if world.further:
    world.further(found, asked)
