"""An experiment as one zip file, and a student as files that load without this project.

In an experiment's zip: experiment.json (settings, states, events), metrics.csv and metrics.parquet, and each run's
snapshots as safetensors. Nothing of it is a pickle, so that a stranger's can be read; sizes are bounded, and names of
files are matched and never followed.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import tempfile
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from kdcore import frames, snapshots
from kdcore.config import read
from kdcore.errors import UserError
from kdcore.places import replace_file
from kdcore.store import Store

FORMAT = 1
MOST_BYTES = 4 * 2**30  # of an imported file, unpacked
MOST_ENTRIES = 300_000
MOST_RUNS = 10_000
ENDED = ("done", "failed", "stopped")
_SNAPSHOT = re.compile(r"runs/([1-9]\d{0,8})/snapshots/(0|[1-9]\d{0,8})\.safetensors")
_LOADING = '''import torch

program = torch.export.load("student.pt2").module()  # the whole network: needs nothing but torch
images = torch.zeros(1, {shape})  # N, channels, height, width; values from 0 to 1
print(program(images).argmax(1))  # classes: {classes}
'''


def export_experiment(store: Store, name: str, file: Path) -> None:
    """Write an experiment, with all that its runs recorded and learnt. Raises UserError where there is none."""
    rows, table = store.runs(name)[::-1], frames.metrics(name, store)
    kept = ("id", "config", "state", "message", "step", "teacher", "created", "started", "finished")
    described = {"format": FORMAT, "name": name, "content": store.experiment(name)["content"], "runs": [
        {**{field: row[field] for field in kept}, "config": json.loads(row["config"]), "parts": store.parts(row["id"]),
         "events": [[event["step"], event["at"], event["text"]] for event in store.events(row["id"])]}
        for row in rows if row["state"] in ENDED]}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        packed.writestr("experiment.json", json.dumps(described, indent=1))
        packed.writestr("metrics.csv", table.to_csv(index=False))
        packed.writestr("metrics.parquet", table.to_parquet(index=False))
        for run in described["runs"]:
            for step in store.snapshot_steps(run["id"]):
                packed.writestr(f"runs/{run['id']}/snapshots/{step}.safetensors",
                                save(_flat(snapshots.load(store.snapshot(run["id"], step)))))


def import_experiment(store: Store, file: Path, owner: str = "") -> str:
    """Read an exported experiment into the store, as this person's, and return the name that it has here.

    A run that is there already (the same settings, trained to its end) is listed and not doubled. Raises UserError
    where the file is not an experiment, too large, or one of its runs is not possible here; nothing is kept then.
    """
    with _opened(file) as packed, tempfile.TemporaryDirectory(dir=store.folder, prefix="import-") as waiting:
        described, table = _described(packed), _metrics(packed)
        runs = {run["id"]: run for run in described["runs"]}
        planned = {number: read(run["config"]).planned() for number, run in runs.items()}
        for entry in packed.namelist():
            if (found := _SNAPSHOT.fullmatch(entry)) and int(found[1]) in runs:
                snapshots.save(Path(waiting) / found[1] / f"{found[2]}.pt", _nested(_tensors(packed, entry)))
        with store.transaction():
            name, here = store.free_name(described["name"]), {}
            for number in _order(described["runs"]):
                run = runs[number]
                here[number], fresh = store.admit(planned[number], run, name, here.get(run["teacher"]),
                                                  [here[part] for part in run["parts"]], owner)
                if fresh:
                    store.record(here[number], table.get(number, []), run["events"])
                    for weights in (Path(waiting) / str(number)).glob("*.pt"):
                        replace_file(store.snapshot(here[number], int(weights.stem)), weights.read_bytes())
    return name


def export_student(store: Store, run: int, folder: Path) -> list[Path]:
    """Write a run's network: student.safetensors, student.pt (a state_dict), student.pt2 (a program that needs torch
    alone), run.json, and load.py. Returns the files.
    """
    network, config = snapshots.network(store, run), read(store.run(run)["config"])
    side = config.side()
    folder.mkdir(parents=True, exist_ok=True)
    state = network.state_dict()
    replace_file(folder / "student.safetensors", save({name: value.contiguous() for name, value in state.items()}))
    snapshots.save(folder / "student.pt", state)
    program = io.BytesIO()
    torch.export.save(_program(network, side.images), program)
    replace_file(folder / "student.pt2", program.getvalue())
    replace_file(folder / "run.json", config.model_dump_json(indent=2).encode())
    classes = ", ".join(side.classes[:20]) + ("…" if len(side.classes) > 20 else "")
    replace_file(folder / "load.py", _LOADING.format(shape=", ".join(map(str, side.images)), classes=classes).encode())
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


def _opened(file: Path) -> zipfile.ZipFile:
    try:
        packed = zipfile.ZipFile(file)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise UserError("This is no zip file, or a damaged one; choose an experiment that Apprentice exported."
                        ) from error
    sizes = [entry.file_size for entry in packed.infolist()]
    if sum(sizes) > MOST_BYTES or len(sizes) > MOST_ENTRIES:
        packed.close()
        raise UserError(f"This file holds {sum(sizes) / 1e9:.1f} GB in {len(sizes)} files, and {MOST_BYTES / 1e9:.1f} "
                        f"GB in {MOST_ENTRIES} are the most that is read; export the experiment with fewer runs, or "
                        "thin its snapshots.")
    return packed


def _entry(packed: zipfile.ZipFile, name: str) -> bytes:
    """What an entry holds, and no more than it says."""
    try:
        with packed.open(name) as content:
            size = packed.getinfo(name).file_size
            found = content.read(size + 1)
    except (KeyError, zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise UserError(f"{name} is missing in this file, or damaged; choose an experiment that Apprentice exported."
                        ) from error
    except Exception as error:  # zlib and lzma have errors of their own
        raise UserError(f"{name} is damaged in this file; export the experiment again.") from error
    if len(found) != size:
        raise UserError(f"{name} is longer in this file than it says; export the experiment again.")
    return found


def _described(packed: zipfile.ZipFile) -> dict:
    try:
        described = json.loads(_entry(packed, "experiment.json"))
        if described["format"] != FORMAT:
            raise UserError(f"This experiment has the format {described['format']!r}, and this version of Apprentice "
                            f"reads {FORMAT}; update Apprentice.")
        runs = [{"id": int(run["id"]), "config": dict(run["config"]), "state": str(run["state"]),
                 "message": str(run["message"])[:2000], "step": int(run["step"]),
                 "teacher": None if run["teacher"] is None else int(run["teacher"]),
                 "parts": [int(part) for part in run["parts"]],
                 **{name: None if run[name] is None else float(run[name])
                    for name in ("created", "started", "finished")},
                 "events": [(int(step), float(at), str(text)[:2000]) for step, at, text in run["events"][:1000]]}
                for run in described["runs"]]
        numbers = {run["id"] for run in runs}
        sound = len(numbers) == len(runs) <= MOST_RUNS and all(
            run["state"] in ENDED and 0 <= run["step"] < 2**31 and run["created"] is not None
            and all(run[name] is None or abs(run[name]) < 2**40 for name in ("created", "started", "finished"))
            for run in runs)
    except UserError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UserError("experiment.json is not what Apprentice writes; export the experiment again.") from error
    if not sound:
        raise UserError("experiment.json is not what Apprentice writes; export the experiment again.")
    return {"name": " ".join(str(described.get("name") or "imported").split())[:120], "runs": runs}


def _order(runs: list[dict]) -> list[int]:
    """The runs' numbers, each behind those that it needs. Raises UserError where one is missing, or needs itself."""
    left, order = {run["id"]: {*run["parts"], *([run["teacher"]] if run["teacher"] is not None else [])}
                   for run in runs}, []
    while left:
        ready = [number for number, needed in left.items() if needed <= set(order)]
        if not ready:
            raise UserError("A run of this experiment needs another one that is not in the file; export it again.")
        order += ready
        for number in ready:
            del left[number]
    return order


def _metrics(packed: zipfile.ZipFile) -> dict[int, list[tuple[int, str, float]]]:
    """{run: [(step, metric, value)]}."""
    found: dict[int, list] = {}
    try:
        for row in csv.DictReader(io.StringIO(_entry(packed, "metrics.csv").decode())):
            run, step = int(row.pop("run")), int(row.pop("step"))
            values = ((name[:200], float(value)) for name, value in row.items() if value)
            found.setdefault(run, []).extend((step, name, value) for name, value in values if math.isfinite(value))
    except (ValueError, LookupError, TypeError, AttributeError, csv.Error) as error:
        raise UserError("metrics.csv is not what Apprentice writes; export the experiment again.") from error
    return found


def _tensors(packed: zipfile.ZipFile, entry: str) -> dict[str, Tensor]:
    try:
        return load(_entry(packed, entry))
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UserError(f"{entry} holds no weights; export the experiment again.") from error
