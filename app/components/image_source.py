"""Where an image to try comes from; the choice lives in the link."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import engine, results, uploads
from app.components.absent import or_say_why
from app.components.image_picker import image_picker

DRAW, TEST, FILE, CAMERA = SOURCES = ("An empty pad", "A test image", "A file", "The camera")


def image_source(teacher: tuple | None, students: list[dict]) -> np.ndarray:
    """The chosen image (C, H, W) on which one may draw: black, a test image, a file or a photograph."""
    source = st.segmented_control("Start from", SOURCES, default=DRAW, required=True, key="source", bind="query-params",
                                  help="Draw onto any of them. A picture of yours is cut to a square and made as small "
                                  "as the images that the networks know.")
    if source == TEST:
        return engine.answer("image", run=students[0]["id"], index=image_picker(teacher, students))["pixels"]
    shape = results.image_set(students[0])["shape"]
    if source == DRAW:
        return np.zeros(shape, np.float32)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        file = st.camera_input("Photograph", width=360) if source == CAMERA else st.file_uploader(
            "Image file", max_upload_size=uploads.most_image_megabytes())
        inverted = shape[0] == 1 and st.toggle("White on black", key="inverted", bind="query-params",
                                               help="Inverts the image: ink on paper becomes white on black, as most "
                                               "sets of digits have it.")
    if not file:
        return np.zeros(shape, np.float32)
    with or_say_why():
        return uploads.read_image(students[0]["id"], file.file_id, file.getvalue(), inverted)
