"""Errors that are meant to be read by a user."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A sentence that says what is wrong and what would be right."""


class StaleClaim(UserError):
    """A process writes for a run that another process has taken over since."""


def meant(word: str, known: Iterable[str]) -> str:
    """" (did you mean 'hint'?)" for a misspelt word, or nothing where none of the known ones is close."""
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
