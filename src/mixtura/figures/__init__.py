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
    surface,
    territory,
)
from mixtura.figures.profile import Profile, profile
from mixtura.figures.rows import Drawn, Hexagons, Uncertainty, draw, extent, hexagons, uncertainty
from mixtura.figures.search import Choice, Convergence, EntropyCurve, Line, choice, convergence, entropy_curve
from mixtura.figures.views import Projection, View, projection, view

__all__ = [
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
    "histogram",
    "profile",
    "projection",
    "qq",
    "surface",
    "territory",
    "uncertainty",
    "view",
]
