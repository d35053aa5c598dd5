"""Where a network's weights come from, when it does not start fresh."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from kdcore import settings
from kdcore.errors import UserError
from kdcore.models.prepared import IMAGENET, Prepared
from kdcore.places import data_folder
from kdcore.store import Store

State = dict[str, Tensor]


class _Start(BaseModel):
    """`read` returns the weights; `published` is torchvision's name of the architecture's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def fingerprint(self) -> str:
        """What tells these weights from others under the same name; empty where the name is enough."""
        return ""

    def check(self) -> None:
        """Raises UserError where there are no such weights on this machine; published ones can be downloaded."""

    def kept(self) -> list[Path]:
        """Files in $KD_STORE that `read` reads."""
        return []


class Published(_Start):
    """The weights that torchvision publishes, trained on ImageNet."""

    kind: Literal["published"] = "published"

    def read(self, published: str | None) -> State:
        from torchvision.models import get_model_weights

        url = get_model_weights(published)["IMAGENET1K_V1"].url
        folder = data_folder() / "weights"
        file = folder / url.rpartition("/")[2]
        if file.exists():
            return _read(file, "delete it, and it is downloaded again")
        try:
            return torch.hub.load_state_dict_from_url(url, str(folder), map_location="cpu", progress=False,
                                                      check_hash=True, weights_only=True)
        except (OSError, RuntimeError) as error:
            raise UserError(f"The published weights could not be downloaded; is there a connection to the internet? "
                            f"Without one, get {url} elsewhere and put it into {folder}.") from error


class File(_Start):
    """A file of one's own: a state_dict that torch.save wrote."""

    kind: Literal["file"] = "file"
    path: str = Field(min_length=1, description="The file on the machine that trains.")

    def fingerprint(self) -> str:
        file = self._file()
        return _digest(file, file.stat().st_mtime_ns, file.stat().st_size) if file.is_file() else ""

    def check(self) -> None:
        if not self._file().is_file():
            raise UserError(f"There is no file {self._file()}; give the path of a state_dict that torch.save wrote.")

    def read(self, published: str | None) -> State:
        self.check()
        return _read(self._file(), "save the network's state_dict() with torch.save")

    def _file(self) -> Path:
        return settings.allowed(Path(self.path).expanduser())


class Run(_Start):
    """What an earlier run in $KD_STORE has learnt, at its last snapshot or another."""

    kind: Literal["run"] = "run"
    run: int = Field(ge=1, description="The run's number.")
    step: int | None = Field(None, ge=0, description="A snapshot's step; none: the last one.")

    def fingerprint(self) -> str:
        """By its content: the last snapshot may be another tomorrow, and a run of this number is another elsewhere."""
        try:
            file = self._snapshot()
        except UserError:
            return ""
        return _digest(file, file.stat().st_mtime_ns, file.stat().st_size)

    def check(self) -> None:
        self._snapshot()

    def kept(self) -> list[Path]:
        return [self._snapshot()]

    def read(self, published: str | None) -> State:
        return _read(self._snapshot(), "run it again")

    def _snapshot(self) -> Path:
        store = Store()
        steps = store.snapshot_steps(self.run)
        if not steps:
            raise UserError(f"There is no run {self.run} with a snapshot in {store.folder}; choose another run, or "
                            "wait until it has started.")
        step = steps[-1] if self.step is None else self.step
        if step not in steps:
            raise UserError(f"Run {self.run} has no snapshot at step {step}; it has {', '.join(map(str, steps))}.")
        return store.snapshot(self.run, step)


Start = Annotated[Published | File | Run, Field(discriminator="kind")]


@lru_cache(maxsize=64)
def _digest(file: Path, modified: int, size: int) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:16]


def channels(state: State) -> int | None:
    """The number of image channels that weights are made for; None where they begin with no convolution."""
    first = next((value for name, value in state.items() if value.dim() > 1 and "prepare." not in name), None)
    return first.shape[1] if first is not None and first.dim() == 4 else None


def fill(network: nn.Module, state: State, published: bool) -> None:
    """Give the network these weights; its last layer stays as it is where it has another number of outputs.

    `state` is one of this project's, with or without preparation, or of the bare network as torchvision has it; the
    latter learnt with ImageNet's normalisation where the architecture has `published` weights. Raises UserError where
    the weights are another network's.
    """
    prepared = isinstance(network, Prepared)
    body = network.body if prepared else network
    if "prepare.mean" in state:
        if prepared and len(state["prepare.mean"]) != len(network.prepare.mean):
            counts = ["1 channel" if len(mean) == 1 else f"{len(mean)} channels"
                      for mean in (state["prepare.mean"], network.prepare.mean)]
            raise UserError(f"These weights learnt on images of {counts[0]}, and these have {counts[1]}; choose images "
                            "like theirs, or weights that learnt on such as these.")
        if prepared:
            _fit(network.prepare, _below("prepare.", state))
        state = _below("body.", state)
    elif prepared and published:
        network.prepare.normalise(IMAGENET)
    _fit(body, state, renewed=_last_layer(body))


def _fit(module: nn.Module, state: State, renewed: str | None = None) -> None:
    own = module.state_dict()
    fresh = {name for name in own if renewed and name.startswith(f"{renewed}.") and name in state
             and own[name].shape[1:] == state[name].shape[1:] and len(own[name]) != len(state[name])}
    misfit = [f"{name} is {_size(state[name])} and should be {_size(value)}" for name, value in own.items()
              if name in state and name not in fresh and state[name].shape != value.shape]
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in own]
    faults = [_few("missing: ", missing), _few("unexpected: ", unexpected), _few("", misfit)]
    if faults := [fault for fault in faults if fault]:
        raise UserError(f"These weights are another network's ({'; '.join(faults)}); choose the network, and the "
                        "width, that they belong to.")
    module.load_state_dict({**own, **{name: value for name, value in state.items() if name not in fresh}})


def _few(label: str, names: list[str]) -> str:
    return label + ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") if names else ""


def _size(value: Tensor) -> str:
    return "×".join(map(str, value.shape)) or "one number"


def _below(prefix: str, state: State) -> State:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _last_layer(network: nn.Module) -> str | None:
    layers = [name for name, module in network.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    return layers[-1] if layers else None


def _read(file: Path, remedy: str) -> State:
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load fails in many ways on foreign bytes
        raise UserError(f"{file} is damaged or holds more than weights; {remedy}.") from error
    if isinstance(state, dict):  # a run's snapshot holds connectors too, a checkpoint of one's own an optimiser
        inner = [key for key in ("network", "state_dict", "model") if isinstance(state.get(key), dict)]
        state = state[inner[0]] if inner else state
    if not isinstance(state, dict) or not state or not all(
            isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()):
        raise UserError(f"{file} holds no state_dict (names with a tensor each); {remedy}.")
    return _below("module.", state) if all(name.startswith("module.") for name in state) else state  # DataParallel's
