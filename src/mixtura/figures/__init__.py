"""The numbers that pictures show, whoever draws them: plain arrays from a mixture and its rows, in NumPy alone.

What depends on rows takes a table in memory or a Source of any length. Of the rows themselves no more than a bounded
sample is kept (``draw``); everything else is summed over all of them, block by block.
"""

from mixtura.figures.checks import QQ, qq
from mixtura.figures.densities import (
    Curve,
    Ellipse,
    Histogram,
    Surface,
    Territory,
    curve,
    ellipses,
    histogram,
    reach,
    surface,
    territory,
)
from mixtura.figures.profile import Profile, profile
from mixtura.figures.rows import (
    MOST_DRAWN,
    Drawn,
    Hexagons,
    Uncertainty,
    draw,
    extent,
    hexagons,
    hexagons_of,
    uncertainty,
)
from mixtura.figures.search import Choice, Convergence, EntropyCurve, Line, choice, convergence, entropy_curve
from mixtura.figures.views import Projection, View, projection, view

__all__ = [
    "MOST_DRAWN",
    "QQ",
    "Choice",
    "Convergence",
    "Curve",
    "Drawn",
    "Ellipse",
    "EntropyCurve",
    "Hexagons",
    "Histogram",
    "Line",
    "Profile",
    "Projection",
    "Surface",
    "Territory",
    "Uncertainty",
    "View",
    "choice",
    "convergence",
    "curve",
    "draw",
    "ellipses",
    "entropy_curve",
    "extent",
    "hexagons",
    "hexagons_of",
    "histogram",
    "profile",
    "projection",
    "qq",
    "reach",
    "surface",
    "territory",
    "uncertainty",
    "view",
]
