"""What the pages draw, as arrays.

Networks are named by (run, step); a step of None is the last snapshot.
"""

from kdcore.inspect.agreement import agreement
from kdcore.inspect.attributions import ATTRIBUTIONS, attribution
from kdcore.inspect.costs import costs
from kdcore.inspect.gallery import differing
from kdcore.inspect.layers import layers, stages
from kdcore.inspect.likeness import likeness, on_object
from kdcore.inspect.maps import answers_to, class_maps, disagreements, from_file, image, maps, timeline
from kdcore.inspect.outputs import outputs
from kdcore.inspect.perturbed import perturbed
from kdcore.inspect.pictures import examples, image_groups, varied
from kdcore.inspect.predictions import predictions, robustness
from kdcore.inspect.worlds import line_world, plane_world

__all__ = ["ATTRIBUTIONS", "agreement", "answers_to", "attribution", "class_maps", "costs", "differing",
           "disagreements", "examples", "from_file", "image", "image_groups", "layers", "likeness", "line_world",
           "maps", "on_object", "outputs", "perturbed", "plane_world", "predictions", "robustness", "stages",
           "timeline", "varied"]
