"""What the page on sensitivity maps shows below the maps of one image: training, means of a class, many images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from app import comparison, engine, figures, results
from app.components.absent import why_absent
from app.components.chart import chart
from app.components.image_picker import some_images
from app.components.maps import SCALES, Look, map_picture
from app.components.pickers import map_picker
from app.components.player import player
from app.components.take import Asked

MEASURES = {"cosine": "Cosine", "ranks": "Rank correlation", "top": "Overlap of the strongest"}
SHARES = {"1 %": 0.01, "5 %": 0.05, "10 %": 0.1, "20 %": 0.2}
MANY = {"50 images": 50, "100 images": 100, "300 images": 300}
DRAWS = (1, 10, 25, 50)
PLACES = {"object": "Object", "watermark": "Watermark"}


@dataclass(frozen=True)
class Shown:
    """Which maps the page shows, of which networks, and how they are drawn; `rows` "label" is each image's class."""

    students: list[dict]
    teacher: tuple[int, int] | None
    index: int
    kind: str
    number: str
    rows: list[int] | str | None
    overlay: bool
    look: Look
    noise: float
    draws: int

    @property
    def asked(self) -> dict[str, Any]:
        """What every question about these maps has in common."""
        return {"kind": self.kind, "teacher": self.teacher, "settings": results.settings(self.students, self.kind),
                "noise": self.noise, "draws": self.draws}

    @property
    def networks(self) -> list[tuple[int, int]]:
        """The teacher, where there is one, and the students."""
        return [*([self.teacher] if self.teacher else []),
                *((run["id"], results.last_step(run)) for run in self.students)]

    @property
    def names(self) -> list[str]:
        """What those are called."""
        return [*(["Teacher"] if self.teacher else []), *results.short_names(self.students)]

    @property
    def colours(self) -> list[str]:
        """The colours of those."""
        return [*([figures.TEACHER_COLOUR] if self.teacher else []), *results.colours(self.students).values()]

    @property
    def noise_told(self) -> str:
        """What the noise has to do with the picture, in a sentence's part; empty without any."""
        if not self.noise:
            return ""
        several = (f"; maps, answers and numbers are means over {self.draws} noisy images, of which the first is shown"
                   if self.draws > 1 else "; maps, answers and numbers are of the noisy image")
        return f", and has noise of standard deviation {self.noise:g}{several}"

    def draw(self, entries: list[dict], names: list[str], image: dict, key: str, **further) -> None:
        """Draw the maps of an image that the inspector answered."""
        map_picture(entries, names, image, key, rows=[image["label"]] if self.rows == "label" else self.rows,
                    overlay=self.overlay, number=self.number, look=self.look, **further)


def controls(students: list[dict], teacher: tuple[int, int] | None, index: int) -> Shown:
    """Which map, under which noise, in one row; how it is drawn, in the next."""
    which, of_class, strength, many = st.columns([1.25, 1.35, 0.9, 1], vertical_alignment="bottom")
    scale, absolute, smooth, under = st.columns([1, 1.24, 1.17, 1.37], vertical_alignment="bottom")
    kind, number, rows, overlay = map_picker(students[0], (which, of_class, under))
    noise = strength.slider("Input noise", 0.0, 0.5, step=0.05, key="noise", bind="query-params",
                            help="The standard deviation of normal noise that is added to the image, whose pixels are "
                            "between 0 and 1; it is always the same.")
    draws = many.selectbox("Noisy images", DRAWS, key="draws", bind="query-params", disabled=not noise,
                           help="The maps are means over as many, in which chance cancels out (SmoothGrad, Smilkov "
                           "et al. 2017)." if noise else "There is no noise of which to take a mean; add some first.")
    look = Look(scale=scale.selectbox("Scale", SCALES, key="scale", bind="query-params",
                                      help="What the end of the colours stands for: the largest value in sight, the "
                                      "one that 1 % exceed, or each map's own largest."),
                absolute=absolute.toggle("Absolute", key="absolute", bind="query-params",
                                         help="How strongly a change of the pixel would count, up or down."),
                smooth=smooth.toggle("Smooth", key="smooth", bind="query-params",
                                     help="Neighbouring pixels averaged, for the picture only."))
    return Shown(students, teacher, index, kind, number, rows, overlay, look, noise, draws if noise else 1)


def while_it_trained(shown: Shown, image: dict, entries: list[dict]) -> Asked:
    """A student's map at a snapshot, beside the teacher's, and its number at every one."""
    taught = [i for i, run in enumerate(shown.students) if shown.kind in comparison.trained_on(run)]
    followed = st.selectbox("Student", shown.students, index=(taught or [len(shown.students) - 1])[0],
                            format_func=lambda run: run["name"], key="followed", help="Whose snapshots are shown.")
    asked = {"run": followed["id"], "steps": engine.store().snapshot_steps(followed["id"]), **shown.asked,
             "index": shown.index}
    with st.spinner("Computing the maps of every snapshot…"):
        timeline = engine.answer("timeline", **asked)
    beside = shown.teacher and entries[0]["maps"] is not None

    def draw(step: int) -> None:
        shown.draw([*([entries[0]] if beside else []), timeline[step]],
                   [*(["Teacher"] if beside else []), f"{followed['title']} · step {step}"], image, "timeline",
                   beside=list(timeline.values()))
        if timeline[step]["distance"] is not None:
            chart(figures.over_snapshots(timeline, step, f"{shown.number} of the map"), "distances",
                  f"The {shown.number} of the student's map at every snapshot")

    player(list(timeline), draw)
    return {"timeline": ("timeline", asked)}


def of_a_class(shown: Shown, image: dict, entries: list[dict]) -> Asked:
    """The mean map of a class in each network."""
    left, right = st.columns(2)
    options = ["the image's class", *image["classes"]]
    of = left.selectbox("Images of", options, key="of_class", bind="query-params",
                        help="The first test images of this class are taken.")
    most = MANY[right.selectbox("How many", list(MANY), key="of_many", bind="query-params",
                                help="At most: a class may have fewer test images.")]
    asked = {"networks": shown.networks, "most": most, **shown.asked,
             "label": image["label"] if of == options[0] else options.index(of) - 1}
    with st.spinner("Computing the maps of the class…"):
        found = engine.answer("class_maps", **asked)
    shown.draw(found["entries"], shown.names, found, "mean")
    st.caption(f"Means over {found['count']} test images of class "
               f"{figures.markdown(found['classes'][found['label']])}: of the images, the maps, the answers and the "
               "numbers. Where a map has one sign here and the other there, its mean is small."
               f"{_under_noise(shown)}")
    return {"of_class": ("class_maps", asked)}


def alike(shown: Shown, image: dict, entries: list[dict]) -> Asked:
    """How alike the students' maps are to the teacher's, over the test images and in this one."""
    how, top, many = st.columns([1.8, 1, 1.2], vertical_alignment="bottom")
    measure = how.selectbox("Measure", list(MEASURES), format_func=MEASURES.get, key="measure", bind="query-params",
                            help="The cosine of the angle between the two maps; Spearman's correlation of the ranks of "
                            "their entries; or how many of the strongest entries of the one are so in the other.")
    share = SHARES[top.selectbox("Strongest", list(SHARES), index=2, key="top", bind="query-params",
                                 disabled=measure != "top", help="How many entries count as the strongest, by "
                                 "absolute value; chance gives an overlap of as much.")]
    indices = _many(shown, many)
    asked = {"networks": shown.networks[1:], "rows": shown.rows, "shares": list(SHARES.values()), **shown.asked}
    with st.spinner(f"Comparing the maps of {len(indices)} images…"):
        found, here = (engine.answer("likeness", indices=some, **asked) for some in (indices, [shown.index]))
    key = f"top {share}" if measure == "top" else measure
    _histograms(found, shown.names[1:], shown.colours[1:], key, MEASURES[measure].lower() + " with the teacher's map",
                {"chance": share} if measure == "top" else {})
    st.caption(f"Over {len(indices)} test images, and in brackets for image {shown.index}: "
               f"{_means(found, here, shown.names[1:], key, '{:.2f}')}. 1 is the same"
               f"{' up to a factor' if measure == 'cosine' else ' order' if measure == 'ranks' else ' set'}, and "
               f"chance gives {share if measure == 'top' else 0:g}.{_under_noise(shown)}")
    return {"alike": ("likeness", {**asked, "indices": indices})}


def on_object(shown: Shown, image: dict, entries: list[dict]) -> Asked:
    """How much of the maps lies on the object, or on the watermark, over the test images and in this one."""
    where, many = st.columns([3, 1.2], vertical_alignment="bottom")
    indices = _many(shown, many)
    asked = {"networks": shown.networks, "rows": shown.rows, **shown.asked}
    with st.spinner(f"Looking where the maps of {len(indices)} images lie…"):
        found, here = (engine.answer("on_object", indices=some, **asked) for some in (indices, [shown.index]))
    marked = "watermark" in found["covers"]
    place = where.segmented_control("Place", list(PLACES), default="object", required=True, format_func=PLACES.get,
                                    key="place", bind="query-params", disabled=not marked, help="The object, or the "
                                    "mark that betrays the class of training images." if marked else
                                    "These images have no watermark.")
    place = place if marked else "object"
    covered = found["covers"][place].mean()
    _histograms(found["entries"], shown.names, shown.colours, place, f"share of the map on the {place}",
                {f"{place}'s area": covered})
    st.caption(f"Over {len(indices)} test images, and in brackets for image {shown.index}: the {place} covers "
               f"{covered:.1%} ({here['covers'][place][0]:.1%}), and as much of a map without any preference would lie "
               f"on it. Of the maps, by absolute values, there lies: "
               f"{_means(found['entries'], here['entries'], shown.names, place, '{:.1%}')}.{_under_noise(shown)}")
    return {"on_object": ("on_object", {**asked, "indices": indices})}


AGREEMENT, OBJECT = "Agreement", "On the object"
SECTIONS = {"While it trained": while_it_trained, "Mean of a class": of_a_class, AGREEMENT: alike, OBJECT: on_object}


def section_picker(shown: Shown) -> Callable[[Shown, dict, list[dict]], Asked]:
    """What is shown below the maps of one image; what cannot be is left out, and the help says why."""
    known, absent = results.image_set(shown.students[0]), {}
    if not shown.teacher:
        absent[AGREEMENT] = "these students have no teacher to agree with"
    if not known["masked"]:
        absent[OBJECT] = (f"it is not known where the object is in {figures.markdown(known['title'])}; the made shapes "
                          "come with that truth, choose them on Train")
    left_out = "".join(f" {name} is left out: {reason}." for name, reason in absent.items())
    chosen = st.segmented_control("Look further", [name for name in SECTIONS if name not in absent],
                                  default="While it trained", required=True, key="section", bind="query-params",
                                  help="What is shown below, of the same maps: at every step of the training, in the "
                                  f"mean of a class, or over many test images.{left_out}")
    return SECTIONS[chosen]


def _many(shown: Shown, place) -> list[int]:
    chosen = place.selectbox("Test images", list(MANY), index=1, key="over", bind="query-params",
                             help="How many are looked at, a fixed random choice; more take longer.")
    return some_images(shown.students, MANY[chosen])


def _histograms(entries: list[dict], names: list[str], colours: list[str], key: str, title: str,
                marks: dict[str, float]) -> None:
    """How the images' values are distributed, a line for each network; of the others it is said why they have none."""
    why_absent(names, entries)
    groups = [{"name": name, "colour": colour, "values": entry[key][np.isfinite(entry[key])]}
              for name, colour, entry in zip(names, colours, entries) if not entry["reason"]]
    if groups:
        chart(figures.distributions(groups, title, marks, of="images"), "many", f"Of many images, the {title}")


def _means(entries: list[dict], here: list[dict], names: list[str], key: str, form: str) -> str:
    """Each network's mean over the images where the value is defined, with that of the shown image in brackets."""
    return ", ".join(f"{figures.markdown(name)} {form.format(np.nanmean(entry[key]))} ({form.format(one[key][0])})"
                     for name, entry, one in zip(names, entries, here) if not entry["reason"])


def _under_noise(shown: Shown) -> str:
    """What the noise has to do with the maps of many images, as a sentence; empty without any."""
    if not shown.noise:
        return ""
    means = f"; an image's maps are means over {shown.draws} draws of it" * (shown.draws > 1)
    return (f" Each image has noise of standard deviation {shown.noise:g}, other noise than the next one and the same "
            f"in all networks{means}.")
