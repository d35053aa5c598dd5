"""An experiment as one zip file, and a student as files that load without this project.

In an experiment's zip: experiment.json (settings, states, events, notes), metrics.csv and metrics.parquet, and each
run's snapshots as safetensors. Nothing of it is a pickle, so that a stranger's can be read; sizes are bounded, and
names of files are matched and never followed.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import struct
import tempfile
import zipfile
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, Field, model_validator
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from kdcore import frames, snapshots
from kdcore.config import read
from kdcore.errors import UserError
from kdcore.notes import checked
from kdcore.places import replace_file, replacing
from kdcore.store import ENDED, Store

FORMAT = 1
MOST_BYTES = 4 * 2**30  # of an imported file, unpacked
MOST_TABLE = 500 * 2**20  # of its metrics
MOST_ENTRIES = 300_000
_SNAPSHOT = re.compile(r"runs/([1-9]\d{0,8})/snapshots/(0|[1-9]\d{0,8})\.safetensors")
_AGAIN = "export the experiment again."
_LOADING = '''import torch

program = torch.export.load("student.pt2").module()  # the whole network: needs nothing but torch
images = torch.zeros(1, {shape})  # N, channels, height, width; values from 0 to 1
print(program(images).argmax(1))  # classes: {classes}
'''
_LOADING_WEIGHTS = '''import torch

weights = torch.load("student.pt", weights_only=True)  # torch could not export this network as a program of its own
for name, values in weights.items():
    print(name, tuple(values.shape))  # for load_state_dict of a module like it; classes: {classes}
'''
Number = Annotated[int, Field(ge=1, lt=2**31)]
Step = Annotated[int, Field(ge=0, lt=2**31)]
Moment = Annotated[float, Field(ge=0, lt=2**33, allow_inf_nan=False)]


class _Noted(BaseModel):
    """What people wrote beside it, checked before anything of the file is kept."""

    note: str = ""
    tags: str = ""

    @model_validator(mode="after")
    def _short(self) -> _Noted:
        checked(self.note, self.tags)
        return self


class _Run(_Noted):
    """A run as experiment.json has it; a stranger may have written it."""

    id: Number
    config: dict[str, Any]
    state: Literal["done", "failed", "stopped"]
    message: str = Field(max_length=10_000)
    step: Step
    teacher: Number | None
    parts: Annotated[list[Number], Field(max_length=100)]
    created: Moment
    started: Moment | None
    finished: Moment | None
    events: Annotated[list[tuple[Step, Moment, str]], Field(max_length=10_000)]

    def needs(self) -> set[int]:
        """The runs that it is made of, and its teacher."""
        return {*self.parts, *([self.teacher] if self.teacher else [])}


class _Described(_Noted):
    format: Literal[FORMAT]
    name: str
    content: dict[str, Any] = {}
    runs: Annotated[list[_Run], Field(min_length=1, max_length=10_000)]


def export_experiment(store: Store, name: str, file: Path) -> None:
    """Write an experiment, with all that its runs recorded and learnt; what still waits or runs is left out.

    Raises UserError where there is none, or none of its runs has ended.
    """
    experiment = store.experiment(name)
    listed = store.queue.with_needed([row["id"] for row in store.runs(name)])
    rows = {row["id"]: {**row, "parts": store.parts(row["id"])} for row in store.runs(ids=listed)}
    ended = {run for run, row in rows.items() if row["state"] in ENDED}
    while unready := {run for run in ended if {*rows[run]["parts"], rows[run]["teacher"]} - {None} - ended}:
        ended -= unready
    if not ended:
        raise UserError(f"No run of {name!r} has ended with all that it needs; export it when one has.")
    kept = ("id", "state", "message", "step", "teacher", "parts", "created", "started", "finished", "note", "tags")
    told = {field: experiment[field] for field in ("name", "content", "note", "tags")}
    described = {"format": FORMAT, **told, "runs": [
        {**{field: rows[run][field] for field in kept}, "config": json.loads(rows[run]["config"]),
         "events": [[event["step"], event["at"], event["text"]] for event in store.events(run)]}
        for run in sorted(ended)]}
    table = frames.recorded(store, sorted(ended))
    with replacing(file) as fresh, zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        packed.writestr("experiment.json", json.dumps(described, indent=1))
        packed.writestr("metrics.csv", table.to_csv(index=False))
        packed.writestr("metrics.parquet", table.to_parquet(index=False))
        for run in sorted(ended):
            for step in store.snapshot_steps(run):
                packed.writestr(f"runs/{run}/snapshots/{step}.safetensors",
                                save(_flat(snapshots.load(store.snapshot(run, step)))))


def import_experiment(store: Store, file: Path, owner: str = "") -> str:
    """Read an exported experiment into the store, as this person's, and return the name that it has here.

    A run that is there already (the same settings, trained to its end) is listed and not doubled. Raises UserError
    where the file is not an experiment, too large, or one of its runs is not possible here; nothing is kept then.
    """
    with _opened(file) as packed, tempfile.TemporaryDirectory(dir=store.folder, prefix="import-") as waiting:
        described, table = _described(packed), _metrics(packed)
        runs = {run.id: run for run in described.runs}
        planned = {number: _planned(run) for number, run in runs.items()}
        order = _order(runs)
        for entry in packed.namelist():
            if (found := _SNAPSHOT.fullmatch(entry)) and int(found[1]) in runs:
                snapshots.save(Path(waiting) / found[1] / f"{found[2]}.pt", _nested(_tensors(packed, entry)))
        with store.transaction():
            name, here = store.free_name(" ".join(described.name.split())[:120] or "imported"), {}
            for number in order:
                run, weights = runs[number], Path(waiting) / str(number)
                if run.state == "done" and not run.parts and not weights.exists():
                    run = run.model_copy(update={"state": "failed", "message": "It came without its weights; train it "
                                                                              "again to have them."})
                here[number], fresh = store.admit(planned[number], run.model_dump(), name, here.get(run.teacher),
                                                  [here[part] for part in dict.fromkeys(run.parts)], owner)
                if fresh:
                    store.record(here[number], table.get(number, []), run.events)
                    store.annotate(here[number], run.note, run.tags)
                    for snapshot in weights.glob("*.pt"):
                        store.take(here[number], int(snapshot.stem), snapshot)
            store.describe(name, {**described.content, "finished": True})  # a search is not gone on with here
            store.annotate_experiment(name, described.note, described.tags)
    return name


def export_student(store: Store, run: int, folder: Path) -> list[Path]:
    """Write a run's network: student.safetensors, student.pt (a state_dict), student.pt2 (a program that needs torch
    alone), run.json, and load.py with the lines that load it. Returns the files.

    Where torch cannot export the network as a program, load.py reads the state_dict and says what it is for.
    """
    network, config = snapshots.network(store, run), read(store.run(run)["config"])
    side, state = config.side(), network.state_dict()
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / "student.safetensors", save({name: value.clone() for name, value in state.items()}))
    snapshots.save(folder / "student.pt", state)
    replace_file(folder / "run.json", config.model_dump_json(indent=2).encode())
    program = io.BytesIO()
    with suppress(Exception):  # foreign modules fail in as many ways as there is code
        torch.export.save(_program(network, side.images), program)
        replace_file(folder / "student.pt2", program.getvalue())
    loading = _LOADING if (folder / "student.pt2").exists() else _LOADING_WEIGHTS
    loading = loading.format(shape=", ".join(map(str, side.images)), classes=json.dumps(side.classes))
    replace_file(folder / "load.py", loading.encode())
    return sorted(folder.iterdir())


def _program(network: nn.Module, shape: tuple[int, int, int]) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1, max=100_000)
    return torch.export.export(network, (torch.rand(2, *shape),), dynamic_shapes=({0: batch},))


def _flat(state: dict) -> dict[str, Tensor]:
    """A snapshot's tensors under one name each."""
    network = state.get("network", state)
    connectors = {f"connectors/{key}/{name}": value for key, module in state.get("connectors", {}).items()
                  for name, value in module.items()} if "network" in state else {}
    return {name: value.contiguous() for name, value in {
        **{f"network/{name}": value for name, value in network.items()}, **connectors}.items()}


def _nested(tensors: dict[str, Tensor]) -> dict:
    state: dict = {"network": {}, "connectors": {}}
    for path, value in tensors.items():
        place, _, rest = path.partition("/")
        key, _, name = rest.partition("/")
        if place == "network":
            state["network"][rest] = value
        elif place == "connectors":
            state["connectors"].setdefault(key, {})[name] = value
    return state


def _planned(run: _Run) -> dict:
    """The run as the store takes it. Raises UserError where it leads to something on this machine."""
    config = read(run.config)
    for part in filter(None, (config, config.teacher)):
        if part.data.path is not None:
            raise UserError(f"The images of this experiment are somebody's own ({part.data.path}) and not in the file; "
                            "train it here, on yours.")
        if part.network.start is not None and part.network.start.kind != "published":
            raise UserError("A network of this experiment starts from a file or another run, and they are not in it; "
                            "train it here.")
    return {**config.planned(), "obstacle": ""}


def _opened(file: Path) -> zipfile.ZipFile:
    if not file.exists():
        raise UserError(f"There is no file {file}; give the path of an experiment that Apprentice exported.")
    try:
        packed = zipfile.ZipFile(file)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, struct.error) as error:
        raise UserError("This is no zip file, or a damaged one; choose an experiment that Apprentice exported."
                        ) from error
    sizes = [entry.file_size for entry in packed.infolist()]
    if sum(sizes) > MOST_BYTES or len(sizes) > MOST_ENTRIES:
        packed.close()
        raise UserError(f"This file holds {sum(sizes) / 1e9:.1f} GB in {len(sizes)} files, and {MOST_BYTES / 1e9:.1f} "
                        f"GB in {MOST_ENTRIES} are the most that is read; export the experiment with fewer runs, or "
                        "thin its snapshots.")
    return packed


def _entry(packed: zipfile.ZipFile, name: str, most: int = MOST_BYTES) -> bytes:
    """What an entry holds, and no more than it says, nor than `most` bytes."""
    try:
        with packed.open(name) as content:
            size = packed.getinfo(name).file_size
            if size > most:
                raise UserError(f"{name} is too long to be read; export the experiment with fewer runs.")
            found = content.read(size + 1)
    except (KeyError, zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise UserError(f"{name} is missing in this file, or damaged; choose an experiment that Apprentice exported."
                        ) from error
    except UserError:
        raise
    except Exception as error:  # zlib and lzma have errors of their own
        raise UserError(f"{name} is damaged in this file; export the experiment again.") from error
    if len(found) != size:
        raise UserError(f"{name} is longer in this file than it says; export the experiment again.")
    return found


def _described(packed: zipfile.ZipFile) -> _Described:
    try:
        content = json.loads(_entry(packed, "experiment.json", MOST_TABLE))
        if isinstance(content, dict) and content.get("format", FORMAT) != FORMAT:
            raise UserError(f"This experiment has the format {content['format']!r}, and this version of Apprentice "
                            f"reads {FORMAT}; update Apprentice.")
        json.dumps(content, ensure_ascii=False).encode()  # half a letter cannot be kept
        described = _Described.model_validate(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"experiment.json is not what Apprentice writes; {_AGAIN}") from error
    if len({run.id for run in described.runs}) < len(described.runs):
        raise UserError(f"experiment.json is not what Apprentice writes; {_AGAIN}")
    return described


def _order(runs: dict[int, _Run]) -> list[int]:
    """The runs' numbers, each behind those that it needs. Raises UserError where one is missing, or needs itself."""
    if any(run.needs() - set(runs) for run in runs.values()):
        raise UserError("A run of this experiment needs another one that is not in the file; export it again.")
    try:
        return list(TopologicalSorter({number: run.needs() for number, run in runs.items()}).static_order())
    except CycleError as error:
        raise UserError(f"A run of this experiment needs itself; {_AGAIN}") from error


def _metrics(packed: zipfile.ZipFile) -> dict[int, list[tuple[int, str, float]]]:
    """{run: [(step, metric, value)]}; what is not finite is left out."""
    found: dict[int, list] = {}
    try:
        for row in csv.DictReader(io.StringIO(_entry(packed, "metrics.csv", MOST_TABLE).decode())):
            run, step = int(row.pop("run")), int(row.pop("step"))
            values = ((name[:200], float(value)) for name, value in row.items() if value)
            if 0 <= step < 2**31:
                found.setdefault(run, []).extend(
                    (step, name, value) for name, value in values if math.isfinite(value))
    except (ValueError, LookupError, TypeError, AttributeError, csv.Error) as error:
        raise UserError(f"metrics.csv is not what Apprentice writes; {_AGAIN}") from error
    return found


def _tensors(packed: zipfile.ZipFile, entry: str) -> dict[str, Tensor]:
    try:
        return load(_entry(packed, entry))
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UserError(f"{entry} holds no weights; export the experiment again.") from error
