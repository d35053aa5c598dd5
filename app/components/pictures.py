"""Examples of a set's images, a row for each class, and one of them as networks see it."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import engine, figures
from app.components.chart import chart

ROWS = 20
MOST_DRAWS = 10**6
_COLOURS = {"training": figures.COLOURS[0], "test": figures.COLOURS[1], "labelled": figures.COLOURS[0],
            "wrongly labelled": figures.COLOURS[3], "unlabelled": figures.BASELINE_COLOUR,
            "held out": figures.COLOURS[2]}
# what is said beneath an image that is not as it seems; it has a frame too
_WORDS = {"wrongly labelled": "as {given}", "unlabelled": "no label", "held out": "held out"}


def balance(counts: dict[str, np.ndarray], classes: list[str], key: str, *, stacked: bool) -> None:
    """Draw how many images there are of each class."""
    groups = [{"name": group, "colour": _COLOURS[group], "values": of_class} for group, of_class in counts.items()
              if of_class.sum()]
    chart(figures.class_counts(groups, classes, stacked=stacked), key,
          f"How many images there are of each class: {', '.join(group['name'] for group in groups)}")


def choose_rows(counts: dict[str, np.ndarray], classes: list[str]) -> tuple[list[str], list[int], int]:
    """Which groups of images to draw examples from, of which classes, and the number of the draw."""
    there = [group for group, of_class in counts.items() if of_class.sum()]
    starts = range(0, len(classes), ROWS)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.pills("Show", there, default=there, selection_mode="multi", key="shown", bind="query-params",
                          help="None chosen: all of them.") if len(there) > 1 else []
        start = st.selectbox("Classes", starts, key="classes", bind="query-params", width=280,
                             format_func=lambda start: f"{classes[start]} to {classes[start:start + ROWS][-1]}",
                             help="Twenty classes at a time.") if len(starts) > 1 else 0
        draw = st.number_input("Draw", 0, MOST_DRAWS - 1, key="choice", bind="query-params", width=130,
                               help="Each number is another random choice.")
        st.button("Others", icon=":material/casino:",
                  on_click=lambda: st.session_state.update(choice=(draw + 1) % MOST_DRAWS))
    return chosen or there, list(range(start, min(start + ROWS, len(classes)))), draw


def class_rows(rows: list[list[dict]], names: list[str], key: str) -> None:
    """Draw the inspector's examples, a row for each class; what is not labelled as it is has a frame and a word."""
    shown = [(name, [_tile(one, name) for one in row]) for name, row in zip(names, rows) if row]
    if not shown:
        st.info("There are no such images of these classes.", icon=":material/hide_image:")
        return
    chart(figures.image_rows([row for _, row in shown], [name for name, _ in shown]), key,
          f"Examples of images, a row for each of the classes {', '.join(name for name, _ in shown)}")
    if without := [name for name, row in zip(names, rows) if not row]:
        st.caption(f"There are none of {figures.markdown(', '.join(without))}.")


def _tile(one: dict, name: str) -> dict:
    words = _WORDS.get(one["group"], "").format(given=one["given"])
    taught = f", trained on as {one['given']}" * (one["group"] == "wrongly labelled")
    part = {"train": "training", "test": "test"}[one["part"]]
    return {"pixels": one["pixels"], "colour": _COLOURS[one["group"]] if words else None, "note": words,
            "told": f"{part} image {one['index']}: {name}, {one['group']}{taught}"}


def one_image(rows: list[list[dict]], data: dict, asked: dict) -> None:
    """Choose one image; it is shown beside its masks, where these are known, and a few draws of its variation."""
    first = next((one for row in rows for one in row), {"part": "train", "index": 0})
    ways = engine.catalogue()["schemas"]["data"]["augment"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        part = st.segmented_control("Part", ["train", "test"], default=first["part"], required=True, key="part",
                                    bind="query-params", help="Networks are trained on the one, and tested on the "
                                    "other, which is never varied.")
        index = st.number_input("Image", 0, None, None, key="example", bind="query-params", width=190,
                                placeholder="the first one", help="Its position in that part, which an example says "
                                "where the mouse is on it. Empty: the first of the examples.")
        usual = data.get("augment", ways["default"])
        chosen = st.selectbox("Variation", ways["enum"], None, key="augment", bind="query-params", width=220,
                              placeholder=_way(usual), format_func=_way, disabled=part == "test",
                              help=ways["description"])
    how = ways["default"] if part == "test" else chosen or usual
    index = (first["index"] if part == first["part"] else 0) if index is None else index
    try:
        found = engine.ask("varied", part=part, index=index, how=how, **asked)
    except engine.UserError as error:
        st.error(figures.markdown(str(error)))
        return
    varied = how != ways["default"]
    tiles = {"image": found["image"], **found["masks"],
             **{f"draw {number}": seen for number, seen in enumerate(found["draws"], 1) if varied}}
    chart(figures.image_rows([[{"pixels": pixels, "colour": None, "note": title, "told": title}
                               for title, pixels in tiles.items()]], [], side=96), "one",
          f"An image of class {found['label']}: {', '.join(tiles)}")
    st.caption(f"It is of class {figures.markdown(found['label'])}. " + (
        "Each training step sees another draw of it, by the function that varies the batches of a run." if varied else
        "Each training step sees it as it is." if part == "train" else "Test images are never varied."))


def _way(name: str) -> str:
    return name.replace("_", " ").capitalize()
