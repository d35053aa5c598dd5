"""What the pages draw, as arrays.

Networks are named by (run, step); a step of None is the last snapshot.
"""

from kdcore.inspect.agreement import agreement
from kdcore.inspect.attributions import ATTRIBUTIONS, attribution
from kdcore.inspect.gallery import differing
from kdcore.inspect.layers import layers, stages
from kdcore.inspect.maps import answers_to, disagreements, from_file, image, maps, timeline
from kdcore.inspect.perturbed import perturbed

__all__ = ["ATTRIBUTIONS", "agreement", "answers_to", "attribution", "differing", "disagreements", "from_file", "image",
           "layers", "maps", "perturbed", "stages", "timeline"]
