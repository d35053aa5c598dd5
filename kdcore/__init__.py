"""Apprentice's engine: train student-teacher pairs and see what the student took over.

Names are imported when first used, so that parts which need no torch (the store, the worker's queue) start without it.
"""

from importlib import import_module

_HOME = {
    "RunConfig": "config",
    "Experiment": "experiment",
    "METHODS": "methods",
    "Response": "response",
    "Store": "store",
    "fit": "train",
    "demo": "experiment",
    "runs": "frames",
    "metrics": "frames",
}
__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'kdcore' has no attribute {name!r}")
    return getattr(import_module(f"kdcore.{_HOME[name]}"), name)


def __dir__():
    return __all__
