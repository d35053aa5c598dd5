"""What the pages draw, as arrays.

Networks are named by (run, step); a step of None is the last snapshot.
"""

from kdcore.inspect.agreement import agreement
from kdcore.inspect.attributions import ATTRIBUTIONS, attribution
from kdcore.inspect.gallery import differing
from kdcore.inspect.layers import layers, stages
from kdcore.inspect.likeness import likeness, on_object
from kdcore.inspect.maps import class_maps, disagreements, image, maps, timeline

__all__ = ["ATTRIBUTIONS", "agreement", "attribution", "class_maps", "differing", "disagreements", "image", "layers",
           "likeness", "maps", "on_object", "stages", "timeline"]
