"""The numbers behind the pictures of a report, gathered in as few passes over the rows as they take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixtura import figures
from mixtura.core.mixture import Mixture
from mixtura.core.statistics import Array
from mixtura.figures import (
    QQ,
    Choice,
    Convergence,
    Curve,
    Drawn,
    Hexagons,
    Histogram,
    Profile,
    Projection,
    Uncertainty,
)
from mixtura.report.svg import padded

if TYPE_CHECKING:
    from mixtura.result import Result

#: The most components between which all overlaps are computed and shown: each is an integral.
MOST_OVERLAPPING = 12
#: Columns in the picture of all pairs.
GRID_COLUMNS = 4

#: Is told how many of how many steps are done.
Told = Callable[[int, int], object]


@dataclass(frozen=True, eq=False)
class Pictures:
    """What is drawn of a result.

    Attributes
    ----------
    model : Mixture
    drawn : Drawn
    profile : Profile
    order : tuple of int
        The columns, the most telling first.
    pair : tuple of int
        The one or two columns that are shown first.
    hexagons : dict of str to Hexagons
        All rows counted in those two ("pair") and in the projection, where they are too many to be drawn.
    curve, histogram : Curve and Histogram, or None
        Of one column.
    projection : Projection or None
        Of more than two columns.
    qq : QQ
    uncertainty : Uncertainty
    convergence : Convergence
    choice : Choice
    overlap : ndarray of shape (K, K) or None
        None where there are too many components.
    """

    model: Mixture
    drawn: Drawn
    profile: Profile
    order: tuple[int, ...]
    pair: tuple[int, ...]
    hexagons: Mapping[str, Hexagons]
    curve: Curve | None
    histogram: Histogram | None
    projection: Projection | None
    qq: QQ
    uncertainty: Uncertainty
    convergence: Convergence
    choice: Choice
    overlap: Array | None

    @property
    def grid(self) -> tuple[int, ...]:
        """The columns of the picture of all pairs."""
        return tuple(sorted(self.order[:GRID_COLUMNS]))


def gather(result: Result, told: Told | None = None) -> Pictures:
    """The numbers of all pictures of a result; ``told`` hears of each step."""
    model, source, done = result.model, result.survey.source, iter(range(1, 6))

    def step() -> None:
        if told is not None:
            told(next(done), 5)

    drawn = figures.draw(model, source)
    step()
    profile = figures.profile(model)
    order = tuple(int(j) for j in profile.order)
    pair = tuple(sorted(order[:2]))
    single, projection = model.n_features == 1, figures.projection(model) if model.n_features > 2 else None
    views = {} if single else {"pair": figures.view(model, pair)}
    if projection is not None:
        views["projection"] = projection.view
    many = bool(views) and not drawn.complete
    counted = figures.hexagons_of(model, source, list(views.values())) if many else []
    hexagons = dict(zip(views, counted, strict=False))
    step()
    histogram = figures.histogram(model, source) if single else None
    step()
    qq = figures.qq(model, source)
    step()
    uncertainty = figures.uncertainty(model, source)
    step()
    return Pictures(
        model,
        drawn,
        profile,
        order,
        pair,
        hexagons,
        figures.curve(model, 0, padded(drawn.rows)) if single else None,
        histogram,
        projection,
        qq,
        uncertainty,
        figures.convergence(result.fit.trace, result.weight),
        figures.choice(result.table(), result.criterion, (result.best.n_components, result.best.covariance)),
        model.overlap() if 1 < model.n_components <= MOST_OVERLAPPING else None,
    )
