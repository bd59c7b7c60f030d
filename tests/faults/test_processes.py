"""Fits in processes that were forked, spawned, or started by joblib, and in threads side by side: the same bits."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

import joblib
import pytest
from fault_cases import FITS, bits, in_a_process, two_groups
from threadpoolctl import ThreadpoolController, threadpool_limits

import mixtura
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
@pytest.mark.slow
def test_forks_while_other_threads_fit():
    """Whatever the other threads hold at that moment is held for ever in the child."""
    code = """
import faulthandler, os, threading, warnings
from fault_cases import FITS, bits

warnings.simplefilter("ignore")  # Python warns of forks beside threads
alone = bits(FITS["columns"]().model)
stop = threading.Event()

def fit_on():
    while not stop.is_set():
        FITS["columns"]()

others = [threading.Thread(target=fit_on) for _ in range(2)]
for other in others:
    other.start()
for _ in range(8):
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(60, exit=True)
        os._exit(0 if bits(FITS["columns"]().model) == alone else 3)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
for other in others:
    other.join()
"""
    done = in_a_process(code, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0\n" * 8, done.stderr


@needs_fork
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_fit_leaves_the_number_of_threads():
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    before = [library.get_num_threads() for library in libraries]
    seen = set()

    def fork(_):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        seen.update(library.get_num_threads() for library in libraries)

    mixtura.fit(two_groups(200, 2), 2, "full", random_state=0, progress=fork)
    assert seen == {1}
    assert [library.get_num_threads() for library in libraries] == before


@pytest.mark.slow
def test_spawned_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("""
import multiprocessing
from fault_cases import FITS, bits

def answer(name):
    return bits(FITS[name]().model)

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(answer, list(FITS)) == [answer(name) for name in FITS]
    print("the same")
""")
    done = in_a_process(script)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the same\n"


@pytest.mark.parametrize("backend", ["loky", "threading", pytest.param("multiprocessing", marks=pytest.mark.slow)])
def test_joblib(backend):
    rows = two_groups(2000, 3)
    models = [GaussianMixture(k, random_state=seed) for k in (1, 2) for seed in (0, 1)]
    alone = [bits(model.fit(rows).mixture_) for model in models]
    fitted = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(model.fit)(rows) for model in models)
    assert [bits(model.mixture_) for model in fitted] == alone


@pytest.mark.parametrize("name", ["small", "columns"])
def test_whatever_number_of_threads_linear_algebra_has(name, alone):
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    for number in (1, 2, 3):
        with threadpool_limits(number, "blas"):
            limited = [library.get_num_threads() for library in libraries]
            assert one(name) == alone[name]
            assert [library.get_num_threads() for library in libraries] == limited


def test_linear_algebra_has_one_thread_in_fits_of_any_thread():
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    before = [library.get_num_threads() for library in libraries]
    seen = set()

    def look(_):
        seen.update(library.get_num_threads() for library in libraries)

    with ThreadPoolExecutor(3) as pool:
        for found in [
            pool.submit(mixtura.fit, two_groups(300, 3), k, "full", random_state=0, progress=look) for k in range(1, 7)
        ]:
            found.result()
    assert seen == {1}
    assert [library.get_num_threads() for library in libraries] == before
    with ThreadPoolExecutor(1) as pool, threadpool_limits(1, "blas"):  # nobody else was kept from setting it
        assert pool.submit(lambda: {library.get_num_threads() for library in libraries}).result() == {1}


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


@pytest.mark.slow
def test_a_process_ends_while_threads_of_a_source_wait():
    done = in_a_process("from fault_cases import FITS; kept = [fit() for fit in FITS.values()]; print(len(kept))")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{len(FITS)}\n"
