"""Runs on a Ray cluster: trained on its nodes, recorded here, where the store is.

A node is given what a run needs and answers with its records, a few at a time; it never sees the store. When it is
lost, the run goes on from its last resume point on another one.
"""

from __future__ import annotations

import logging
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kdcore import settings
from kdcore.errors import NodeLost, UserError
from kdcore.places import replace_file, store_folder

if TYPE_CHECKING:
    from torch import nn

    from kdcore.train import Record

PACKAGE = Path(__file__).parent
FOLDERS = ("KD_DATA", "KD_CACHE")  # what a node has of these goes before what we have


class Cluster:
    """A connection to the Ray cluster at an address; of a GPU, a run takes `gpu_share`.

    Raises UserError where Ray is not installed, or the cluster cannot be reached, after some minutes. Made in a thread
    beside the main one: there Ray would take over what happens when the process is asked to end.
    """

    def __init__(self, address: str, gpu_share: float = 1.0):
        os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"  # else what is asked of a lost cluster starts one here
        try:
            import ray
        except ImportError as error:
            raise UserError("The settings name a Ray cluster, and Ray is not installed: pip install -r "
                            "requirements-ray.txt, or leave the setting out.") from error
        self.ray, self.address, self.gpu_share = ray, address, gpu_share
        try:
            ray.init(address, runtime_env={"py_modules": [str(PACKAGE)]}, log_to_driver=False,
                     logging_level=logging.ERROR)
        except (Exception, SystemExit) as error:  # Ray reports an address that does not answer in many ways
            raise UserError(f"The Ray cluster at {address} cannot be reached ({_line(error)}); start it, or change the "
                            "setting.") from error

    def describe(self) -> dict:
        """What it has now, as `kdcore.device.describe` says it of a machine. Raises NodeLost."""
        try:
            has = self.ray.cluster_resources()
        except Exception as error:  # as above
            raise NodeLost(f"The Ray cluster at {self.address} stopped answering ({_line(error)}).") from error
        cores, gpus = int(has.get("CPU", 0)), int(has.get("GPU", 0))
        title = f"Ray cluster of {cores} cores" + (f" and {gpus} GPUs" if gpus else "")
        return {"device": "ray", "title": title, "slots": gpus or cores, "gpus": gpus, "cores": cores}

    def train(self, config: str, *, teacher: nn.Module | None, resume: dict | None) -> Iterator[Record]:
        """`kdcore.train.train` on a node, with the same records. Raises NodeLost where that node is."""
        from kdcore.train import Progress

        ray, waiting = self.ray, Progress(resume["step"] if resume else 0)
        try:
            trainer = ray.remote(_Trainer).options(**self._needs(config)).remote()
            try:
                begun = trainer.begin.remote(config, teacher, resume, _files(config), _folders(),
                                             settings.read().deterministic)
                while not ray.wait([begun], timeout=1)[0]:  # until there is a place for it
                    if (yield waiting):
                        yield waiting  # there is nothing new to keep
                batch = ray.get(begun)
                while batch:
                    for record in batch:
                        said = yield record
                    batch = ray.get(trainer.more.remote(said))
            finally:
                ray.kill(trainer)  # and not when the garbage is collected: others wait for its place
        except ray.exceptions.RuntimeEnvSetupError as error:
            raise UserError(f"The nodes cannot be given this project's code ({_line(error)}).") from error
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except Exception as error:
            if ray.is_initialized() and not isinstance(error, (ray.exceptions.RayError, ConnectionError)):
                raise  # without a connection Ray fails in many ways
            raise NodeLost(f"The node that it was trained on is lost ({_line(error)}).") from error

    def close(self) -> None:
        """Give up the connection; what is trained is ended."""
        with suppress(Exception):
            self.ray.shutdown()

    def _needs(self, config: str) -> dict:
        """What a node must have free; a run that asks for more cores than any node has takes one whole node."""
        from kdcore.config import read

        run, nodes = read(config), [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        gpus = [node for node in nodes if node.get("GPU")] if run.device != "cpu" else []
        largest = max((node.get("CPU", 0) for node in gpus or nodes), default=0)  # 0: a head that waits for nodes
        return {"num_cpus": min(run.threads, largest or math.inf), "num_gpus": self.gpu_share if gpus else 0}


class _Trainer:
    """A training on a node."""

    def begin(self, config: str, teacher: nn.Module | None, resume: dict | None, files: dict[str, bytes],
              folders: dict[str, str], deterministic: bool) -> list[Record]:
        """Begin it and return the first records. `files` are those of the store that are read at the beginning."""
        for name, folder in folders.items():
            os.environ.setdefault(name, folder)
        with tempfile.TemporaryDirectory() as store:
            os.environ["KD_STORE"] = store
            for name, content in files.items():
                replace_file(Path(store, name), content)
            from kdcore.train import train

            self._records = train(config, teacher=teacher, resume=resume, deterministic=deterministic)
            return self.more(None)

    def more(self, said: object) -> list[Record]:
        """Send what was said in answer to the last record; returns those until the next sign of life, none at the
        end.
        """
        from kdcore.train import Progress, ResumePoint

        records = []
        with suppress(StopIteration):
            while not (records and isinstance(records[-1], (Progress, ResumePoint))):
                records.append(self._records.send(said))
                said = None
        return records


def _files(config: str) -> dict[str, bytes]:
    """Files of the store, by their place in it, that the run's network starts from."""
    from kdcore.config import read

    start = read(config).network.start
    return {str(file.relative_to(store_folder())): file.read_bytes() for file in (start.kept() if start else ())}


def _folders() -> dict[str, str]:
    return {name: os.environ[name] for name in FOLDERS if name in os.environ}


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
