"""Random hostile tables against the contract of a fit: a sound model that tells the truth, or an error with a reason.

    python tests/torture/fuzz.py --inputs 5000

Each input is made from its number alone, so that ``--only 1234`` makes it again.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

import mixtura
from mixtura import GaussianMixture, Status, kernels, race
from mixtura.choice import Cell
from mixtura.core.em import PRECISE_GAP, Stop, Task, climb_together
from mixtura.core.point import Point
from mixtura.covariance.registry import FAMILIES
from mixtura.covariance.structure import SingularError
from mixtura.diagnosis import Grade
from mixtura.sources.memory import Memory

#: Words of which an error must have some: they tell what is wrong with the input, and where.
REASONS = (
    "Input contains NaN (a missing value) in row",
    "Input contains infinity in row",
    "which becomes infinity in float64",
    "rows cannot hold",
    "range of double precision",
    "no candidate could be fitted",
    "sample_weight",
)


@dataclass
class Attempt:
    """A table, and what is asked of a fit to it."""

    rows: Any
    n_components: int
    options: dict[str, Any]
    tags: list[str] = field(default_factory=list)
    kernels: tuple[str, str] | None = None
    sample_rows: int | None = None
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{np.shape(self.rows)} K={self.n_components} {', '.join(self.tags)}; {self.options}"


# Making tables


def but_one(rng: np.random.Generator, n: int, value: float) -> np.ndarray:
    """Normal numbers, but for one."""
    return np.where(np.arange(n) == rng.integers(n), value, rng.normal(size=n))


COLUMNS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "groups": lambda rng, n: rng.normal(size=n) + 10.0 * rng.integers(0, 3, n),
    "ties": lambda rng, n: rng.integers(0, 4, n).astype(float),
    "flags": lambda rng, n: rng.integers(0, 2, n).astype(float),
    "constant": lambda rng, n: np.full(n, rng.choice([0.0, 1.0, -7.5, 1e9, 1e-9, 1e140])),
    "rounded": lambda rng, n: np.round(rng.normal(size=n), int(rng.integers(0, 4))),
    "heavy tails": lambda rng, n: rng.standard_cauchy(n) ** int(rng.choice([1, 3])),
    "many zeros": lambda rng, n: np.where(rng.random(n) < 0.6, 0.0, rng.exponential(size=n)),
    "far": lambda rng, n: rng.normal(size=n) + rng.choice([1e6, -1e9, 1e12, 1e15]),
    "near ties": lambda rng, n: 1.0 + rng.integers(-3, 4, n) * np.finfo(float).eps,
    "steps of the last digit": lambda rng, n: 1e16 + 2.0 * rng.integers(-4, 5, n),
    "small": lambda rng, n: rng.normal(size=n) * 10.0 ** -rng.integers(3, 146),
    "large": lambda rng, n: rng.normal(size=n) * 10.0 ** rng.integers(3, 146),
    "denormal": lambda rng, n: rng.integers(-9, 10, n) * 5e-324,
    "underflowing": lambda rng, n: rng.normal(size=n) * 1e-200,
    "overflowing": lambda rng, n: rng.normal(size=n) * 1e200,
    "all magnitudes": lambda rng, n: rng.choice([-1, 1], n) * 10.0 ** rng.uniform(-100, 100, n),
    "an outlier": lambda rng, n: np.where(
        np.arange(n) == rng.integers(n), 10.0 ** rng.integers(2, 145), rng.normal(size=n)
    ),
    "a wild outlier": lambda rng, n: np.where(np.arange(n) == rng.integers(n), 1e300, rng.normal(size=n)),
    "a NaN": lambda rng, n: np.where(np.arange(n) == rng.integers(n), np.nan, rng.normal(size=n)),
    "an infinity": lambda rng, n: np.where(np.arange(n) == rng.integers(n), -np.inf, rng.normal(size=n)),
}
#: What is refused whatever is asked of it comes seldom.
SELDOM = ("a NaN", "an infinity", "overflowing", "underflowing", "denormal", "a wild outlier")
LIKELY = np.array([0.1 if kind in SELDOM else 1.0 for kind in COLUMNS])


def table(rng: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """Rows, and what they are made of."""
    n, d = int(rng.integers(1, 41)), int(rng.integers(1, 6))
    if rng.random() < 0.1:
        d = int(rng.integers(6, 40))
    columns, tags = [], []
    for _ in range(d):
        if columns and rng.random() < 0.15:
            j = int(rng.integers(len(columns)))
            made, kind = columns[j] * rng.choice([1.0, -2.0, 1e3]) + rng.choice([0.0, 1.0]), "copied"
            if len(columns) > 1 and rng.random() < 0.5:
                made, kind = columns[j] + columns[j - 1], "summed"
        else:
            kind = str(rng.choice([*COLUMNS], p=LIKELY / LIKELY.sum()))
            made = COLUMNS[kind](rng, n)
        columns.append(made)
        tags.append(kind)
    rows = np.column_stack(columns)
    if rng.random() < 0.25:
        rows = np.repeat(rows, rng.integers(1, 5, n), axis=0)
        tags.append("repeated")
    if rng.random() < 0.05:
        rows[:] = rows[0]
        tags.append("all alike")
    if rng.random() < 0.1 and len(rows) > 3:
        rows[: len(rows) // 2] = rows[0]
        tags.append("half alike")
    rng.shuffle(rows)
    return rows, tags


LAYOUTS = {
    "by columns": np.asfortranarray,
    "backwards": lambda rows: np.ascontiguousarray(rows[::-1])[::-1],
    "strided": lambda rows: np.repeat(np.repeat(rows, 2, axis=0), 3, axis=1)[::2, ::3],
    "big-endian": lambda rows: rows.astype(">f8"),
    "longdouble": lambda rows: rows.astype(np.longdouble),
    "float32": lambda rows: rows.astype(np.float32),
    "objects": lambda rows: rows.astype(object),
    "lists": lambda rows: rows.tolist(),
}


def attempt(number: int) -> Attempt:
    """The input of that number."""
    rng = np.random.default_rng([2026, number])
    with np.errstate(all="ignore"):
        rows, tags = table(rng)
    options: dict[str, Any] = {"covariance_type": str(rng.choice([family.name for family in FAMILIES]))}

    def sometimes(share: float, name: str, *values: Any) -> None:
        if rng.random() < share:
            options[name] = values[int(rng.integers(len(values)))]

    options["n_init"] = int(rng.integers(1, 4))
    options["max_iter"] = int(rng.choice([1, 5, 60, 300]))
    sometimes(0.3, "reg_covar", 0.0, 1e-6, 1.0)
    sometimes(0.3, "init_params", "hierarchical", "k-means++", "kmeans", "random", "random_from_data")
    sometimes(0.2, "noise", True, 0.1, 1e-300)
    sometimes(0.2, "tol", 0.0, 1e-12, 1e-3)
    sometimes(0.1, "fixed", mixtura.Fixed("equal"))
    if "reg_covar" not in options:
        sometimes(0.15, "prior", "conjugate")
    weights = None
    if rng.random() < 0.3:
        unit = 10.0 ** float(rng.choice([0, 0, 0, -60, 60]))
        weights = unit * rng.choice([0.0, 0.5, 1.0, 7.0, 1e-3, 1e6], len(rows))
        options["sample_weight"] = weights
        tags.append(f"weights about {unit:g}")
    given: Any = rows
    if rng.random() < 0.3:
        layout = str(rng.choice([*LAYOUTS]))
        tags.append(layout)
        with np.errstate(all="ignore"):
            given = LAYOUTS[layout](rows)
    trial = Attempt(given, int(rng.integers(1, 9)), options, tags)
    if rng.random() < 0.3:
        trial.kernels = (("compiled", "compiled"), ("compiled", "single"))[int(rng.integers(2))]
        tags.append(f"kernel {trial.kernels[1]}")
    if rng.random() < 0.2:
        trial.sample_rows = int(rng.integers(2, 12))
        tags.append(f"samples of {trial.sample_rows}")
    if rng.random() < 0.1:
        trial.others = tuple(rng.choice([family.name for family in FAMILIES], 2))
        tags.append(f"beside {', '.join(trial.others)}")
    return trial


@contextmanager
def circumstances(trial: Attempt) -> Iterator[None]:
    """The kernels that fits run on, and how small their samples are: as in tables with many more rows."""
    before = kernels.choose, race.SAMPLE_ROWS, race.SAMPLE_ROWS_EACH
    if trial.kernels is not None:
        modules = [importlib.import_module(f"mixtura.kernels.{name}") for name in trial.kernels]
        kernels.choose = lambda *_, single=False: modules[single]
    if trial.sample_rows is not None:
        race.SAMPLE_ROWS, race.SAMPLE_ROWS_EACH = trial.sample_rows, 1
    try:
        yield
    finally:
        kernels.choose, race.SAMPLE_ROWS, race.SAMPLE_ROWS_EACH = before


# The contract

#: Where the gradient grows again by this factor, a climb had come to a saddle: its gradient and gap were as it said.
STEEPER = 3.0


class Broken(AssertionError):
    """A clause of the contract does not hold."""


def hold(clause: bool, what: str) -> None:
    if not clause:
        raise Broken(what)


def outcome(trial: Attempt) -> str:
    """What became of it, in a word: raises where the contract is broken."""
    with circumstances(trial):
        return _outcome(trial)


def _outcome(trial: Attempt) -> str:
    options = dict(trial.options)
    weights = options.pop("sample_weight", None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = GaussianMixture(trial.n_components, random_state=0, **options).fit(
                trial.rows, sample_weight=weights
            )
        except ValueError as error:
            check_error(error, options)
            return "refused"
        told = [w for w in caught if not issubclass(w.category, ConvergenceWarning) and w.category is not UserWarning]
        hold(not told, f"warned: {told[0].message if told else ''}")
        check_model(trial, model, weights, caught)
        families, counts = [options.pop("covariance_type"), *trial.others], [trial.n_components]
        if trial.others:
            counts.append(trial.n_components + 1)
        result = mixtura.fit(trial.rows, counts, families, sample_weight=weights, random_state=0, **options)
    for cell in result.cells:
        if cell.fit is None:
            hold(bool(cell.reason), "no fit, and no reason")
        else:
            check_cell(cell, np.asarray(trial.rows, dtype=float), weights, result.survey.settings.tol)
    check_summary(result)
    return model.status_.name.lower() + (", unsound" if not result.best.eligible else "")


def check_error(error: ValueError, options: dict[str, Any]) -> None:
    text = str(error)
    known = any(reason in text for reason in REASONS) or (
        "ill-defined empirical covariance" in text or "n_samples >= n_components" in text or "minimum of 2" in text
    )
    hold(type(error).__module__ != "numpy.linalg", f"a bare {type(error).__name__}: {text}")
    hold(known, f"an error without a reason: {text}")
    failed = "ill-defined" in text
    # with the default prior there is no excuse but rows which double precision cannot tell from a line; one that was
    # asked for, which is in the unit of the weights, may be nothing beside them
    causes = ("lies ", "steps of", "counts all columns in one unit")
    causes += ("nothing beside weights",) if "prior" in options else ()
    excused = options.get("reg_covar") is not None or any(cause in text for cause in causes)
    hold(not failed or excused, f"no fit in spite of the prior: {text}")


def check_model(trial: Attempt, model: GaussianMixture, weights: Any, caught: list[Any]) -> None:
    rows = np.asarray(trial.rows, dtype=float)
    for name in ("weights_", "means_", "covariances_"):
        hold(bool(np.isfinite(getattr(model, name)).all()), f"{name} is not finite")
    said = {str(w.message) for w in caught}
    hold(model.converged_ or any("did not converge" in text for text in said), "not converged, and no warning")
    proba = model.predict_proba(trial.rows).astype(float)
    noise = np.asarray(model.noise_probability(trial.rows), dtype=float)
    single = model.predict_proba(trial.rows).dtype == np.float32
    hold(bool(np.abs(proba.sum(1) + noise - 1).max() < (1e-5 if single else 1e-12)), "probabilities do not sum to 1")
    counted = rows if weights is None else rows[np.asarray(weights) > 0]
    hold(bool(np.isfinite(model.mixture_.logpdf(counted)).all()), "a density is not finite on a row that counts")
    total = float(len(rows) if weights is None else np.sum(weights))
    score = model.mixture_.loglik(rows, weights) / total
    size = max(1.0, abs(score))
    hold(
        abs(score - model.lower_bound_) < 1e-9 * size, f"lower_bound_ {model.lower_bound_!r} is not the score {score!r}"
    )
    far = np.where(rng_signs(rows.shape), 1e300, -1e300)
    far_shares = model.mixture_.responsibilities(far)
    sums = far_shares.sum(1) + model.mixture_.noise_probability(far)
    hold(bool(np.abs(sums - 1).max() < 1e-12), "far off, probabilities do not sum to 1")


def rng_signs(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).random(shape) < 0.5


def check_cell(cell: Cell, rows: np.ndarray, weights: Any, tol: float) -> None:
    fit = cell.fit
    hold(fit is not None, "no fit")
    assert fit is not None
    model, counted = fit.model, rows if weights is None else rows[np.asarray(weights) > 0]
    check_honesty(cell, tol)
    low, high = counted.min(0), counted.max(0)
    deviation = np.sqrt(model.structure.variances())
    gap = fit.gap if fit.converged else 1e-2
    with np.errstate(over="ignore"):
        slack = deviation * np.sqrt(2 * max(gap, 1e-6) / np.maximum(model.weights, 1e-300))[:, None]
    slack = slack + 1e-9 * np.maximum(np.abs(low), np.abs(high))
    inside = (model.means >= low - slack).all() and (model.means <= high + slack).all()
    hold(bool(inside or fit.prior.shrinkage > 0), "a mean lies outside the rows")
    empty = fit.statistics.n <= 1e-2 * fit.statistics.row_weight
    hold(not empty.any() or not cell.eligible, "an empty component, and nothing said")
    distinct = len(np.unique(counted, axis=0))
    hold(
        distinct >= fit.model.n_components or bool(cell.notes), "fewer distinct rows than components, and nothing said"
    )


def check_honesty(cell: Cell, tol: float) -> None:
    """Whether trace, gradient and gap are what they are said to be."""
    fit = cell.fit
    assert fit is not None
    objective = np.array([step.objective for step in fit.trace])
    rounding = 1e-12 * (np.abs(objective).max() + fit.statistics.weight)
    hold(bool(np.isfinite(objective).all()), "an objective is not finite")
    hold(len(objective) < 2 or float(np.diff(objective).min()) >= -rounding, "the objective falls")
    hold(fit.loglik == fit.trace[-1].loglik, "the log-likelihood is not that of the end")
    if fit.converged:
        hold(math.isfinite(fit.gap), "converged with an infinite gap")
        try:
            again = Point(fit.model, fit.statistics, fit.family, fit.prior, fit.fixed)
            _ = again.gradient_norm
        except SingularError:  # a step further, double precision ends
            hold(any(note.grade > Grade.REMARK for note in cell.notes), "converged where the next step is singular")
            return
        # components change places when a fit is presented, and sums their rounding with them
        close = abs(again.gradient_norm - fit.gradient_norm) <= 1e-3 * fit.gradient_norm + 1e-6
        small = 0.5 * again.gradient_norm**2 < max(tol, PRECISE_GAP)
        # in a component that has collapsed, rounding alone may move the next step by lengths
        rough = fit.status is Status.PRECISION and not cell.eligible
        hold(
            close or small or rough,
            f"the gradient at the end is {again.gradient_norm:.2e}, not {fit.gradient_norm:.2e}",
        )


def gains_more(cell: Cell, source: Memory, passes: int = 30) -> float:
    """What that many steps of plain EM gain from the end of a fit, in nats a row: up to where they leave a saddle."""
    fit = cell.fit
    assert fit is not None
    (more,) = climb_together([Task(fit.model, fit.family, fit.prior, Stop(0.0, passes), False, fit.fixed)], source)
    steeper = [step.gradient_norm > STEEPER * max(fit.gradient_norm, 1e-6) for step in more.trace]
    last = steeper.index(True) if True in steeper else -1
    return (more.trace[last].objective - more.trace[0].objective) / fit.statistics.weight


def check_summary(result: mixtura.result.Result) -> None:
    numbers = result.summary()
    json.dumps(numbers)
    text = str(result) + result._repr_html_()
    hold("nan" not in text.lower().replace("nano", ""), "NaN in the summary")
    cell = result.best
    assert cell.fit is not None
    if cell.fit.converged:
        gained = gains_more(cell, result.survey.source)
        most = max(10 * result.survey.settings.tol, 1e-5)
        hold(gained < most, f"converged, but EM gains {gained:.2e} nats a row more (gap {cell.fit.gap:.2e})")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000, help="how many inputs to try")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    parser.add_argument("--only", type=int, help="try one input, and show it")
    asked = parser.parse_args(arguments)
    numbers = range(asked.first, asked.first + asked.inputs) if asked.only is None else [asked.only]
    outcomes: Counter[str] = Counter()
    failures = 0
    for number in numbers:
        trial = attempt(number)
        if asked.only is not None:
            print(trial, trial.rows, sep="\n")
        try:
            outcomes[outcome(trial)] += 1
        except Exception as error:
            failures += 1
            print(f"{number}: {type(error).__name__}: {error}\n    {trial}", flush=True)
            if not isinstance(error, Broken):
                print("    " + traceback.format_exc().strip().replace("\n", "\n    ")[-600:])
    print(f"{len(numbers):,} inputs, {failures} failures: {dict(outcomes.most_common())}")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
