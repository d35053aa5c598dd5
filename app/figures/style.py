"""Colours, lines and marks that all figures share."""

# Okabe & Ito's colours, which colour-blind readers tell apart; the baseline is grey.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#B8A900")
BASELINE_COLOUR = "#8A94A3"
TEACHER_COLOUR = "#A05EB5"
TEACHER_LOOK = {"colour": TEACHER_COLOUR, "dash": "dot", "symbol": "star-diamond"}
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")

MARGIN = {"l": 64, "r": 16, "t": 44, "b": 48}  # pixels around a plot whose legend stands above it
LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
MARK = {"color": BASELINE_COLOUR, "dash": "dot", "width": 1.5}  # the line at what is shown
