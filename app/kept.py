"""Answers that are kept while they have room: the one that was asked for longest ago goes first."""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary


class Kept:
    """So many bytes of answers. Everybody gets a copy, which they may change."""

    def __init__(self, most: int):
        self._most, self._bytes = most, 0
        self._answers: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._asking: WeakValueDictionary[bytes, _Turn] = WeakValueDictionary()

    def get(self, question: Any, ask: Callable[[], Any]) -> Any:
        """The answer to a question, asked where it is not kept; who has the same one meanwhile waits for this answer.

        What `ask` raises is not kept.
        """
        key = pickle.dumps(question)
        with self._lock:
            turn = self._asking.setdefault(key, _Turn())
        with turn.lock:
            content = self._found(key)
            if content is None:
                content = pickle.dumps(ask())
                self._keep(key, content)
        return pickle.loads(content)

    def _found(self, key: bytes) -> bytes | None:
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
            return self._answers.get(key)

    def _keep(self, key: bytes, content: bytes) -> None:
        with self._lock:
            self._answers[key] = content
            self._bytes += len(content)
            while self._bytes > self._most:
                self._bytes -= len(self._answers.popitem(last=False)[1])


class _Turn:
    """Who asks a question; it lives while somebody does."""

    def __init__(self):
        self.lock = threading.Lock()
