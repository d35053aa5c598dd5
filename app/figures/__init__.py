"""Arrays -> Plotly figures: pure functions."""

from app.figures.answers import answers
from app.figures.bars import class_counts
from app.figures.beside import with_answers
from app.figures.comparisons import bands, cells, reliability, spots
from app.figures.curves import POINTS, curves, layers_over_snapshots, over_snapshots, scores, thinned
from app.figures.maps import layer_grid, map_grid, stitched
from app.figures.pictures import image_rows, picture
from app.figures.shares import distributions, histograms, shares, strips
from app.figures.style import BASELINE_COLOUR, COLOURS, DASHES, SYMBOLS, TEACHER_COLOUR, TEACHER_LOOK
from app.figures.text import markdown, number
from app.figures.worlds import curves_and_slopes, over_training, regions, two_sides

__all__ = ["BASELINE_COLOUR", "COLOURS", "DASHES", "POINTS", "SYMBOLS", "TEACHER_COLOUR", "TEACHER_LOOK", "answers",
           "bands", "cells", "class_counts", "curves", "curves_and_slopes", "distributions", "histograms", "image_rows",
           "layer_grid", "layers_over_snapshots", "map_grid", "markdown", "number", "over_snapshots", "over_training",
           "picture", "regions", "reliability", "scores", "shares", "spots", "stitched", "strips", "thinned",
           "two_sides", "with_answers"]
