"""Errors that are meant to be read by a user."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A sentence that says what is wrong and what would be right."""


class StaleClaim(UserError):
    """A process writes for a run that another process has taken over since."""


class NodeLost(Exception):
    """A machine of a cluster, or the way to it, is gone; what it did can be done again elsewhere."""


def meant(word: str, known: Iterable[str]) -> str:
    """" (did you mean 'hint'?)" for a misspelt word, or nothing where none of the known ones is close."""
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
