"""No call changes what the whole process shares, and none depends on it."""

from __future__ import annotations

import contextlib
import ctypes
import decimal
import faulthandler
import gc
import io
import locale
import logging
import os
import random
import signal
import sys
import threading
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sklearn
from click.testing import CliRunner
from fault_cases import FITS, bits, in_a_process, two_groups
from threadpoolctl import ThreadpoolController

import mixtura
from mixtura import GaussianMixture, GaussianMixtureSelector, Mixture
from mixtura.cli import main
from mixtura.sources.files import read_table, write_table

MODEL = Mixture([0.3, 0.7], [[0, 0], [3, 1]], [[[1, 0], [0, 1]], [[2, 1], [1, 2]]], columns=["a", "b"])
ROWS = two_groups(300, 2)


def rounding():
    """How this thread rounds, and whether the smallest numbers are flushed to zero."""
    mode = ctypes.CDLL(None).fegetround() if os.name == "posix" else None
    tiny = np.array([5e-324, 2.5e-308])
    return mode, (tiny * 1.0).tolist(), (tiny / 2).tolist(), (np.float64(1) + np.float64(2**-53)).item()


def permissions():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def signals():
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def loggers():
    root = logging.getLogger()
    ours = [name for name in logging.root.manager.loggerDict if name.startswith("mixtura")]
    return root.level, list(root.handlers), logging.root.manager.disable, logging.raiseExceptions, ours


def seeds():
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 (it is what must not change)
    return random.getstate(), name, keys.tobytes(), rest


def shared():
    """What a process has one of."""
    return {
        "threads of libraries": [each.get_num_threads() for each in ThreadpoolController().lib_controllers],
        "what NumPy does about errors": (np.geterr(), np.geterrcall(), np.getbufsize()),
        "how NumPy prints": np.get_printoptions(),
        "random numbers": seeds(),
        "warnings": (list(warnings.filters), warnings.showwarning, warnings.formatwarning),
        "rounding": rounding(),
        "decimals": repr(decimal.getcontext()),
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "permissions": permissions(),
        "signals": signals(),
        "locale": [locale.setlocale(each) for each in (locale.LC_ALL, locale.LC_NUMERIC, locale.LC_COLLATE)],
        "logging": loggers(),
        "matplotlib": (dict(mpl.rcParams), mpl.get_backend()),
        "pandas": (pd.get_option("display.precision"), pd.get_option("mode.chained_assignment")),
        "scikit-learn": sklearn.get_config(),
        "pyarrow": (pa.cpu_count(), pa.io_thread_count(), pa.default_memory_pool().backend_name),
        "garbage": (gc.isenabled(), gc.get_threshold(), len(gc.callbacks)),
        "Python": (sys.getrecursionlimit(), sys.getswitchinterval(), list(sys.path), faulthandler.is_enabled()),
        "hooks": (sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook, sys.gettrace()),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "stack": threading.stack_size(),
    }


def estimator():
    return GaussianMixture(2, random_state=0).fit(ROWS)


def command(*words):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output


def quietly(call, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call(*arguments)


def failing(call, *arguments):
    with pytest.raises(ValueError, match="NaN"):
        call(*arguments)


#: What is called in the process of the user.
CALLS = {
    **{f"fit {name}": fit for name, fit in FITS.items()},
    "fit with noise and a prior": lambda: mixtura.fit(ROWS, 2, "tied", noise=True, prior="conjugate", random_state=0),
    "fit by chance": lambda: mixtura.fit(ROWS, 2, "tied"),
    "select": lambda: mixtura.select(ROWS, [1, 2], ["full", "vee", "eve"], criterion="cv", random_state=0),
    "extend": lambda: mixtura.fit(ROWS, 1, "full", random_state=0).extend(2),
    "print": lambda: (str(mixtura.fit(ROWS, 2, "full", random_state=0)), repr(MODEL)),
    "estimator": estimator,
    "selector": lambda: GaussianMixtureSelector([1, 2], covariances="full", random_state=0).fit(ROWS).predict(ROWS),
    "estimator's answers": lambda: (m := estimator(), m.predict_proba(ROWS), m.bic(ROWS), m.sample(5)),
    "an estimator that does not converge": lambda: quietly(GaussianMixture(3, max_iter=1, random_state=0).fit, ROWS),
    "a fit that fails": lambda: failing(mixtura.fit, [[1.0, np.nan]]),
    "densities": lambda: (MODEL.logpdf([[1e200, 0]]), MODEL.responsibilities(ROWS), MODEL.pdf(ROWS)),
    "samples": lambda: MODEL.sample(10, 3),
    "parts": lambda: (MODEL.marginal(["a"]), MODEL.condition({"a": 1.0}), MODEL.overlap(), MODEL.separation(ROWS)),
    "merging": lambda: mixtura.merge(MODEL, ROWS),
    "labels": lambda: mixtura.cross_table(["x", "y"], [0, 1]),
    "em": lambda: mixtura.em(MODEL, ROWS),
}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def changed(call):
    """What the call changed, when it has been called before: imports are not the matter here."""
    call()
    before = shared()
    call()
    after = shared()
    return {name: (value, after[name]) for name, value in before.items() if after[name] != value}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_changes_nothing(name):
    assert changed(CALLS[name]) == {}


def test_files_change_nothing():
    def call():
        mixtura.save(MODEL, "model.mixtura", overwrite=True)
        mixtura.load("model.mixtura")
        for suffix in ("csv", "parquet", "arrow", "npy"):
            write_table(pa.table({"a": [1.0, 2.5], "b": [2.0, 3.0]}), f"table.{suffix}")
            assert read_table(f"table.{suffix}").rows.tolist() == [[1.0, 2.0], [2.5, 3.0]]

    assert changed(call) == {}


def test_commands_change_nothing():
    np.save("table.npy", ROWS)

    def call():
        command("fit", "table.npy", "-k", "2", "--covariance", "full", "--out", "out", "--force")
        command("score", "out/model.mixtura", "table.npy")
        command("show", "out/model.mixtura", "--verbose")
        command("sample", "out/model.mixtura", "-n", "5")
        command("merge", "out/model.mixtura", "table.npy")

    assert changed(call) == {}


def test_what_is_shared_changes_no_result(alone):
    """However NumPy, Python and others are set, the same bits, and no warning or error."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    context = decimal.getcontext().copy()
    try:
        with (
            np.errstate(all="raise"),
            np.printoptions(precision=2, threshold=3),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()) as printed,
            pd.option_context("display.precision", 2),
            sklearn.config_context(assume_finite=True, working_memory=1),
            decimal.localcontext(decimal.Context(prec=2)),
        ):
            warnings.simplefilter("error")
            for name, fit in FITS.items():
                result = fit()
                assert bits(result.model) == alone[name]
                assert str(result)
                result.model.predict(two_groups(50, result.model.n_features))
            for name in (
                "densities",
                "parts",
                "merging",
                "samples",
                "estimator's answers",
                "fit with noise and a prior",
            ):
                CALLS[name]()
    finally:
        np.random.set_state(state)  # noqa: NPY002
        decimal.setcontext(context)
    assert printed.getvalue() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="locales have other names")
def test_a_locale_with_a_decimal_comma_changes_no_result(alone):
    before = locale.setlocale(locale.LC_ALL)
    for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "de_DE"):
        with contextlib.suppress(locale.Error):
            locale.setlocale(locale.LC_ALL, name)
            break
    else:
        pytest.skip("there is no such locale here")
    try:
        assert locale.localeconv()["decimal_point"] == ","
        write_table(pa.table({"a": [1.5, 2.5]}), "table.csv")
        assert Path("table.csv").read_text(encoding="ascii") == '"a"\n1.5\n2.5\n'
        assert read_table("table.csv").rows.tolist() == [[1.5], [2.5]]
        mixtura.save(MODEL, "model", metadata={"x": 0.5})
        assert mixtura.load("model").metadata == {"x": 0.5}
        assert bits(FITS["small"]().model) == alone["small"]
        assert "1,5" not in str(FITS["small"]())
    finally:
        locale.setlocale(locale.LC_ALL, before)


def test_importing_changes_nothing():
    """All of it, when what it needs has been imported before."""
    code = """
import sys
sys.argv = ["x"]
import numba, pandas, pyarrow.parquet, pyarrow.csv, scipy.linalg, scipy.optimize, sklearn.base, sklearn.mixture, rich
import click.testing, concurrent.futures, importlib, llvmlite.binding, matplotlib, multiprocessing, pkgutil
import test_global_state as state  # imports some of it; what that changes is not seen
for name in [name for name in sys.modules if name.partition(".")[0] == "mixtura"]:
    del sys.modules[name]
before = state.shared()
mixtura = importlib.import_module("mixtura")
for module in pkgutil.walk_packages(mixtura.__path__, "mixtura."):
    if module.name != "mixtura.__main__":
        try:
            importlib.import_module(module.name)
        except ImportError as error:  # an optional dependency that is not there
            assert not str(error.name).startswith("mixtura"), error
after = state.shared()
assert {name for name in before if before[name] != after[name]} <= set(), [
    (before[name], after[name]) for name in before if before[name] != after[name]
]
print("the same")
"""
    done = in_a_process(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the same\n"
