"""What a picture is made of, to take away: its numbers, and the code that asks for them in a notebook."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from app import engine
from app.components.exchange import downloads
from kdcore import arrays

_LINE = 90  # letters

Asked = dict[str, tuple[str, dict[str, Any]]]  # what the answer is called, the question, its arguments


def take(asked: Asked, key: str) -> None:
    """Offer the inspector's answers as npz and CSV, and the same calls of `kdcore.inspect` as code.

    Arrays among the arguments, which are too long for the code, are in the files too, from where it reads them. The
    picture itself is saved from its own tool bar.
    """
    with st.popover("Numbers and code", icon=":material/download:"):
        with st.container(horizontal=True):
            for label, ending, write in (("Numbers (npz)", "npz", arrays.npz), ("Numbers (CSV)", "csv", arrays.csv)):
                st.download_button(label, partial(_written, write, asked), f"{key}.{ending}", on_click="ignore",
                                   icon=":material/download:", key=f"{key}.{ending}")
        st.markdown("In a notebook, from the repository's folder:")
        st.code(code(asked, f"{key}.npz"), language="python")
        st.caption("The picture is saved as PNG or SVG from its own tool bar, at its upper right.")


def take_runs(experiments: list[str]) -> None:
    """The same of what runs recorded: tables of each experiment, and the lines that give them as data frames."""
    with st.popover("Numbers and code", icon=":material/download:"):
        for experiment in experiments:
            st.text(experiment)
            downloads(experiment, None)
        st.markdown("A picture is saved as PNG or SVG from its own tool bar, a table as CSV from its own. In a "
                    "notebook, from the repository's folder:")
        st.code("\n".join(["import kdcore", "", *(line for name in experiments for line in (
            f"runs = kdcore.runs({name!r})  # settings and results, a row for each run",
            f"curves = kdcore.metrics({name!r})  # all that they recorded"))]), language="python")


def code(asked: Asked, file: str) -> str:
    """A program that asks the same, and prints what each answer holds; it reads from the `file` what was given."""
    calls = [f"{name} = {_call(question, [_told(name, *argument) for argument in arguments.items()])}"
             for name, (question, arguments) in asked.items()]
    reads = [f"numbers = numpy.load({file!r})  # the numbers above; they have the image"] if _given(asked) else []
    return "\n".join([*(["import numpy", ""] if reads else []), "from kdcore import arrays, inspect",
                      "from kdcore.store import Store", "", "store = Store()  # of $KD_STORE; or of a folder", *reads,
                      *calls, f"for name, values in arrays.flat([{', '.join(asked)}]).items():",
                      "    print(name, values.shape)"])


def _call(question: str, told: list[str]) -> str:
    line = f"inspect.{question}(store, {', '.join(told)})"
    return line if len(line) < _LINE else f"inspect.{question}(\n    store,\n    " + ",\n    ".join(told) + ")"


def _told(asked: str, name: str, value: Any) -> str:
    return f"{name}=numbers['given.{asked}.{name}']" if isinstance(value, np.ndarray) else f"{name}={value!r}"


def _given(asked: Asked) -> dict[str, np.ndarray]:
    """The arrays among the arguments."""
    return {f"{name}.{argument}": value for name, (_, arguments) in asked.items()
            for argument, value in arguments.items() if isinstance(value, np.ndarray)}


def _written(write, asked: Asked) -> bytes:
    found = {name: engine.answer(question, **arguments) for name, (question, arguments) in asked.items()}
    return write({**found, "given": _given(asked)})
