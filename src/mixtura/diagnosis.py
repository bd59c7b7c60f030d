"""What is wrong with a fit, or odd about the rows.

Every finding has a name, a sentence that says where, and, if there is one, a remedy. This is the one place where they
are made; they are the ``notes`` of a cell, and go from there into summaries, reports and warnings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

import numpy as np

from mixtura.core.em import Fit
from mixtura.core.point import LEAST_ROW
from mixtura.core.statistics import Array
from mixtura.covariance.idle import Idle
from mixtura.covariance.prior import Prior
from mixtura.covariance.registry import Family
from mixtura.covariance.resolution import Resolution
from mixtura.covariance.structure import diagonal_of
from mixtura.sources.sketch import Sample

#: A component leans on the prior when that, and not the rows, supplies more than this share of a variance.
LEANING_SHARE = 0.5
#: Two components coincide when each mean lies within this many standard deviations of the other's.
COINCIDING = 1e-3
#: A value is worth telling from this distance on from the middle of its column, in units of the column's spread.
FAR_OFF = 1e3
#: So are columns that are counted in one unit although one spreads this many times as far as another.
UNEQUAL = 1e6
#: Components or columns named in one sentence.
MOST_NAMED = 12


class Grade(IntEnum):
    """How grave a finding is."""

    #: Worth knowing.
    REMARK = 0
    #: Some number of the fit does not mean what it usually does.
    WARNING = 1
    #: The fit should give way to another.
    UNSOUND = 2


@dataclass(frozen=True)
class Note:
    """One finding.

    Attributes
    ----------
    name : str
        Of this kind of finding; it stays the same whatever the sentence says.
    sentence : str
        What was found, and where.
    remedy : str
        What to do; empty where there is nothing.
    components, columns : tuple of int
        Where.
    grade : Grade
    about : {"fit", "rows"}
        Whether it hangs on the fit, or on the rows alone.
    """

    name: str
    sentence: str
    remedy: str = ""
    components: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()
    grade: Grade = Grade.REMARK
    about: Literal["fit", "rows"] = "fit"

    def __str__(self) -> str:
        return f"{self.sentence} {self.remedy}".rstrip()

    @property
    def healthy(self) -> bool:
        """Whether the fit may be chosen in spite of it."""
        return self.grade < Grade.UNSOUND

    def as_dict(self) -> dict[str, Any]:
        """As plain values, JSON-able."""
        return {
            "name": self.name,
            "about": self.about,
            "grade": self.grade.name.lower(),
            "sentence": self.sentence,
            "remedy": self.remedy,
            "components": list(self.components),
            "columns": list(self.columns),
        }


# Of a fit


def diagnose(fit: Fit) -> tuple[Note, ...]:
    """Findings about a fit, the gravest first."""
    notes = [*_of_components(fit), *_of_idle_directions(fit), *_of_coinciding(fit)]
    if fit.prior.resolution is not None:
        notes += of_units(fit.family, fit.prior.resolution, fit.model.columns)
    return tuple(sorted(notes, key=lambda note: -note.grade))


def _of_components(fit: Fit) -> Iterable[Note]:
    empty, leaning, narrow = empty_components(fit), leaning_components(fit), narrow_components(fit)
    fewer = "Use fewer components."
    rows, k = fit.statistics.rows, fit.model.n_components
    short = f"{_counted(rows, 'distinct row')} cannot fill {k} components"
    if empty:
        why = short if rows < k else "there are fewer groups than components"
        yield Note("empty component", f"{_has(empty)} no rows: {why}.", fewer, empty, grade=Grade.UNSOUND)
    elif rows < k:
        yield Note("few distinct rows", f"{short}.", fewer, grade=Grade.UNSOUND)
    if leaning and fit.prior.asked:
        sentence = f"{_has(leaning)} a variance that {fit.prior.asked}, and not the rows, supplied."
        yield Note("variance of the prior", sentence, components=leaning)
    elif _too_few(fit) or (leaning and fit.family.pooled):
        yield _few_rows(fit)
    elif leaning:
        idle = _idle_columns(fit, leaning)
        where = _named(fit, idle)
        what = f"in which {where} do{'es' * (len(idle) == 1)} not vary" if idle else "that are too few, or on a line"
        sentence = f"{_has(leaning)} collapsed onto rows {what}: the likelihood there says nothing."
        remedy = "Use fewer components, a plainer family or a conjugate prior."
        yield Note("collapsed component", sentence, remedy, leaning, idle, Grade.UNSOUND)
    if narrow:
        unresolved = fit.prior.unresolved(fit.model.structure)[list(narrow)].any(0)
        columns = tuple(int(j) for j in np.flatnonzero(unresolved))
        where = f"the rounding of {_named(fit, columns)}" if columns else "rounding in some direction across columns"
        sentence = f"{_has(narrow)} no more width than {where}: the likelihood there says nothing."
        yield Note("narrow component", sentence, fewer, narrow, columns, Grade.UNSOUND)


def _few_rows(fit: Fit) -> Note:
    """That the rows do not tell the covariances in every direction."""
    rows, d = fit.statistics.rows, fit.model.n_features
    leaning = fit.prior.shares(fit.model.structure, _rows_beneath(fit)) > LEANING_SHARE
    directions = min(fit.prior.idle.directions + int(leaning.sum(1).max()), d)
    few = "1 distinct row is" if rows == 1 else f"{rows:,} rows are"
    sentence = (
        f"{few} too few, or vary too little, for the covariances of {_counted(d, 'column')}: "
        f"they lean on the prior in {directions:,} of {_counted(d, 'direction')}."
    )
    remedy = "A plainer family (diag, spherical), a conjugate prior or fewer columns need less."
    return Note("few rows", sentence, remedy, grade=Grade.UNSOUND)


def _of_idle_directions(fit: Fit) -> Iterable[Note]:
    idle, nominal = fit.prior.idle, fit.prior.span is not None
    stands_in = "A nominal variance stands in there, so the log-likelihood counts only for comparison."
    grade = Grade.WARNING if nominal else Grade.REMARK
    if idle.constant:
        it, tells = ("it", "tells") if len(idle.constant) == 1 else ("them", "tell")
        sentence = f"{_constant(idle, fit.model.columns)}, which {tells} no groups apart."
        sentence += f" {stands_in}" * nominal
        yield Note("constant column", sentence, f"Leave {it} out.", columns=idle.constant, grade=grade, about="rows")
    if idle.relations and not _too_few(fit):
        sentence = f"{_related(idle, fit.model.columns)}." + f" {stands_in}" * nominal
        remedy = "Leave out a column that the others determine."
        yield Note("linear relation", sentence, remedy, columns=idle.related, grade=grade, about="rows")


def _of_coinciding(fit: Fit) -> Iterable[Note]:
    for group in coinciding_components(fit):
        names = f"{', '.join(map(str, group[:-1]))} and {group[-1]}"
        sentence = f"Components {names} coincide: fewer components say the same."
        yield Note("coinciding components", sentence, components=group)


def of_units(family: Family, resolution: Resolution, columns: Sequence[str] | None) -> list[Note]:
    """That columns of very different scales are counted in one unit, where they are."""
    spread = np.where(resolution.spread > 0, resolution.spread, np.nan)
    if not family.one_unit or np.isnan(spread).all():
        return []
    wide, narrow = int(np.nanargmax(spread)), int(np.nanargmin(spread))
    ratio = spread[wide] / spread[narrow]
    if not ratio > UNEQUAL:
        return []
    names = name_columns([wide], columns), name_columns([narrow], columns)
    sentence = (
        f"{_capital(names[0])} spreads {ratio:.0e} times as far as {names[1]}, and the family {family.name} counts "
    )
    sentence += "all columns in one unit: narrow ones have little say."
    remedy = "Standardise the columns, or take a family that knows their units (full, tied, diag)."
    return [Note("unequal columns", sentence, remedy, (), (wide, narrow), Grade.WARNING)]


def of_prior(prior: Prior, weight: float) -> list[Note]:
    """That a prior that was asked for is nothing beside rows of that weight, where it is."""
    if not prior.asked or not prior.scatter.any() or prior.count > np.finfo(np.float64).eps * weight:
        return []
    sentence = f"{_capital(prior.asked)} counts as {prior.count:.3g} rows of weight 1, which is nothing beside weights "
    sentence += f"that add up to {weight:.1e}."
    return [Note("prior of no weight", sentence, "Divide the weights by that of a usual row.", grade=Grade.WARNING)]


def misplaced_components(fit: Fit) -> tuple[int, ...]:
    """The components that should be elsewhere: those that are empty, or have collapsed or are narrow as a minority.

    Where collapsed components hold most of the weight, the rows themselves do not vary within their groups.
    """
    empty, spikes = empty_components(fit), (*leaning_components(fit), *narrow_components(fit))
    n = fit.statistics.n
    minority = n[list(spikes)].sum() < 0.5 * n.sum()
    spurious = minority and not fit.family.pooled and not _too_few(fit)
    return tuple(sorted({*empty, *(spikes if spurious else ())}))


def empty_components(fit: Fit) -> tuple[int, ...]:
    """The components without rows."""
    return tuple(int(k) for k in np.flatnonzero(fit.statistics.n <= LEAST_ROW * fit.statistics.row_weight))


def leaning_components(fit: Fit) -> tuple[int, ...]:
    """The components that have rows, but a variance which the prior supplies."""
    shares, empty = fit.prior.share(fit.model.structure, _rows_beneath(fit)), empty_components(fit)
    return tuple(int(k) for k in np.flatnonzero(shares > LEANING_SHARE) if k not in empty)


def _rows_beneath(fit: Fit) -> Array:
    """(K,) how many rows each component's covariance rests upon: where all is pooled, an even share of all rows."""
    n = fit.statistics.n
    return np.full_like(n, n.mean()) if fit.family.pooled else n


def narrow_components(fit: Fit) -> tuple[int, ...]:
    """The components whose variance in some direction is less than the columns resolve, and not the default prior's."""
    structure = fit.model.structure
    narrow = fit.prior.unresolved(structure).any(1)
    if fit.family.kind != "diagonal":
        narrow |= fit.prior.thin(structure)
    others = {*empty_components(fit), *(() if fit.prior.asked else leaning_components(fit))}
    return tuple(int(k) for k in np.flatnonzero(narrow) if k not in others)


def coinciding_components(fit: Fit) -> list[tuple[int, ...]]:
    """The groups of components, those without rows aside, that have the same mean and covariance."""
    structure, means, k = fit.model.structure, fit.model.means, fit.model.n_components
    near = np.zeros((k, k), dtype=np.bool_)
    for ahead in range(1, k):
        other = (np.arange(k) + ahead) % k
        apart = np.abs(structure.whiten(means[other] - means)).max(1)  # no square overflows
        near[np.arange(k), other] = apart < COINCIDING
    left = [i for i in range(k) if i not in empty_components(fit)]
    groups: list[tuple[int, ...]] = []
    while left:
        first, *others = left
        group = (first, *(i for i in others if near[first, i] and _same_shape(fit, first, i)))
        left = [i for i in others if i not in group]
        groups += [group] if len(group) > 1 else []
    return groups


def _same_shape(fit: Fit, i: int, j: int) -> bool:
    """Whether two components have the same covariance."""
    one, other = (fit.model.structure.take(np.array([k])) for k in (i, j))
    return one.distance(other, np.ones(1)) < COINCIDING**2


def _too_few(fit: Fit) -> bool:
    """Whether there are no more rows than columns, for covariances that are not diagonal."""
    return fit.statistics.rows <= fit.model.n_features and fit.family.kind != "diagonal"


def _idle_columns(fit: Fit, which: tuple[int, ...]) -> tuple[int, ...]:
    """The columns whose variance, within these components, is the prior's."""
    if fit.family.isotropic:
        return tuple(range(fit.model.n_features))
    of = list(which)
    variance = fit.model.structure.variances()[of] * (fit.statistics.n[of] + fit.prior.count)[:, None]
    idle = diagonal_of(fit.prior.scatter) > LEANING_SHARE * variance
    return tuple(int(j) for j in np.flatnonzero(idle.any(0)))


# Of rows


def diagnose_rows(
    sample: Sample, n_rows: int, resolution: Resolution, columns: Sequence[str] | None
) -> tuple[Note, ...]:
    """Findings about rows, whatever is fitted to them.

    Parameters
    ----------
    sample : Sample
        Of the rows.
    n_rows : int
        How many there are.
    resolution : Resolution
        How finely they are recorded.
    columns : sequence of str, optional
        Names of the columns.
    """
    told = [*_of_rounding(resolution, columns), *_of_far_values(sample, columns)]
    if sample.complete and sample.weight == n_rows:  # of rows with weights none can be told
        told += _of_copies(n_rows, n_rows - sample.n_rows, any(note.name == "rounded values" for note in told))
    return tuple(told)


def _of_copies(n_rows: int, copies: int, rounded: bool) -> Iterable[Note]:
    if copies:
        repeat = "repeats another" if copies == 1 else "repeat others"
        each = ", and the criteria count each as an observation of its own" * (2 * copies > n_rows and not rounded)
        yield Note("repeated rows", f"{copies:,} of the {n_rows:,} rows {repeat}{each}.", about="rows")


def _of_rounding(resolution: Resolution, columns: Sequence[str] | None) -> Iterable[Note]:
    for step, which, exhausted in resolution.coarse():
        names = _plainly(which, columns)
        if exhausted:
            far = f"{resolution.size[list(which)].max():.3g}"
            sentence = f"Values of {names} reach {far}, where double precision has steps of {step}."
            remedy = "Subtract a constant from them where they are still exact."
            yield Note("exhausted precision", sentence, remedy, (), which, Grade.WARNING, "rows")
        else:
            yield Note("rounded values", f"Values of {names} are rounded to {step}.", columns=which, about="rows")
    for j, value, share in resolution.heavy:
        sentence = f"{share:.0%} of the values of {_plainly([j], columns)} are {value:.6g}."
        yield Note("frequent value", sentence, columns=(j,), about="rows")


def _of_far_values(sample: Sample, columns: Sequence[str] | None) -> Iterable[Note]:
    middle, spread = sample.middle_and_spread
    ends = np.stack([sample.box.low, sample.box.high])
    distance = np.abs(ends - middle) / np.where(spread > 0, spread, np.inf)
    which = tuple(np.flatnonzero(distance.max(0) > FAR_OFF).tolist())
    if which:
        end, j = np.unravel_index(int(distance.argmax()), distance.shape)
        value, far = f"{ends[end, j]:.6g}", f"{distance[end, j]:.1e}"
        sentence = f"The value {value} of {name_columns([int(j)], columns)} lies {far} times the column's spread "
        sentence += "from its middle"
        sentence += f", and values of {_counted(len(which) - 1, 'more column')} lie far off too." if which[1:] else "."
        remedy = "Check it; a noise component takes rows that belong nowhere."
        yield Note("far value", sentence, remedy, (), which, Grade.WARNING, "rows")


def idle_directions(idle: Idle, columns: Sequence[str] | None) -> list[str]:
    """Sentences that say in which directions the rows do not vary."""
    told = [f"{_constant(idle, columns)}."] if idle.constant else []
    return told + ([f"{_related(idle, columns)}."] if idle.relations else [])


def _constant(idle: Idle, columns: Sequence[str] | None) -> str:
    return f"{_capital(name_columns(idle.constant, columns))} {'is' if len(idle.constant) == 1 else 'are'} constant"


def _related(idle: Idle, columns: Sequence[str] | None) -> str:
    names = _capital(name_columns(idle.related, columns))
    how = "an exact linear relation" if idle.relations == 1 else f"{idle.relations:,} exact linear relations"
    return f"{names} are bound by {how}"


# Names


def name_columns(which: Iterable[int], columns: Sequence[str] | None) -> str:
    """The columns by name, or by number where they have no names."""
    numbers = [int(j) for j in which]
    names = [repr(columns[j]) if columns else str(j) for j in numbers]
    return f"column{'s' * (len(names) > 1)} {_some(names)}"


def _plainly(which: Sequence[int], columns: Sequence[str] | None) -> str:
    """The columns' names without any more words, where they have names."""
    return _some([columns[j] for j in which]) if columns else name_columns(which, columns)


def _named(fit: Fit, which: Iterable[int]) -> str:
    return name_columns(which, fit.model.columns)


def _has(which: tuple[int, ...]) -> str:
    return f"Component {which[0]} has" if len(which) == 1 else f"Components {_some(list(map(str, which)))} have"


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _counted(n: int, thing: str) -> str:
    return f"{n:,} {thing}{'s' * (n != 1)}"
