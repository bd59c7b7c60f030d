"""Fits in processes that were forked, spawned, or started by joblib, and in threads side by side: the same bits."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import pytest
from fault_cases import FITS, bits, in_a_process, two_groups

from mixtura import GaussianMixture
from mixtura.sources.memory import Memory

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def all_fits():
    return {name: bits(fit().model) for name, fit in FITS.items()}


def one(name):
    return bits(FITS[name]().model)


def _answer(queue):
    queue.put(all_fits())


def answers(context, count=1):
    """What so many processes find, which run at the same time."""
    queue = context.Queue()
    processes = [context.Process(target=_answer, args=(queue,)) for _ in range(count)]
    for process in processes:
        process.start()
    found = [queue.get(timeout=100) for _ in processes]
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    return found


@needs_fork
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_after_fits(alone):
    """Threads, compiled code and linear algebra have been used, so there are locks and pools to inherit."""
    assert all_fits() == alone
    assert answers(multiprocessing.get_context("fork"), 2) == [alone, alone]
    assert all_fits() == alone


@needs_fork
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forks_while_other_threads_fit(alone):
    """Whatever the other threads hold at that moment is held for ever in the child."""
    stop = threading.Event()

    def fit_on():
        while not stop.is_set():
            FITS["columns"]()

    with ThreadPoolExecutor(2) as others:
        for _ in range(2):
            others.submit(fit_on)
        try:
            for _ in range(4):
                child = os.fork()
                if child == 0:
                    os._exit(0 if one("columns") == alone["columns"] else 3)
                _, status = os.waitpid(child, 0)
                assert os.waitstatus_to_exitcode(status) == 0
        finally:
            stop.set()


def test_spawned_processes():
    code = """
import multiprocessing
from fault_cases import FITS, bits

def answer(name):
    return bits(FITS[name]().model)

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(answer, list(FITS)) == [answer(name) for name in FITS]
    print("the same")
"""
    done = in_a_process(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the same\n"


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_joblib(backend):
    rows = two_groups(2000, 3)
    models = [GaussianMixture(k, random_state=seed) for k in (1, 2) for seed in (0, 1)]
    alone = [bits(model.fit(rows).mixture_) for model in models]
    fitted = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(model.fit)(rows) for model in models)
    assert [bits(model.mixture_) for model in fitted] == alone


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_fits_in_threads_side_by_side(alone, rounds):
    names = [*FITS, *FITS] * rounds
    with ThreadPoolExecutor(len(FITS)) as pool:
        assert list(pool.map(one, names)) == [alone[name] for name in names]


def test_one_source_read_by_threads_side_by_side():
    rows = two_groups(70_000, 2)
    source = Memory(rows, n_threads=3)
    alone = source.total(lambda block: block.rows.sum())
    with ThreadPoolExecutor(4) as pool:
        totals = list(pool.map(lambda _: source.total(lambda block: block.rows.sum()), range(20)))
    assert totals == [alone] * 20


def test_an_error_in_a_worker_keeps_its_cause():
    source = Memory(two_groups(70_000, 2), n_threads=4)

    def fail(block):
        if block.start:  # the first block is taken by the calling thread, as a rule
            try:
                raise KeyError("the cause")
            except KeyError as error:
                raise ArithmeticError(f"block at {block.start}") from error
        return 1

    for read in (source.total, lambda function: list(source.map(function))):
        with pytest.raises(ArithmeticError, match="block at") as caught:
            read(fail)
        assert isinstance(caught.value.__cause__, KeyError)
        assert any(entry.name == "fail" for entry in caught.traceback)
    assert source.total(lambda block: len(block.rows)) == 70_000


@pytest.mark.skipif(sys.platform == "win32", reason="threads are named in the traceback")
def test_a_process_ends_while_threads_of_a_source_wait():
    done = in_a_process("from fault_cases import FITS; kept = [fit() for fit in FITS.values()]; print(len(kept))")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "3\n"
