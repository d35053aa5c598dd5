"""Who answers the pages' questions: one inspector process, and a second one while somebody would have to wait."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from app.inspector_link import InspectorLink

MOST = 2
PATIENCE = 0.5  # seconds that a question waits before another process is started for it
IDLE = 600.0  # seconds after which that one ends, for a process with torch holds half a gigabyte
LONG = frozenset(("agreement", "class_maps", "estimate", "export_experiment", "export_student", "import_experiment",
                  "likeness", "on_object", "paper_estimate", "robustness", "timeline"))
"""What may take half a minute goes one at a time, so that a process stays free for all else."""


class Inspectors:
    """Processes shared by all sessions; each answers one question at a time."""

    def __init__(self, store_folder: Path):
        self._folder = store_folder
        self._links: list[InspectorLink] = []
        self._free: list[InspectorLink] = []
        self._changed, self._turn = threading.Condition(), threading.Lock()
        self._begin()

    def ask(self, question: str, **arguments: Any) -> Any:
        """The answer of a process that is free, or the next to be. Raises UserError as `InspectorLink.ask` does."""
        with self._turn if question in LONG else nullcontext():
            link = self._take()
            try:
                return link.ask(question, **arguments)
            finally:
                self._give(link)

    def _take(self) -> InspectorLink:
        with self._changed:
            while not self._changed.wait_for(lambda: self._free, PATIENCE):
                if not self._starting and len(self._links) < MOST:
                    self._begin()
            link = next(link for link in self._links if link in self._free)  # the first one has most at hand
            self._free.remove(link)
            return link

    def _begin(self) -> None:
        self._starting = True
        threading.Thread(target=self._start, daemon=True).start()

    def _start(self) -> None:
        link = InspectorLink(self._folder)
        try:
            link.connect()
        finally:  # one that did not start says why when it is asked
            with self._changed:
                self._links.append(link)
                self._starting = False
            self._give(link)
            if link is not self._links[0]:
                self._wait(link, IDLE)

    def _give(self, link: InspectorLink) -> None:
        link.last = time.monotonic()
        with self._changed:
            self._free.append(link)
            self._changed.notify()

    def _wait(self, link: InspectorLink, seconds: float) -> None:
        timer = threading.Timer(seconds, self._end, (link,))
        timer.daemon = True
        timer.start()

    def _end(self, link: InspectorLink) -> None:
        """Let a process go that nobody has needed since; look again later where somebody has."""
        with self._changed:
            left = IDLE - (time.monotonic() - link.last)
            idle = link in self._free and left <= 0
            for known in (self._free, self._links) if idle else ():
                known.remove(link)
        if idle:
            link.close()
        else:
            self._wait(link, max(left, PATIENCE))
