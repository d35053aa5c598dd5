"""What disturbs an image before a network sees it; the choices live in the link."""

from __future__ import annotations

import streamlit as st

_PLACE = "Where the middle of the square is: 0 is the left or upper edge, 100 the other one."
SLIDERS = {  # key: label, from, to, untouched, step, help
    "shaken": ("Noise", 0.0, 0.5, 0.0, 0.01, "Standard deviation of what is added to each pixel; from black to white "
              "it is 1."),
    "across": ("Shift across", -50, 50, 0, 1, "To the right, in hundredths of the image's width."),
    "down": ("Shift down", -50, 50, 0, 1, "In hundredths of the image's height."),
    "rotation": ("Rotation", -180, 180, 0, 1, "Clockwise, in degrees."),
    "which_noise": ("Which noise", 0, 20, 0, 1, "Each is other noise, and always the same."),
    "square": ("Grey square", 0, 100, 0, 1, "The side of a square before the image, in hundredths of the image's."),
    "square_x": ("Its place across", 0, 100, 50, 1, _PLACE),
    "square_y": ("Its place down", 0, 100, 50, 1, _PLACE),
}
NEEDS = {"which_noise": "shaken", "square_x": "square", "square_y": "square"}


def disturbances() -> dict:
    """Sliders for noise, shift, rotation and a grey square: the arguments of the engine's `perturbed`."""
    chosen = {}
    for first in (0, 4):
        for column, key in zip(st.columns(4), list(SLIDERS)[first : first + 4]):
            label, low, high, untouched, step, words = SLIDERS[key]
            needed = NEEDS.get(key)
            idle = needed is not None and not chosen[needed]
            chosen[key] = column.slider(
                label, low, high, untouched, step, key=key, bind="query-params", disabled=idle,
                help=f"{words} Needs {SLIDERS[needed][0].lower()} above 0." if idle else words)
    st.button("Reset", icon=":material/restart_alt:", on_click=_reset, help="Leave the image as it is.",
              disabled=all(chosen[key] == SLIDERS[key][3] for key in SLIDERS))
    return {"noise": chosen["shaken"], "shift": (chosen["across"] / 100, chosen["down"] / 100),
            "rotation": chosen["rotation"], "square": chosen["square"] / 100,
            "at": (chosen["square_x"] / 100, chosen["square_y"] / 100), "seed": chosen["which_noise"]}


def _reset() -> None:
    st.session_state.update({key: slider[3] for key, slider in SLIDERS.items()})
