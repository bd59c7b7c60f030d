"""Cross-validation: how well models of a part of the rows describe the rest.

The rows are cut into folds by their hashes, so that copies of a row lie in one fold and neither their order nor the
way their weights are written down matters. For each fold, every fit goes on from its own parameters over the other
rows, which are close to where it ends, and is scored on the fold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.core.em import Callback, Fit, Stop, Task, climb_together
from mixtura.core.mixture import Mixture
from mixtura.core.statistics import Array
from mixtura.sources.record import recordable
from mixtura.sources.sketch import row_hashes
from mixtura.sources.source import Block, Result, Source, Sum

#: Folds.
FOLDS = 5
#: Up to so many rows are listed with their folds, a byte each.
LISTED = 2**26
#: Fits go on over the rows of the other folds to this gap, in nats a row.
FOLD_TOL = 1e-5


class HeldOut(NamedTuple):
    """Log-likelihood of all rows, each under the model of the folds that it is not in, and its standard error."""

    loglik: float
    error: float


#: (B,) which rows of a block belong to a part.
Choice = Callable[[Block], NDArray[np.bool_]]


class Part(Source):
    """Some of the rows of a source."""

    def __init__(self, source: Source, choice: Choice) -> None:
        self.source, self.choice, self.remote = source, choice, source.remote
        self.n_features = source.n_features
        self.n_rows = self.total(_n_rows)

    def watch(self, tell: Callable[[int], object] | None) -> None:  # noqa: D102
        self.source.watch(tell)

    def map(self, function: Callable[[Block], Result]) -> Iterator[Result]:  # noqa: D102
        return self.source.map(partial(_of_part, self.choice, function))

    def total(self, function: Callable[[Block], Sum]) -> Sum:  # noqa: D102
        return self.source.total(partial(_of_part, self.choice, function))


def _of_part(choice: Choice, function: Callable[[Block], Result], block: Block) -> Result:
    mine = choice(block)
    return function(Block(block.rows[mine], None if block.weights is None else block.weights[mine], block.start))


def _n_rows(block: Block) -> int:
    return len(block.rows)


def cross_validate(
    fits: Sequence[Fit],
    source: Source,
    seed: int,
    *,
    max_iter: int = 10_000,
    accelerate: bool = True,
    callback: Callback | None = None,
) -> list[HeldOut]:
    """Held-out log-likelihood of each fit.

    Parameters
    ----------
    fits : sequence of Fit
        Of all rows.
    source : Source
        The rows.
    seed : int
        Decides which rows lie in one fold.
    max_iter : int
        The most passes of each climb.
    accelerate : bool
        Whether to take quasi-Newton steps.
    callback : callable, optional
        As for ``climb_together``, of each fold.

    Returns
    -------
    list of HeldOut
        −inf where a model of some folds could not be fitted, or excludes a row of the rest.
    """
    folds = _folds(source, seed)
    scores = _Scores(np.zeros(len(fits)), np.zeros(len(fits)), 0.0)
    level = np.array([fit.loglik / fit.statistics.weight for fit in fits])
    for number in range(FOLDS):
        held, rest = (Part(source, choice) for choice in folds(number))
        if not (held.n_rows and rest.n_rows):
            if held.n_rows:  # there is nothing to fit to
                scores += _Scores(np.full(len(fits), -np.inf), np.zeros(len(fits)), 0.0)
            continue
        weight = rest.total(attrgetter("weight"))
        tasks = [
            Task(
                fit.model,
                fit.family,
                fit.prior.scaled(weight / fit.statistics.weight),
                Stop(FOLD_TOL, max_iter),
                accelerate,
                fit.fixed,
                curvature=fit.curvature,
            )
            for fit in fits
        ]
        climbed = climb_together(tasks, rest, callback)
        found = held.total(partial(_scores, [fit.model for fit in climbed], level))
        failed = np.array([fit.status.failed for fit in climbed])
        scores += replace(found, sum=np.where(failed, -np.inf, found.sum))
    with np.errstate(invalid="ignore"):
        spread = np.maximum(scores.squares - np.square(scores.sum) / scores.weight, 0.0)
    return [
        HeldOut(*each)
        for each in zip((level * scores.weight + scores.sum).tolist(), np.sqrt(spread).tolist(), strict=True)
    ]


def _folds(source: Source, seed: int) -> Callable[[int], tuple[Choice, Choice]]:
    """For each fold, which rows belong to it, and which to the others.

    Where the rows are elsewhere, they are hashed in every pass, for a list of all rows would have to be sent there; and
    where there are very many, it would take room.
    """
    if source.remote or source.n_rows > LISTED:
        return lambda number: (partial(_hashed, seed, number, True), partial(_hashed, seed, number, False))
    fold = np.concatenate([*source.map(partial(_fold, seed))])
    return lambda number: (partial(_listed, fold == number), partial(_listed, fold != number))


def _hashed(seed: int, number: int, inside: bool, block: Block) -> NDArray[np.bool_]:
    return (_fold(seed, block) == number) == inside


def _listed(chosen: NDArray[np.bool_], block: Block) -> NDArray[np.bool_]:
    return chosen[block.start : block.start + len(block.rows)]


def _fold(seed: int, block: Block) -> NDArray[np.uint8]:
    """The number of the fold of each row."""
    return (row_hashes(block.rows, np.uint64(seed)) % np.uint64(FOLDS)).astype(np.uint8)


@recordable
@dataclass(frozen=True, eq=False)
class _Scores:
    """Of each model Σ w (log p − its level) and the sum of the squares, (M,); and Σ w."""

    sum: Array
    squares: Array
    weight: float

    def __add__(self, other: _Scores) -> _Scores:
        return _Scores(self.sum + other.sum, self.squares + other.squares, self.weight + other.weight)


def _scores(models: Sequence[Mixture], level: Array, block: Block) -> _Scores:
    excess = np.stack([model.logpdf(block.rows) for model in models]) - level[:, None]
    return _Scores(excess @ block.each, np.square(excess) @ block.each, block.weight)
