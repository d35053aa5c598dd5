"""One file for each kind of knowledge: its map, its distance, its terms.

A new file in this folder is found by itself: TERMS holds every term, by kind.
"""

import inspect
import pkgutil
from functools import reduce
from importlib import import_module
from operator import or_
from typing import Annotated

from pydantic import Field

from kdcore.knowledge.pair import Layer, Pair, Side, Unsuited
from kdcore.knowledge.term import NOTHING, Bound, Taught, Term

_modules = [import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
TERMS: dict[str, type[Term]] = {
    cls.model_fields["kind"].default: cls
    for module in _modules
    for _, cls in inspect.getmembers(module, inspect.isclass)
    if issubclass(cls, Term) and not inspect.isabstract(cls) and cls.__module__ == module.__name__
}
AnyTerm = Annotated[reduce(or_, TERMS.values()), Field(discriminator="kind")]

__all__ = ["NOTHING", "TERMS", "AnyTerm", "Bound", "Layer", "Pair", "Side", "Taught", "Term", "Unsuited"]
