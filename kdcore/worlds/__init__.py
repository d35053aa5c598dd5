"""Worlds so small that all of a teacher and its students can be drawn: a line of inputs, and a plane of them."""

from kdcore.worlds.line import line
from kdcore.worlds.plane import plane

__all__ = ["line", "plane"]
