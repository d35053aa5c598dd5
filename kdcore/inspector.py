"""The inspector: a process with torch that answers the web process's questions with plain data.

It reads (question, arguments) from its connection and writes ("answer", value), ("sentence", text) for an error that
a user should read, or ("error", traceback). It ends when the connection closes.
"""

from __future__ import annotations

import io
import os
import tempfile
import traceback
import zipfile
from collections.abc import Callable
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

from kdcore.errors import UserError
from kdcore.store import Store

KEY_VARIABLE = "KD_INSPECTOR_KEY"


def serve(address: str, folder: str) -> None:
    """Connect to the web process at `address` and answer until it hangs up."""
    with Client(address, authkey=bytes.fromhex(os.environ.pop(KEY_VARIABLE))) as connection:
        _answer_all(connection, Store(folder))


def _answer_all(connection: Connection, store: Store) -> None:
    questions = _questions(store)
    while True:
        try:
            question, arguments = connection.recv()
        except EOFError:
            return
        try:
            connection.send(("answer", questions[question](**arguments)))
        except UserError as error:
            connection.send(("sentence", str(error)))
        except Exception:  # whatever a question does, the next one is answered
            connection.send(("error", traceback.format_exc()))


def _written(write: Callable, what: Any) -> bytes:
    """What is written to a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        write(what, file)
        return file.read_bytes()


def _zipped(write: Callable, what: Any) -> bytes:
    """What is written to a folder, as a zip file."""
    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in write(what, Path(folder)):
            packed.write(file, file.name)
    return content.getvalue()


def _read_back(read: Callable, content: bytes) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        file.write_bytes(content)
        return read(file)


def _questions(store: Store) -> dict:
    from functools import partial

    import torch

    from kdcore import bundle, catalogue, comparison, estimate, experiment, inspect, search
    from kdcore.config import parse, read
    from kdcore.data import SOURCES, DataConfig, source
    from kdcore.data.sources import download
    from kdcore.device import describe
    from kdcore.papers import plan

    torch.set_num_threads(1)
    return {
        "catalogue": catalogue.catalogue,
        "device": describe,
        "present": lambda: {name: known.downloaded() for name, known in SOURCES.items()},
        "download": download,
        "suitability": catalogue.suitability,
        "described": catalogue.described,
        "formula": catalogue.formula,
        "image_set": lambda content: catalogue.image_set(source(parse(DataConfig, content))),
        "plan": lambda content: parse(experiment.Experiment, content).planned(),
        "search_values": lambda content: parse(search.Search, {**content, "how": "grid"}).next({}, content["trials"]),
        "start_search": lambda content, **named: search.start(store, parse(search.Search, content), **named),
        "search_outcomes": lambda name: search.outcomes(store, name),
        "demo": lambda **arguments: experiment.demo(**arguments).planned(),
        "estimate": lambda content: estimate.estimate(parse(experiment.Experiment, content)),
        "export_experiment": partial(_written, partial(bundle.export_experiment, store)),
        "export_student": partial(_zipped, partial(bundle.export_student, store)),
        "import_experiment": lambda content, owner="": _read_back(
            partial(bundle.import_experiment, store, owner=owner), content),
        "image": partial(inspect.image, store),
        "from_file": partial(inspect.from_file, store),
        "maps": partial(inspect.maps, store),
        "class_maps": partial(inspect.class_maps, store),
        "likeness": partial(inspect.likeness, store),
        "on_object": partial(inspect.on_object, store),
        "answers_to": partial(inspect.answers_to, store),
        "layers": partial(inspect.layers, store),
        "outputs": partial(inspect.outputs, store),
        "agreement": partial(inspect.agreement, store),
        "stages": partial(inspect.stages, store),
        "timeline": partial(inspect.timeline, store),
        "differing": partial(inspect.differing, store),
        "disagreements": partial(inspect.disagreements, store),
        "line_world": partial(inspect.line_world, store),
        "plane_world": partial(inspect.plane_world, store),
        "image_groups": partial(inspect.image_groups, store),
        "examples": partial(inspect.examples, store),
        "varied": partial(inspect.varied, store),
        "predictions": partial(inspect.predictions, store),
        "robustness": partial(inspect.robustness, store),
        "costs": partial(inspect.costs, store),
        "rank_sums": comparison.rank_sums,
        "kendall": comparison.kendall,
        "paper": plan.outline,
        "paper_runs": plan.missing,
        "paper_estimate": lambda runs: estimate.of_runs([read(run) for run in runs]),
    }
