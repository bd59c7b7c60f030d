"""Ctrl-C in the middle of a fit: it ends, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from fault_cases import FITS, bits, two_groups
from threadpoolctl import ThreadpoolController

import mixtura
from mixtura import GaussianMixture
from mixtura.core.blas import one_thread

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals")


@pytest.fixture
def interrupted():
    """Calls a function and interrupts it after so many seconds: whether that was in time."""
    former = signal.signal(signal.SIGALRM, signal.default_int_handler)

    def call(function, after):
        try:
            signal.setitimer(signal.ITIMER_REAL, max(after, 1e-6))
            function()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            return True
        return False

    yield call
    signal.signal(signal.SIGALRM, former)


def threads():
    return [library.get_num_threads() for library in ThreadpoolController().lib_controllers]


def settings():
    return threads(), np.geterr(), np.geterrcall()


def seconds(function):
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("times", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_at_any_moment_of_a_fit(name, times, alone, interrupted):
    before = settings()
    whole = seconds(FITS[name])
    rng = np.random.default_rng(11)
    found = left = 0
    for _ in range(times):
        found += interrupted(FITS[name], rng.uniform(0, 0.7 * whole))
        if settings() != before:  # it was interrupted while it set them right
            left += 1
            with one_thread():
                pass
            assert settings() == before
    assert left <= 0.02 * times
    assert found > times / 3
    assert bits(FITS[name]().model) == alone[name]


def test_at_any_moment_of_what_sets_the_threads(interrupted):
    def climb():
        with one_thread():
            pass

    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    before = [library.get_num_threads() for library in libraries]
    whole = min(seconds(climb) for _ in range(20))
    rng = np.random.default_rng(12)
    found = 0
    for _ in range(1000):
        found += interrupted(climb, rng.uniform(0, 2 * whole))
        with one_thread():  # the next sets right what one left that was interrupted while it left
            assert {library.get_num_threads() for library in libraries} == {1}
        assert [library.get_num_threads() for library in libraries] == before
    assert found > 50


def test_a_real_signal_while_threads_are_at_work():
    rows = two_groups(200_000, 4)
    options = {"covariance_type": "full", "n_threads": 3, "n_init": 1, "random_state": 0}
    began = time.perf_counter()
    for after in (0.05, 0.2, 0.5):
        timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012 (until it comes)
            while time.perf_counter() - began < 60:
                GaussianMixture(2, **options).fit(rows)
        timer.join()
    assert GaussianMixture(2, **options).fit(rows).converged_


@pytest.mark.parametrize("after", [0.0, 0.3, *(pytest.param(x / 8, marks=pytest.mark.slow) for x in range(1, 17))])
def test_the_command(tmp_path, after):
    table, out = tmp_path / "table.npy", tmp_path / "out"
    np.save(table, two_groups(60_000, 4))
    path = str(Path(mixtura.__file__).parents[1])
    words = ["fit", str(table), "--out", str(out), "--components", "1:9", "--covariance", "all"]
    with subprocess.Popen(
        [sys.executable, "-m", "mixtura", *words],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not out.exists() and process.poll() is None:  # it is made before the fit begins
            time.sleep(0.01)
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=60)
    # Python may die of the signal after all, if it came while a class was being made of text; shells see 130 then, too
    assert process.returncode in {130, -signal.SIGINT}, said
    if said == "Interrupted.\n":  # there was no model yet
        assert printed == ""
        assert not out.exists()
    else:
        assert "Interrupted: this is the best model up to then" in said
        assert mixtura.load(out / "model.mixtura").mixture.n_features == 4
