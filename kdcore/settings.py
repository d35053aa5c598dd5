"""A server's settings: one TOML file, in which each line that is left out has its default. No torch."""

from __future__ import annotations

import json
import math
import os
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kdcore.errors import UserError, meant
from kdcore.places import data_folder, store_folder

if TYPE_CHECKING:
    from kdcore.store import Store


DEMONSTRATION = ("This server shows what was trained, and starts and changes nothing; run Apprentice on your own "
                 "machine for that.")


class Settings(BaseModel):
    """What a server's owner decides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slots: int | None = Field(None, ge=1, le=1024, description="Runs at a time. Left out: one for each GPU, or one for "
                              "each CPU core.")
    gpu_share: float = Field(1.0, gt=0, le=1, description="How much of a CUDA GPU a run takes: with 0.25, four train "
                             "on each at a time.")
    deterministic: bool = Field(False, description="On CUDA GPUs, whether an interrupted run ends with the same "
                                "weights to the last bit, as it does on a CPU; slower.")
    ray: str = Field("", description="The address of a Ray cluster on which runs are trained, such as auto or "
                     "ray://head:10001; empty: on this machine (needs requirements-ray.txt).")
    people: Literal["one", "session", "login"] = Field("one", description="Who is told apart, so that turns are fair, "
                                                       "limits each person's, and nobody changes another's runs: "
                                                       "nobody, browser sessions, or who logs in (then "
                                                       ".streamlit/secrets.toml names the provider).")
    sees: Literal["everything", "own"] = Field("everything", description="Whether people see everybody's experiments "
                                               "or only their own.")
    read_only: bool = Field(False, description="A demonstration: everything can be looked at, and nothing started, "
                            "changed or deleted.")
    most_queued: int | None = Field(None, ge=1, description="How many runs of one person may wait or run.")
    most_steps: int | None = Field(None, ge=1, description="The most training steps of a run.")
    most_side: int | None = Field(None, ge=8, description="The most pixels of an image's side.")
    most_gigabytes: float | None = Field(None, gt=0, description="How large all runs on the disk may grow before no "
                                         "further one is queued.")
    most_upload_megabytes: int = Field(500, ge=1, le=100_000, description="The largest file that may be uploaded; no "
                                       "larger than server.maxUploadSize in .streamlit/config.toml.")
    tensorboard: bool = Field(False, description="Whether runs are also written as TensorBoard event files, into "
                              "tensorboard beside the store's runs (needs requirements-tracking.txt).")
    mlflow: str = Field("", description="The tracking server, or folder, at which runs are also logged with MLflow, "
                        "such as http://localhost:5000; empty: none (needs requirements-tracking.txt).")

    def at_a_time(self, device: dict) -> int:
        """How many runs a device takes, of which "slots" and "gpus" are given."""
        each = math.floor(1 / self.gpu_share + 1e-9)  # a run's share is of one GPU
        return self.slots or device["gpus"] * each or device["slots"]

    def refusal(self, planned: list[dict], store: Store, owner: str, again: bool = False) -> str:
        """Why planned runs are not queued for a person on this server, in a sentence; empty where they are.

        Those that are there do not count, unless they are trained `again`.
        """
        if self == Settings():
            return ""
        every = [part for run in planned for part in _with_parts(run)]
        steps = max((run["config"]["steps"] for run in every), default=0)
        side = max((run["side"] for run in every), default=0)
        found = {run["hash"]: store.find(run["hash"], owner) for run in every}
        new = sum(again or row is None or row["state"] == "paused" for row in found.values())
        return self._refusal(steps, side, new, store, owner)

    def refusal_again(self, rows: list[dict], store: Store, owner: str) -> str:
        """The same of runs in the store that are to go on."""
        rows = store.runs(ids=store.queue.with_needed([row["id"] for row in rows]))
        configs = [json.loads(row["config"]) for row in rows]
        steps = max((row["steps"] for row in rows), default=0)
        side = max((size for config in configs for size in (config.get("data", {}).get("size"), config.get(
            "network", {}).get("resize")) if size), default=0)
        return self._refusal(steps, side, sum(row["state"] not in ("queued", "running", "done") for row in rows),
                             store, owner)

    def full(self, store: Store) -> str:
        """Why nothing more is kept, in a sentence; empty where there is room."""
        taken = store.size() if self.most_gigabytes else 0
        if taken <= (self.most_gigabytes or 0) * 1e9:
            return ""
        return (f"All runs may take {self.most_gigabytes:g} GB on this server, and they take {taken / 1e9:.1f}; delete "
                "some, or thin their snapshots, on Queue. What was deleted counts until it is removed there.")

    def _refusal(self, steps: int, side: int, new: int, store: Store, owner: str) -> str:
        waiting = sum(row["owner"] == owner and row["state"] != "paused" for row in store.queue.line())
        if self.read_only:
            return DEMONSTRATION
        if self.most_steps and steps > self.most_steps:
            return f"A run may have {self.most_steps} steps on this server, and one of these has {steps}; lower them."
        if self.most_side and side > self.most_side:
            return (f"Images may have {self.most_side} pixels a side on this server, and these have {side}; choose "
                    "smaller ones.")
        if self.most_queued and waiting + new > self.most_queued:
            return (f"One person may have {self.most_queued} runs waiting or running on this server; you have "
                    f"{waiting}, and these are {new} more. Wait for some, or ask for fewer.")
        return self.full(store) if new else ""


def _with_parts(run: dict) -> list[dict]:
    return [run, *(part for other in (run["teacher"], *run["parts"]) if other for part in _with_parts(other))]


def place() -> Path:
    """The file: `$KD_SETTINGS`, else `settings.toml` in the store's folder."""
    return Path(os.environ.get("KD_SETTINGS") or store_folder() / "settings.toml").expanduser()


def read() -> Settings:
    """The settings as the file has them now. Raises UserError with a sentence where it is not possible."""
    file = place()
    try:
        return _read(file, file.stat().st_mtime_ns)
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error}.") from error


@lru_cache(maxsize=4)
def _read(file: Path, stamp: int) -> Settings:
    try:
        return Settings.model_validate(tomllib.loads(file.read_text()))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}.") from error
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0])
        if fault["type"] == "extra_forbidden":
            raise UserError(f"{file}: there is no setting {name!r}{meant(name, Settings.model_fields)}.") from error
        raise UserError(f"{file}: {name} = {json.dumps(fault['input'], default=str)} is not possible: "
                        f"{fault['msg'].lower()}.") from error


def allowed(place: Path) -> Path:
    """A file or folder that somebody named. Raises UserError outside the data folder on a server for others too."""
    named, folder = place.absolute(), data_folder().absolute()
    inside = named.is_relative_to(folder) and ".." not in named.relative_to(folder).parts  # links are the owner's
    inside &= not named.is_relative_to(store_folder().absolute())  # where everybody's runs are
    if (read().people != "one" or read().read_only) and not inside:
        raise UserError(f"This server is for several people and reads from its data folder alone; {place} is not in "
                        "it. Ask its owner to put it there.")
    return place


def text(settings: Settings) -> str:
    """Settings as a TOML file, each with its sentence; those that are left out as comments."""
    lines = []
    for name, field in Settings.model_fields.items():
        value, words = getattr(settings, name), get_args(field.annotation)
        choices = f" One of {', '.join(words)}." if get_origin(field.annotation) is Literal else ""
        lines += [f"# {field.description}{choices}",
                  f"# {name} =" if value is None else f"{name} = {json.dumps(value)}", ""]
    return "\n".join(lines)
