"""Hard inputs, and what is to become of each: the right answer, perhaps with a finding, or an error that says why.

A case is a function that carries it out, asserts what is wanted, and returns the outcome in words, as the page of
reliability shows it. Those that make a fit do so for each of the families that it is given, through ``mixtura.fit`` and
``GaussianMixture``, and where that makes sense through the command line.

``elsewhere.json`` says for most of them what scikit-learn 1.9.1 does with its defaults.
"""

from __future__ import annotations

import json
import pickle
import signal
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score

import mixtura
from mixtura import GaussianMixture
from mixtura.cli import main as command
from mixtura.diagnosis import Grade

HERE = Path(__file__).parent
#: The families of every day; the others are for when there is time.
EVERYDAY = ("full", "diag")
#: Where columns may be correlated, so that a linear relation between them makes a matrix singular.
CORRELATED = {"full", "tied", "vee", "eve", "vve", "eev", "vev", "evv"}

CENTRES = np.array([[0.0, 0.0], [10.0, 4.0], [-6.0, 9.0]])
_rng = np.random.default_rng(0)
LABELS = _rng.integers(0, 3, 300)
BLOBS = CENTRES[LABELS] + _rng.standard_normal((300, 2))


@dataclass(frozen=True)
class Case:
    """One hard input."""

    name: str
    run: Callable[[Sequence[str]], str]
    input: str
    elsewhere: str
    slow: bool = False


ELSEWHERE: dict[str, dict[str, str]] = json.loads((HERE / "elsewhere.json").read_text(encoding="utf-8"))
CASES: list[Case] = []


def case(function: Callable[..., str], slow: bool = False) -> Callable[..., str]:
    """Enter a function into the list; its docstring is the input, where elsewhere.json does not name it."""
    name = function.__name__
    told = ELSEWHERE.get(name, {"input": (function.__doc__ or "").rstrip("."), "elsewhere": ""})
    CASES.append(Case(name, function, told["input"], told["elsewhere"], slow))
    return function


slow_case = partial(case, slow=True)


# What fits owe


class Fits:
    """A fit to some rows, made in every way that there is."""

    def __init__(self, rows: Any, n_components: int, family: str, **options: Any) -> None:
        options.setdefault("random_state", 0)
        weights = self.weights = options.pop("sample_weight", None)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.model = GaussianMixture(n_components, covariance_type=family, **options)
            self.model.fit(rows, sample_weight=weights)
        self.warnings = [str(w.message) for w in caught]
        assert not [w for w in caught if w.category not in (UserWarning, ConvergenceWarning)], self.warnings
        for_function = {name: value for name, value in options.items() if not name.endswith("_init")}
        self.result = mixtura.fit(rows, n_components, family, sample_weight=weights, **for_function)
        self.rows = np.asarray(rows, dtype=float)
        self.fit, self.notes = self.result.fit, self.result.best.notes
        self.check()

    def check(self) -> None:
        """What holds of every fit."""
        for model in (self.model.mixture_, self.result.model):
            assert np.isfinite(model.weights).all()
            assert np.isfinite(model.means).all()
            assert np.isfinite(model.structure.variances()).all()
            assert (model.structure.variances() > 0).all()
            assert np.abs(model.responsibilities(self.rows).sum(1) - 1).max() < 1e-12
        low, high = self.rows.min(0), self.rows.max(0)
        slack = 1e-3 * (high - low) + 1e-9 * np.abs(self.rows).max(0)
        for means in (self.model.mixture_.means, self.result.model.means):
            assert ((means >= low - slack) & (means <= high + slack)).all()  # none is invented
        objective = np.array([step.objective for step in self.fit.trace])
        assert (np.diff(objective) >= -1e-12 * (np.abs(objective).max() + self.fit.statistics.weight)).all()
        assert np.isclose(
            self.model.lower_bound_, self.model.score(self.rows, None, self.weights), rtol=1e-9, atol=1e-12
        )
        summary = self.result.summary()
        for note in self.notes:
            assert str(note) in [*summary["notes"], *summary["about_rows"]]
            assert note.sentence.split()[0] in str(self.result)
        told = {note.sentence for note in self.notes if note.grade > Grade.REMARK}
        assert all(any(sentence in warning for warning in self.warnings) for sentence in told)
        assert "nan" not in str(self.result).lower()

    @property
    def names(self) -> set[str]:
        return {note.name for note in self.notes}

    def said(self, name: str) -> str:
        """The sentence of the finding of that name."""
        return next(note.sentence for note in self.notes if note.name == name)

    def finds(self, labels: np.ndarray) -> bool:
        """Whether both fits tell the groups apart."""
        return all(
            adjusted_rand_score(labels, found) == 1.0
            for found in (self.model.predict(self.rows), self.result.model.predict(self.rows))
        )


def all_right(
    families: Sequence[str], rows: Any, names: Sequence[str], labels: np.ndarray, **options: Any
) -> dict[str, Fits]:
    """The groups are found in every family, with these findings and no others that are graver than a remark."""
    made = {family: Fits(rows, int(labels.max()) + 1, family, **options) for family in families}
    for family, fits in made.items():
        assert fits.fit.converged, (family, fits.fit)
        assert fits.finds(labels), family
        grave = {note.name for note in fits.notes if note.grade > Grade.REMARK}
        assert grave <= set(names) <= fits.names, (family, fits.notes)
    return made


def right(families: Sequence[str], rows: Any, *names: str, labels: np.ndarray = LABELS, **options: Any) -> str:
    """``all_right``, in words."""
    made = all_right(families, rows, names, labels, **options)
    said = "; ".join(next(iter(made.values())).said(name) for name in names) if made else ""
    return f"right; says “{said}”" if said else "right"


@lru_cache
def plainly(family: str, options: tuple[tuple[str, Any], ...]) -> Fits:
    """The fit to the blobs as they are."""
    return Fits(BLOBS, 3, family, **dict(options))


def same(families: Sequence[str], rows: Any, scale: float = 1.0, *, rel: float = 1e-7, **options: Any) -> str:
    """``right``, and the numbers are those of the plain blobs, shifted and scaled."""
    for family, moved in all_right(families, rows, (), LABELS, **options).items():
        plain = plainly(family, tuple(options.items()))
        assert np.isclose(moved.fit.loglik + rows.size * np.log(scale), plain.fit.loglik, rtol=rel), family
        deviations = [np.sqrt(f.result.model.structure.variances()) for f in (plain, moved)]
        assert np.allclose(deviations[1] / scale, deviations[0], rtol=np.sqrt(rel)), family
        assert np.allclose(moved.result.model.weights, plain.result.model.weights, rtol=np.sqrt(rel)), family
    return "right"


def refused(kind: type[Exception], pattern: str, *calls: Callable[[], Any]) -> str:
    """Every call raises that error; the outcome quotes the last one."""
    for call in calls:
        with pytest.raises(kind, match=pattern) as caught:
            call()
    said, valid, _ = str(caught.value).splitlines()[0].partition(" must be a")
    return f"{caught.type.__name__}: {said}" + " must be …" * bool(valid)


def no_fit(rows: Any, n_components: int, pattern: str, family: str = "full", **options: Any) -> str:
    """Neither way to a fit leads anywhere, and both say why."""
    options.setdefault("random_state", 0)
    refused(ValueError, pattern, lambda: mixtura.fit(rows, n_components, family, **options))
    said = refused(
        ValueError, pattern, lambda: GaussianMixture(n_components, covariance_type=family, **options).fit(rows)
    )
    ours = said.partition(" (the ")[2]  # behind scikit-learn's words, which programs look for
    return f"ValueError: … the {ours[:-1]}" if ours else said


def shown(path: Path, rows: np.ndarray, *options: str) -> tuple[int, str]:
    """What the command says to a table: exit code and text."""
    np.savetxt(path, rows, delimiter=",", header=",".join(f"c{j}" for j in range(rows.shape[1])), comments="")
    run = CliRunner().invoke(command, ["fit", str(path), "-k", "3", "-q", *options], env={"COLUMNS": "1000"})
    assert run.exception is None or isinstance(run.exception, SystemExit), run.exception
    return run.exit_code, run.output


def unsound(families: Sequence[str], rows: Any, n_components: int, *names: str, **options: Any) -> str:
    """In every family the fit goes through, and one of these findings says that it should give way to another."""
    said = ""
    for family in families:
        fits = Fits(rows, n_components, family, **options)
        found = [note for note in fits.notes if note.name in names and note.grade is Grade.UNSOUND]
        assert found, (family, fits.notes)
        assert not fits.result.best.eligible
        said = said or found[0].sentence
    return f"fit; says “{said}”"


# Sizes


@case
def n_lt_k(families):
    refused(ValueError, "2 rows cannot hold 3 components", lambda: mixtura.fit(BLOBS[:2], 3))
    return refused(ValueError, "n_components = 3, n_samples = 2", lambda: GaussianMixture(3).fit(BLOBS[:2]))


@case
def empty_rows(families):
    empty = np.empty((0, 2))
    return refused(ValueError, r"0 sample\(s\)", lambda: mixtura.fit(empty, 1), lambda: GaussianMixture(1).fit(empty))


@case
def one_d_input(families):
    assert mixtura.fit(BLOBS[:, 0], 1, "full").model.n_features == 1  # one column
    return refused(ValueError, r"reshape\(-1, 1\)", lambda: GaussianMixture(1).fit(BLOBS[:, 0])) + " (GaussianMixture)"


@case
def three_d_input(families):
    cube = np.zeros((3, 3, 3))
    return refused(ValueError, "3 dimensions", lambda: mixtura.fit(cube, 1), lambda: GaussianMixture(1).fit(cube))


@case
def two_rows(families):
    rows = BLOBS[:2]
    for family in set(families) & CORRELATED:
        model = Fits(rows, 1, family).result.model
        assert np.allclose(model.means[0], rows.mean(0))
        nominal = 1e-9 * np.ptp(rows, axis=0).max() ** 2
        assert np.allclose(model.covariances[0], np.cov(rows.T, ddof=0), atol=nominal)
    return unsound([f for f in families if f in CORRELATED], rows, 1, "few rows")


@case
def k_eq_n(families):
    return unsound(families, BLOBS[:20], 20, "collapsed component", "few rows", "empty component")


@slow_case
def d_gt_n(families):
    rng = np.random.default_rng(1)
    labels = np.arange(50) % 2
    rows = rng.standard_normal((50, 200)) + 3.0 * labels[:, None]
    right([f for f in families if f not in CORRELATED], rows, labels=labels)
    for family in [f for f in families if f in CORRELATED][:3]:
        fits = Fits(rows, 2, family)
        assert fits.finds(labels)
        assert not fits.result.best.eligible
    said = Fits(rows, 2, "full").said("few rows")
    assert "they lean on the prior in 176 of 200 directions" in said
    return f"fit; says “{said}”; right and silent in diagonal families"


@case
def k1_exact(families):
    for family in families:
        model = Fits(BLOBS, 1, family).result.model
        exact = np.cov(BLOBS.T, ddof=0)
        if family not in CORRELATED:
            exact = np.diag(np.diagonal(exact))
        if family in ("spherical", "eii"):
            exact = np.eye(2) * np.diagonal(exact).mean()
        assert np.allclose(model.means[0], BLOBS.mean(0), rtol=1e-12)
        assert np.allclose(model.covariances[0], exact, rtol=1e-9, atol=1e-9)
    return "right, to nine digits"


# Degenerate rows


@case
def identical(families):
    rows = np.full((30, 2), 3.25)
    for family in families:
        fits = Fits(rows, 2, family)
        assert np.allclose(fits.result.model.means, 3.25)
        assert "constant column" in fits.names
    return unsound(families, rows, 2, "empty component")


@case
def identical_reg0(families):
    return no_fit(np.full((30, 2), 3.25), 2, r"component 0, 1.*Columns 0, 1 are constant", reg_covar=0.0)


@case
def dup2_k3(families):
    rows = np.repeat([[0.0, 1.0], [4.0, 2.0]], 50, axis=0)
    return unsound(families, rows, 3, "empty component")


@case
def dup2_reg0(families):
    rows = np.repeat([[0.0, 1.0], [4.0, 2.0]], 50, axis=0)
    return no_fit(rows, 2, "component 0, 1 is not positive definite.*exact linear relation", reg_covar=0.0)


@case
def const_col_reg0(families):
    rows = np.c_[BLOBS, np.ones(300)]
    right([f for f in families if f in ("spherical", "eii")], rows, "constant column", reg_covar=0.0)
    return no_fit(rows, 3, "Column 2 is constant", reg_covar=0.0)


@case
def constant_column(families):
    """One constant column."""
    path = Path("constant.csv")
    code, text = shown(path, np.c_[BLOBS, np.full(300, 7.0)], "--covariance", "full")
    assert code == 0
    assert "Column 'c2' is constant" in text
    return right(families, np.c_[BLOBS, np.full(300, 7.0)], "constant column")


@case
def large_constant_column(families):
    """A constant column of 10⁶ beside columns of unit variance."""
    for family in families:
        plain, wide = (Fits(x, 3, family).result.model for x in (BLOBS, np.c_[BLOBS, np.full(300, 1e6)]))
        share = 2 / 3 if family in ("spherical", "eii") else 1.0  # where one variance is that of all three columns
        variances = wide.structure.variances()[:, :2]
        assert np.allclose(variances, share * plain.structure.variances(), rtol=2e-2), family
    return right(families, np.c_[BLOBS, np.full(300, 1e6)], "constant column")


@case
def collinear(families):
    rows = np.c_[BLOBS, BLOBS.sum(1)]
    right([f for f in families if f not in CORRELATED], rows)
    return right([f for f in families if f in CORRELATED], rows, "linear relation")


@case
def dup_col_large(families):
    rows = np.c_[BLOBS, BLOBS[:, 0]] + 1e5
    right([f for f in families if f not in CORRELATED], rows)
    return right([f for f in families if f in CORRELATED], rows, "linear relation")


@case
def singletons(families):
    rows = np.r_[BLOBS, [[100.0, 0.0], [0.0, 100.0], [-100.0, 100.0]]]
    said = ""
    for family in families:
        fits = Fits(rows, 6, family)
        few = np.flatnonzero(fits.fit.statistics.n < 1.5)
        named = {k for note in fits.notes if note.grade is Grade.UNSOUND for k in note.components}
        if family in ("full", "diag", "spherical", "vve"):  # elsewhere a shared volume or shape gives it a width
            assert set(few.tolist()) <= named, (family, fits.notes)
        said = said or next((note.sentence for note in fits.notes if note.grade is Grade.UNSOUND), "")
    return f"components of a single row are moved elsewhere; what is left: “{said}”"


@case
def far_outlier12(families):
    rows = np.r_[BLOBS, [[1e12, 0.0]]]
    code, text = shown(Path("far.csv"), rows)
    assert code == 0
    assert "The value 1e+12 of column 'c0' lies" in text
    said = ""
    for family in families:
        fits = Fits(rows, 4, family)
        assert "far value" in fits.names
        said = said or fits.said("far value")
        if family in ("full", "diag", "spherical"):
            assert adjusted_rand_score([*LABELS, 3], fits.result.model.predict(rows)) == 1.0
            assert "collapsed component" in fits.names
    return f"right; says “{said}”, and that its component has collapsed"


@case
def ties(families):
    rows = np.random.default_rng(0).integers(0, 4, (300, 2))
    for family in families:
        fits = Fits(rows, 4, family)
        assert "rounded values" in fits.names
        assert any(note.name == "repeated rows" for note in fits.notes)
    return unsound([f for f in families if f in ("full", "diag")], rows, 4, "narrow component", "collapsed component")


@slow_case
def unbalanced1(families):
    rows = np.r_[np.random.default_rng(0).standard_normal((20_000, 2)), [[50.0, 50.0]]]
    for family in families[:2]:
        fits = Fits(rows, 2, family)
        alone = np.flatnonzero(fits.fit.statistics.n < 1.5)
        named = {k for note in fits.notes for k in note.components}
        assert set(alone.tolist()) <= named
    return "no component of one row, or said to have collapsed"


@case
def repeated_rows(families):
    """300 rows, of which 412 copies are added."""
    rows = np.r_[BLOBS, BLOBS[np.random.default_rng(0).integers(0, 300, 412)]]
    labels = np.array([int(np.argmin(np.square(CENTRES - x).sum(1))) for x in rows])
    code, text = shown(Path("copies.csv"), rows)
    assert code == 0
    assert "412 of the 712 rows repeat others" in text
    return right(families, rows, "repeated rows", labels=labels)


@case
def rounded(families):
    """Values rounded to 0.1 in one column and to 0.5 in the other."""
    rows = np.c_[np.round(BLOBS[:, 0], 1), np.round(2 * BLOBS[:, 1]) / 2]
    return right(families, rows, "rounded values")


@slow_case
def wide(families):
    """30 rows in 3,000 columns, two groups."""
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 2
    rows = rng.standard_normal((30, 3000)) + 0.7 * labels[:, None]
    return (
        right([f for f in families if f not in CORRELATED], rows, labels=labels) + " in diagonal families, in a second"
    )


# Scales and places


@case
def offset8(families):
    return same([f for f in families if f not in ("diag", "spherical")], BLOBS + 1e8, rel=1e-6)


@case
def offset8_diag(families):
    return same(["diag"], BLOBS + 1e8, rel=1e-6)


@case
def offset8_sph(families):
    return same(["spherical"], BLOBS + 1e8, rel=1e-6)


@case
def offset6_tied(families):
    return same(["tied"], BLOBS + 1e6)


@case
def off7_diag(families):
    return same(["diag"], BLOBS + 1e7)


@case
def off7_tied(families):
    return same(["tied"], BLOBS + 1e7)


@case
def offset12(families):
    """Offset 10¹², where steps of double precision are 10⁻⁴."""
    rows = np.round(BLOBS * 4096) / 4096  # what is still exact there
    for family in families:
        one, other = (Fits(x, 3, family).result for x in (rows, rows + 2.0**40))
        assert np.isclose(one.fit.loglik, other.fit.loglik, rtol=1e-6), family
    return right(families, rows + 2.0**40)


@case
def offset15(families):
    said = ""
    for family in families:
        fits = Fits(BLOBS + 1e15, 3, family)
        assert fits.finds(LABELS)
        said = said or fits.said("exhausted precision")
    return f"right; says “{said}”"


@case
def f32_off3(families):
    return same(families, (BLOBS + 1e3).astype(np.float32), rel=1e-4)


@case
def f32_off4_diag(families):
    return same(["diag"], (BLOBS + 1e4).astype(np.float32), rel=1e-3)


@case
def f32_off5_tied(families):
    return same(["tied"], (BLOBS + 1e5).astype(np.float32), rel=1e-3)


@case
def tiny6(families):
    return same(families, BLOBS * 1e-6, 1e-6)


@case
def tiny6_reg0(families):
    return same(families, BLOBS * 1e-6, 1e-6, reg_covar=0.0)


@case
def tiny150(families):
    """Whole data scaled by 1e-150."""
    return same(families, BLOBS * 1e-150, 1e-150)


@case
def big150(families):
    """Whole data scaled by 1e150."""
    return same(families, BLOBS * 1e150, 1e150)


@case
def tiny160(families):
    return no_fit(BLOBS * 1e-160, 3, "column 0 .*leave the range of double precision", reg_covar=0.0)


@case
def big160(families):
    code, text = shown(Path("big.csv"), BLOBS * 1e160)
    assert code != 0
    assert "column 'c0'" in text
    return no_fit(BLOBS * 1e160, 3, "column 0 .*leave the range of double precision")


@case
def mixed_scales(families):
    scales = np.array([1e-12, 1.0, 1e12])
    rows = np.c_[BLOBS, BLOBS @ [0.5, -1.0] + np.random.default_rng(1).standard_normal(300)]
    knowing = [f for f in families if not mixtura.covariance.registry.get(f).one_unit]
    for family in knowing:
        plain, moved = (Fits(x, 3, family).fit for x in (rows, rows * scales))
        assert np.isclose(plain.loglik, moved.loglik + 300 * np.log(scales).sum(), rtol=1e-9)
    for family in set(families) - set(knowing):
        assert "unequal columns" in Fits(rows * [1e-4, 1.0, 1e4], 3, family).names
    return right(knowing, rows * scales)


@case
def unequal_columns(families):
    """Columns with scales 1e-4 and 1e4 in a family that counts all in one unit."""
    said = Fits(BLOBS * [1e-4, 1e4], 3, "spherical").said("unequal columns")
    return f"fit; says “{said}”"


@case
def mixed_scales_reg0(families):
    scales = np.array([1e-12, 1.0, 1e12])
    rows = np.c_[BLOBS, BLOBS @ [0.5, -1.0] + np.random.default_rng(1).standard_normal(300)] * scales
    knowing = [f for f in families if not mixtura.covariance.registry.get(f).one_unit]
    return right(knowing, rows, reg_covar=0.0, init_params="random_from_data", n_init=8)


@case
def extreme_scales(families):
    """Columns with scales 1e-150, 1 and 1e150."""
    scales = np.array([1e-150, 1.0, 1e150])
    rows = np.c_[BLOBS, BLOBS @ [0.5, -1.0] + np.random.default_rng(1).standard_normal(300)] * scales
    return right([f for f in families if not mixtura.covariance.registry.get(f).one_unit], rows)


@case
def f32_big(families):
    return same(families, (BLOBS * 1e25).astype(np.float32), 1e25, rel=1e-4)


@case
def a_row_out_of_range(families):
    """One value of 1e200 among 20,000 rows, so that no sample need hold it."""
    rows = np.random.default_rng(0).standard_normal((20_000, 2))
    rows[7, 1] = 1e200
    return no_fit(rows, 2, "column 1 reach 1.0e.200")


@case
def extreme_weights(families):
    """Row weights of 1e60 and of 1e-60."""
    for unit in (1e60, 1e-60):
        right(families, BLOBS, sample_weight=np.full(300, unit))
    return "right"


@case
def extreme_weights_and_values(families):
    """Row weights of 1e60 on values of 1e140."""
    return refused(
        ValueError, "the weights, 1.0e.60 on average, count too",
        lambda: mixtura.fit(BLOBS * 1e140, 3, sample_weight=np.full(300, 1e60)),
    )  # fmt: skip


# Far rows


def nearest(model: Any, rows: np.ndarray) -> np.ndarray:
    """The component nearest in Mahalanobis distance, with rows scaled to where squares are finite."""
    size = np.abs(rows).max(1, keepdims=True)
    white = [
        np.linalg.solve(model.structure.factor(k), (rows / size - model.means[k] / size).T)
        for k in range(model.n_components)
    ]
    return np.stack([np.log(np.square(w).sum(0)) for w in white]).argmin(0)


@case
def far_predict(families):
    rng = np.random.default_rng(2)
    directions = rng.standard_normal((40, 2))
    for family in families:
        fits = Fits(BLOBS * [1.0, 2.0], 3, family)
        for size in (1e155, 1e200, 1e300):
            rows = directions / np.abs(directions).max(1, keepdims=True) * size
            proba = fits.model.predict_proba(rows)
            assert np.abs(proba.sum(1) - 1).max() < 1e-12
            if mixtura.covariance.registry.get(family).free(2, 2) > mixtura.covariance.registry.get(family).free(1, 2):
                assert (proba.argmax(1) == nearest(fits.model.mixture_, rows)).all(), family
            assert (fits.model.score_samples(rows) == -np.inf).all()
    return "score −inf; predict_proba sums to 1, all of it at the nearest component in Mahalanobis distance"


@case
def far_predict150(families):
    for family in families:
        model = Fits(BLOBS, 3, family).model
        rows = np.array([[1e150, 1e150], [-1e150, 1e149]])
        assert np.isfinite(model.score_samples(rows)).all()
        assert np.abs(model.predict_proba(rows).sum(1) - 1).max() < 1e-12
    return "right"


# Types


@case
def nan(families):
    rows = BLOBS.copy()
    rows[3, 1] = np.nan
    code, text = shown(Path("nan.csv"), rows)
    assert code != 0
    assert "NaN (a missing value) in row 4, column 'c1'" in text  # as files count
    return refused(
        ValueError, r"NaN.*row 3, column 1", lambda: mixtura.fit(rows, 2), lambda: GaussianMixture(2).fit(rows)
    )


@case
def inf(families):
    rows = BLOBS.copy()
    rows[3, 1] = np.inf
    return refused(
        ValueError, r"infinity.*row 3, column 1", lambda: mixtura.fit(rows, 2), lambda: GaussianMixture(2).fit(rows)
    )


@case
def strings_num(families):
    rows = BLOBS.astype(str)
    return refused(
        ValueError, "numbers written as text", lambda: mixtura.fit(rows, 2), lambda: GaussianMixture(2).fit(rows)
    )


@case
def strings(families):
    rows = np.array([["a", "b"], ["c", "d"]])
    return refused(
        ValueError, "text 'a' in row 0, column 0", lambda: mixtura.fit(rows, 2), lambda: GaussianMixture(2).fit(rows)
    )


@case
def cplx(families):
    rows = BLOBS.astype(complex)
    return refused(
        ValueError, "Complex data not supported", lambda: mixtura.fit(rows, 2), lambda: GaussianMixture(2).fit(rows)
    )


def alike(rows: np.ndarray, families: Sequence[str], n_components: int = 3) -> str:
    """The rows, as they are and as float64, give the same bits, in fits and in all that is asked of them."""
    for family in families:
        one, other = (GaussianMixture(n_components, covariance_type=family, random_state=0) for _ in range(2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one.fit(rows)
            other.fit(rows.astype(np.float64))
        assert one.mixture_ == other.mixture_
        for method in ("predict", "predict_proba", "score_samples", "score", "bic", "aic"):
            assert np.array_equal(getattr(one, method)(rows), getattr(one, method)(rows.astype(np.float64))), method
    return "right: the same bits as for float64"


@case
def ints(families):
    return alike(np.round(BLOBS * 3).astype(np.int64), families)


@case
def int_predict(families):
    return alike(np.round(BLOBS).astype(np.int16), families)


@case
def bools(families):
    return alike(np.c_[BLOBS > 2, BLOBS[:, :1] < 4], families, 2)


@case
def bool_predict(families):
    return alike(BLOBS > 2, families, 2)


@case
def f16(families):
    return alike(BLOBS.astype(np.float16), families)


@case
def longdouble(families):
    """longdouble input."""
    return alike(BLOBS.astype(np.longdouble), families)


@case
def bigendian(families):
    return alike(BLOBS.astype(">f8"), families)


@case
def f32(families):
    for family in families:
        model = Fits(BLOBS.astype(np.float32), 3, family).model
        assert model.means_.dtype == model.covariances_.dtype == np.float32
        assert model.mixture_.means.dtype == np.float64
    return "right: float32 views of a float64 model"


@case
def f32_then_f64(families):
    for family in families:
        model = Fits(BLOBS.astype(np.float32), 3, family).model
        assert model.score_samples(BLOBS).dtype == np.float64
        assert model.score_samples(BLOBS.astype(np.float32)).dtype == np.float32
    return "float64"


@case
def forder(families):
    for family in families:
        one, other = (Fits(order(BLOBS), 3, family).result for order in (np.ascontiguousarray, np.asfortranarray))
        assert one.model == other.model
        assert one.fit.loglik == other.fit.loglik
    return "right: the same bits"


@case
def memmap(families):
    np.save("rows.npy", BLOBS)
    mapped = np.load("rows.npy", mmap_mode="r")
    for family in families:
        assert Fits(mapped, 3, family).result.model == Fits(BLOBS, 3, family).result.model
    return "right: the same bits"


@case
def masked(families):
    rows = np.ma.array(BLOBS, mask=np.zeros(BLOBS.shape, dtype=bool))
    rows[2, 1] = np.ma.masked
    return refused(
        ValueError, "1 masked entries, the first in row 2, column 1",
        lambda: mixtura.fit(rows, 2), lambda: GaussianMixture(2).fit(rows),
    )  # fmt: skip


@case
def ragged(families):
    rows = [[1.0, 2.0], [3.0]]
    return refused(
        ValueError, "row 1 holds 1 entries where row 0 holds 2",
        lambda: mixtura.fit(rows, 1), lambda: GaussianMixture(1).fit(rows),
    )  # fmt: skip


@case
def pandas_names(families):
    frame = pd.DataFrame(BLOBS, columns=["a", "b"])
    model = GaussianMixture(3, random_state=0).fit(frame)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    return refused(ValueError, "feature names should match", lambda: model.predict(frame[["b", "a"]]))


@case
def pandas_na(families):
    frame = pd.DataFrame({"a": pd.array([1, 2, None, 4], dtype="Int64"), "b": [1.0, 2.0, 3.0, 5.0]})
    return refused(
        ValueError, "NaN .*row 2, column 'a'", lambda: mixtura.fit(frame, 1), lambda: GaussianMixture(1).fit(frame)
    )


@case
def pandas_dt(families):
    frame = pd.DataFrame({"when": pd.date_range("2020-01-01", periods=4), "b": [1.0, 2.0, 3.0, 5.0]})
    return refused(
        ValueError, "dates or times in column 'when'",
        lambda: mixtura.fit(frame, 1), lambda: GaussianMixture(1).fit(frame),
    )  # fmt: skip


@case
def mismatch(families):
    model = GaussianMixture(2, random_state=0).fit(BLOBS)
    return refused(ValueError, "X has 3 features", lambda: model.predict(np.ones((2, 3))))


# Parameters


@slow_case
def sample_weight(families):
    counts = np.random.default_rng(0).integers(0, 3, 300)
    for family in families:
        one = Fits(BLOBS, 3, family, sample_weight=counts.astype(float)).result.model
        assert one == Fits(np.repeat(BLOBS, counts, axis=0), 3, family).result.model
    return "supported: the same bits as for copied rows"


@case
def k0(families):
    refused(ValueError, "whole numbers from 1", lambda: mixtura.fit(BLOBS, 0))
    return refused(ValueError, "n_components", lambda: GaussianMixture(0).fit(BLOBS))


@case
def knp(families):
    assert GaussianMixture(np.int32(2), random_state=0).fit(BLOBS).mixture_.n_components == 2
    return "accepted; True refused"


@case
def ktrue(families):
    refused(ValueError, "whole numbers from 1, got True", lambda: mixtura.fit(BLOBS, True))
    return refused(ValueError, "must be an int, not a bool", lambda: GaussianMixture(True).fit(BLOBS))


@case
def iter0(families):
    refused(ValueError, "max_iter must be a whole number of at least 1", lambda: mixtura.fit(BLOBS, 2, max_iter=0))
    return refused(ValueError, "max_iter", lambda: GaussianMixture(2, max_iter=0).fit(BLOBS))


@case
def iter1(families):
    hard = np.random.default_rng(0).standard_normal((200, 2))
    for family in families:
        fits = Fits(hard, 4, family, max_iter=1)
        assert not fits.fit.converged
        assert any("did not converge" in said for said in fits.warnings)
    return "right: ConvergenceWarning, and all numbers belong to the model that is returned"


@case
def reginf(families):
    refused(ValueError, "reg_covar", lambda: mixtura.fit(BLOBS, 2, reg_covar=np.inf))
    return refused(ValueError, "reg_covar", lambda: GaussianMixture(2, reg_covar=np.inf).fit(BLOBS))


def _start(**parts: Any) -> Callable[[], Any]:
    return lambda: GaussianMixture(2, random_state=0, **parts).fit(BLOBS)


@case
def winit_sum(families):
    return refused(ValueError, "normalized", _start(weights_init=[0.5, 0.6]))


@case
def winit_zero(families):
    return refused(ValueError, "is 0 for component 1", _start(weights_init=[1.0, 0.0]))


@case
def winit_nan(families):
    return refused(ValueError, "NaN", _start(weights_init=[np.nan, 1.0]))


@case
def minit_same(families):
    for family in families:
        model = GaussianMixture(2, covariance_type=family, means_init=[[0.0, 0.0]] * 2, random_state=0).fit(BLOBS)
        assert any("Components 0 and 1 coincide" in note for note in model.notes_), family
    return "stays where symmetry holds it; says “Components 0 and 1 coincide: fewer components say the same.”"


@case
def minit_far(families):
    for family in families:
        with pytest.warns(UserWarning, match="Component 2 has no rows"):
            model = GaussianMixture(
                3, covariance_type=family, means_init=[[0.0, 0.0], [1.0, 1.0], [1e6, 1e6]], random_state=0
            ).fit(BLOBS)
        assert np.isfinite(model.covariances_).all()
        assert model.weights_[2] < 1e-12
    return "fit; says “Component 2 has no rows: there are fewer groups than components.”"


@case
def pinit_npd(families):
    return refused(ValueError, "positive-definite", _start(precisions_init=[np.eye(2), -np.eye(2)]))


@case
def badinit(families):
    refused(ValueError, "init_params must be one of", lambda: mixtura.fit(BLOBS, 2, init_params="x"))
    return refused(ValueError, "init_params", lambda: GaussianMixture(2, init_params="x").fit(BLOBS))


@case
def badseed(families):
    return refused(ValueError, "random_state", lambda: GaussianMixture(2, random_state="x").fit(BLOBS))


@case
def k_gt_distinct(families):
    return unsound(families, np.repeat(BLOBS[:5], 10, axis=0), 8, "empty component")


# States


@case
def unfitted(families):
    return refused(NotFittedError, "not fitted yet", lambda: GaussianMixture().predict(BLOBS))


@case
def sample0(families):
    model = GaussianMixture(2, random_state=0).fit(BLOBS)
    return refused(ValueError, "'n_samples': 0", lambda: model.sample(0))


@case
def sample_twice(families):
    model = GaussianMixture(3, random_state=0).fit(BLOBS)
    (one, labels), (other, _) = model.sample(50), model.sample(50)
    assert not np.array_equal(one, other)
    assert (np.diff(labels) < 0).any()  # mixed
    assert np.array_equal(GaussianMixture(3, random_state=0).fit(BLOBS).sample(50)[0], one)
    return "the second draw differs, both can be repeated; rows come mixed"


@case
def lb_vs_score(families):
    rows = np.random.default_rng(0).standard_normal((300, 2))
    for family in families:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = GaussianMixture(3, covariance_type=family, max_iter=7, random_state=0).fit(rows)
        assert np.isclose(model.lower_bound_, model.score(rows), rtol=1e-12)
    return "equal: it belongs to the parameters that are returned"


@case
def monotone_reg(families):
    rows = np.random.default_rng(0).standard_normal((300, 2))
    for family in families:
        trace = mixtura.fit(rows, 4, family, reg_covar=0.1, max_iter=200, random_state=0).fit.trace
        assert len(trace) > 5
        assert min(b.objective - a.objective for a, b in pairwise(trace)) > -1e-9
    return "right: the ridge is part of the objective, which never falls"


@case
def early_stop(families):
    rows = pd.read_csv(HERE.parents[1] / "examples" / "faithful.csv").to_numpy()
    for family in families:
        one, other = (mixtura.fit(rows, 3, family, tol=tol, random_state=0).fit for tol in (1e-6, 1e-12))
        assert one.converged
        assert other.loglik - one.loglik < 2e-6 * len(rows)  # tol bounds an estimate
    return "right: within tol (10⁻⁶ nats a row) of the top"


@case
def warm_d(families):
    model = GaussianMixture(2, warm_start=True, random_state=0).fit(BLOBS)
    return refused(ValueError, "has 2 columns, but X has 3", lambda: model.fit(np.c_[BLOBS, BLOBS[:, 0] ** 2]))


@case
def warm_fail(families):
    model = GaussianMixture(2, warm_start=True, random_state=0).fit(BLOBS)
    bad = BLOBS.copy()
    bad[0, 0] = np.nan
    refused(ValueError, "NaN", lambda: model.fit(bad))
    before = model.mixture_
    assert np.allclose(model.fit(BLOBS).means_, before.means, atol=1e-3)
    return "right: goes on from the last good fit"


@case
def failed_refit(families):
    model = GaussianMixture(3, random_state=0).fit(BLOBS)
    before = dict(model.__dict__)
    bad = np.full((30, 2), 3.0)
    refused(ValueError, "ill-defined", lambda: model.set_params(reg_covar=0.0).fit(bad))
    model.set_params(reg_covar=None)
    assert all(model.__dict__[name] is value for name, value in before.items())
    return "the former fit stays as it was"


@case
def kbd(families):
    rows = np.random.default_rng(0).standard_normal((50_000, 4))
    model = GaussianMixture(3, random_state=0).fit(BLOBS)
    before = dict(model.__dict__)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    alarm = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    alarm.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            model.set_params(n_components=20, n_init=100, tol=0.0).fit(rows)
    finally:
        alarm.cancel()
        alarm.join()
        signal.signal(signal.SIGINT, handler)
    model.set_params(n_components=3, n_init=4, tol=1e-6)
    assert all(model.__dict__[name] is value for name, value in before.items() if name.endswith("_"))
    assert np.array_equal(model.predict(BLOBS), before["mixture_"].predict(BLOBS))
    return "KeyboardInterrupt; the former fit stays as it was"


@case
def threads(families):
    def fit(_: int) -> mixtura.Mixture:
        return GaussianMixture(3, covariance_type=families[0], random_state=0).fit(BLOBS).mixture_

    one = GaussianMixture(3, covariance_type=families[0], random_state=0)
    with ThreadPoolExecutor(4) as pool:
        apart = list(pool.map(fit, range(4)))
        on_one = list(pool.map(lambda _: one.fit(BLOBS).mixture_, range(4)))
    assert all(model == apart[0] for model in apart + on_one)
    return "right: the same bits"


@case
def pickling(families):
    for family in families:
        model = GaussianMixture(3, covariance_type=family, random_state=0).fit(BLOBS)
        again = pickle.loads(pickle.dumps(model))
        assert again.mixture_ == model.mixture_
        assert np.array_equal(again.predict_proba(BLOBS), model.predict_proba(BLOBS))
        mixtura.save(model.mixture_, "model.mixtura", family=family, overwrite=True)
        assert mixtura.load("model.mixtura").mixture == model.mixture_
    return "right: the same bits, and from a model file without pickle"


@case
def bic1(families):
    model = GaussianMixture(2, random_state=0).fit(BLOBS)
    assert np.isclose(model.bic(BLOBS[:1]), -2 * model.score(BLOBS[:1]))
    assert np.isfinite(model.aic(BLOBS[:1]))
    return "right"


@case
def predict0(families):
    model = GaussianMixture(2, random_state=0).fit(BLOBS)
    assert model.mixture_.predict(np.empty((0, 2))).shape == (0,)
    return (
        refused(ValueError, r"0 sample\(s\)", lambda: model.predict(np.empty((0, 2)))) + "; a Mixture returns nothing"
    )


@slow_case
def ninit_raises(families):
    rng = np.random.default_rng(0)
    rows = np.r_[rng.standard_normal((80, 2)), np.full((4, 2), 1.5)]
    for family in families:
        result = mixtura.fit(rows, 3, family, reg_covar=0.0, n_init=24, init_params="random_from_data", random_state=0)
        assert result.best.n_starts == 24
        if family in ("diag", "spherical"):
            assert 0 < result.best.n_failed < 24
            assert f"{result.best.n_failed} failed" in str(result)
    return "right: starts that fail are left aside, and counted in the summary"
