"""An image set to be chosen: what its images depend on, how it comes here, and what of it cannot be used."""

from __future__ import annotations

import streamlit as st

from app import downloads, engine, figures
from app.components.absent import or_say_why
from app.components.forms import field

MOST_NAMES = 50


def set_picker(catalogue: dict, on_change=None) -> str:
    """The name of an image set; it lives in the link."""
    sets = catalogue["data"]
    return st.selectbox("Image set", list(sets), format_func=lambda key: sets[key]["title"], key="data",
                        bind="query-params", help="Where the images come from.", on_change=on_change)


def varying_form(catalogue: dict, entry: dict, name: str) -> dict:
    """What the images themselves depend on: the place of one's own, their size, a watermark."""
    schemas, chosen = catalogue["schemas"]["data"], {}
    if entry["fetched"] == "own":
        path, size = st.columns([3, 1])
        chosen["path"] = path.text_input("Folder or zip file", key="data.path", bind="query-params",
                                         placeholder="/home/me/photos.zip", help=schemas["path"]["description"]) or None
        if not chosen["path"]:
            st.info("Give a folder or zip file in which each class has a folder of images, with or without train and "
                    "test above them.", icon=":material/folder_open:")
            st.stop()
        with size:
            chosen["size"] = field("size", schemas["size"], entry["shape"][1], "data.size")
    elif entry["sized"]:
        chosen["size"] = field("size", schemas["size"], entry["shape"][1], f"data.size.{name}")
    if entry["marked"]:
        chosen["watermark"] = field("watermark", schemas["watermark"], False, "data.watermark")
    return chosen


def used(data: dict) -> str:
    """What a run uses of its image set, by its settings, in sentences."""
    each, images, labelled = data["per_class"], data["images"], data["labelled_per_class"]
    many = (f"{each:,} image{'s' * (each > 1)} of each class" if each else
            f"{images:,} images, equally many of each class" if images else "all training images")
    return (f"The run uses {many}."
            + f" {data['validation']:.0%} of them are held out." * bool(data["validation"])
            + (f" {labelled:,} of each class {'keep their labels' if labelled > 1 else 'keeps its label'}."
               if labelled else "")
            + (f" {data['labelled_share']:.0%} of each batch have one." if data.get("labelled_share") else "")
            + f" {data['label_noise']:.0%} of the labels are replaced by wrong ones." * bool(data["label_noise"])
            + f" Each step varies them: {data['augment'].replace('_', ' and ')}." * (data["augment"] != "none"))


def facts(entry: dict, which: dict) -> dict:
    """The set as it is on this machine; stops the page where it is not."""
    if entry["fetched"] == "download":
        _offer_download(which["name"], entry)
    elif entry["fetched"] == "by hand" and downloads.present()[which["name"]] < 1:
        st.info(f"{entry['title']} is not on this machine yet. {entry['whence']}", icon=":material/folder_open:")
        st.stop()
    if not (entry["sized"] or entry["fetched"] == "own"):
        return entry
    with or_say_why(), st.spinner("Reading the images…"):
        return engine.ask("image_set", content=which)


def left_out(reasons: dict[str, list[str]]) -> None:
    """Which files are not used, by why; nothing where all are."""
    if not reasons:
        return
    count = sum(map(len, reasons.values()))
    many = "files or folders were" if count > 1 else "file or folder was"
    with st.expander(f"{count} {many} left out", icon=":material/broken_image:"):
        for why, names in reasons.items():
            more = f", and {len(names) - MOST_NAMES} more" * (len(names) > MOST_NAMES)
            st.markdown(f"**{len(names)} × {figures.markdown(why)}:** "
                        + figures.markdown(", ".join(names[:MOST_NAMES]) + more))


def _offer_download(data: str, entry: dict) -> None:
    """Where the image set is not on this machine, offer to download it and stop the page."""
    if downloads.present()[data] == 1:
        return
    st.info(f"{entry['title']} is not on this machine yet. It is a download of {entry['bytes'] / 1e6:.0f} MB, once.",
            icon=":material/download:")
    if st.button(f"Download {entry['title']}", type="primary", disabled=engine.settings().read_only
                 or "downloading" in st.session_state):
        downloads.start(data)
        st.session_state["downloading"] = data
    if st.session_state.get("downloading") == data:
        _follow_download(data)
    st.stop()


@st.fragment(run_every=0.5)
def _follow_download(data: str) -> None:
    share, error = downloads.present()[data], downloads.error(data)
    if share == 1 or error:
        st.session_state.pop("downloading", None)
    if error:
        st.error(error)
    elif share == 1:
        st.rerun()
    else:
        st.progress(share, text="Downloading…")
