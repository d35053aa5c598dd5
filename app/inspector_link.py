"""The web process's side of the inspector: starts it, asks it, and starts it anew when it is gone."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

from kdcore.errors import UserError
from kdcore.inspector import KEY_VARIABLE
from kdcore.worker import ROOT

ONCE = ("import_experiment", "start_search")  # what may have been done when the answer is lost


class InspectorLink:
    """One inspector process; questions wait for each other."""

    def __init__(self, store_folder: Path):
        self._folder = store_folder
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def ask(self, question: str, **arguments: Any) -> Any:
        """The inspector's answer. Raises UserError with its sentence where the question cannot be answered."""
        with self._lock:
            for last_try in (False, True) if question not in ONCE else (True,):
                try:
                    self._connect()
                    self._connection.send((question, arguments))
                    kind, value = self._connection.recv()
                    break
                except (EOFError, OSError) as error:
                    self._connection = None
                    if last_try:
                        raise UserError("The process that computes maps ended unexpectedly; is there enough memory? "
                                        "Try again, or with fewer networks.") from error
        if kind == "sentence":
            raise UserError(value)
        if kind == "error":
            print(value, file=sys.stderr)
            raise UserError(f"This could not be computed: {value.strip().splitlines()[-1]}")
        return value

    def connect(self) -> None:
        """Have the process before the first question, which says what is wrong where that is not possible."""
        with self._lock, suppress(EOFError, OSError):
            self._connect()

    def close(self) -> None:
        """Hang up, whereupon the process ends; another question would start one anew."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _connect(self) -> None:
        if self._connection is not None:
            return
        key = secrets.token_bytes(32)
        with tempfile.TemporaryDirectory(prefix="apprentice") as folder:
            address = str(Path(folder) / "inspector")
            with Listener(address, authkey=key) as listener:
                process = subprocess.Popen(
                    [sys.executable, "-m", "kdcore", "inspector", address, "--store", str(self._folder)],
                    env={**os.environ, KEY_VARIABLE: key.hex()}, cwd=ROOT, stdin=subprocess.DEVNULL)
                threading.Thread(target=_unblock_at_end, args=(process, address), daemon=True).start()
                self._connection = listener.accept()


def _unblock_at_end(process: subprocess.Popen, address: str) -> None:
    """When the inspector ends without having connected, connect in its place and hang up: `accept` fails at once."""
    process.wait()
    with suppress(OSError), socket.socket(socket.AF_UNIX) as caller:
        caller.connect(address)
