"""What people write beside runs and experiments: a note and tags, kept and shown as written. No torch."""

from __future__ import annotations

from kdcore.errors import UserError

MOST_NOTE = 5000
MOST_TAGS = 20
MOST_TAG = 30


def checked(note: str, tags: str) -> tuple[str, str]:
    """A note without white space around it, and its tags, each once, with a space between them.

    Tags are words; commas may stand between them too. Raises UserError where it is too long, or they are too many.
    """
    note, words = note.strip(), list(dict.fromkeys(tags.replace(",", " ").split()))
    if len(note) > MOST_NOTE:
        raise UserError(f"A note may have {MOST_NOTE} letters, and this one has {len(note)}; shorten it.")
    if long := next((word for word in words if len(word) > MOST_TAG), None):
        raise UserError(f"A tag may have {MOST_TAG} letters, and {long[:MOST_TAG]}… has {len(long)}; write the rest "
                        "into the note.")
    if len(words) > MOST_TAGS:
        raise UserError(f"There may be {MOST_TAGS} tags, and these are {len(words)}; leave some out.")
    return note, " ".join(words)
