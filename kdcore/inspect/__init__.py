"""What the pages draw, as arrays.

Networks are named by (run, step); a step of None is the last snapshot.
"""

from kdcore.inspect.agreement import agreement
from kdcore.inspect.attributions import ATTRIBUTIONS, attribution
from kdcore.inspect.costs import costs
from kdcore.inspect.gallery import differing
from kdcore.inspect.layers import layers, stages
from kdcore.inspect.maps import disagreements, image, maps, timeline
from kdcore.inspect.predictions import predictions, robustness

__all__ = ["ATTRIBUTIONS", "agreement", "attribution", "costs", "differing", "disagreements", "image", "layers", "maps",
           "predictions", "robustness", "stages", "timeline"]
