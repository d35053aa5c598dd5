"""Arrays -> Plotly figures: pure functions."""

from app.figures.answers import answers
from app.figures.curves import POINTS, curves, layers_over_snapshots, over_snapshots, scores, thinned
from app.figures.maps import layer_grid, map_grid, picture, stitched
from app.figures.shares import histograms, shares, strips
from app.figures.style import BASELINE_COLOUR, COLOURS, DASHES, SYMBOLS, TEACHER_COLOUR
from app.figures.text import markdown, number

__all__ = ["BASELINE_COLOUR", "COLOURS", "DASHES", "POINTS", "SYMBOLS", "TEACHER_COLOUR", "answers", "curves",
           "histograms", "layer_grid", "layers_over_snapshots", "map_grid", "markdown", "number", "over_snapshots",
           "picture", "scores", "shares", "stitched", "strips", "thinned"]
