"""The networks, by name, each with its table of taps: the names under which terms read intermediate values."""

from kdcore.models.architectures import ARCHITECTURES, Architecture, register
from kdcore.models.network import (
    NetworkConfig,
    bare,
    build,
    learns_from_one,
    loaded,
    places_for_dropout,
    shapes,
    tried,
)
from kdcore.models.taps import tapped

__all__ = ["ARCHITECTURES", "Architecture", "NetworkConfig", "bare", "build", "learns_from_one", "loaded",
           "places_for_dropout", "register", "shapes", "tapped", "tried"]
