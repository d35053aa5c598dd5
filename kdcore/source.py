"""The code that computes a term, read from its source, to be shown beside its formula."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from textwrap import dedent
from types import CodeType

from kdcore.knowledge.layers import LayerTerm
from kdcore.knowledge.term import Term

_ROOMS = ("kdcore.knowledge.", "kdcore.derivatives")
_FRAME = ("kdcore.knowledge.term", "kdcore.knowledge.layers", "kdcore.knowledge.pair")  # what every term has
_OF_LAYERS = ("compared", "offered", "handed", "error")
_ALSO_DATA = {"layers"}  # of what is settled for a pair, and so not the method of that name


def source(cls: type[Term]) -> str:
    """The term's own functions, the loss first, and those of this package that they call."""
    found: dict[Callable, None] = {}
    for name in _OF_LAYERS if issubclass(cls, LayerTerm) else ("distance",):
        _follow(getattr(cls, name), cls, found)
    return "\n\n".join(dedent(inspect.getsource(function)).strip() for function in found)


def _follow(function: object, cls: type[Term], found: dict[Callable, None]) -> None:
    if not inspect.isfunction(function) or function in found:
        return
    if not function.__module__.startswith(_ROOMS) or function.__module__ in _FRAME:
        return
    found[function] = None
    for name in _names(function.__code__):
        if name not in _ALSO_DATA:
            _follow(getattr(cls, name, None) or function.__globals__.get(name), cls, found)


def _names(code: CodeType) -> Iterator[str]:
    """What a function calls or reads, in order, inner functions included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
