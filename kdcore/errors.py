"""Errors that are meant to be read by a user."""


class UserError(Exception):
    """A sentence that says what is wrong and what would be right."""


class StaleClaim(UserError):
    """A process writes for a run that another process has taken over since."""
