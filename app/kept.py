"""Answers that are kept while they have room: the one that was asked for longest ago goes first."""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any


class Kept:
    """So many bytes of answers. Everybody gets a copy, which they may change."""

    def __init__(self, most: int):
        self._most, self._bytes = most, 0
        self._answers: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, question: Any, ask: Callable[[], Any]) -> Any:
        """The answer to a question, asked where it is not kept. What `ask` raises is not kept."""
        key = pickle.dumps(question)
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return pickle.loads(self._answers[key])
        answer = ask()
        content = pickle.dumps(answer)
        with self._lock:
            self._bytes += len(content) - len(self._answers.pop(key, b""))
            self._answers[key] = content
            while self._bytes > self._most:
                self._bytes -= len(self._answers.popitem(last=False)[1])
        return answer
