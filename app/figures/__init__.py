"""Arrays -> Plotly figures: pure functions."""

from app.figures.curves import POINTS, curves, layers_over_snapshots, over_snapshots, scores, thinned
from app.figures.maps import blur, layer_grid, map_grid, picture, smoothed, stitched
from app.figures.shares import distributions, histograms, shares, strips
from app.figures.style import BASELINE_COLOUR, COLOURS, DASHES, SYMBOLS, TEACHER_COLOUR
from app.figures.text import markdown, number

__all__ = ["BASELINE_COLOUR", "COLOURS", "DASHES", "POINTS", "SYMBOLS", "TEACHER_COLOUR", "blur", "curves",
           "distributions", "histograms", "layer_grid", "layers_over_snapshots", "map_grid", "markdown", "number",
           "over_snapshots", "picture", "scores", "shares", "smoothed", "stitched", "strips", "thinned"]
