"""Whatever ends a process while it saves, the file holds what it held before, or all that is new."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import sys
import time

import numpy as np
import pytest

from mixtura import Mixture, load, save
from mixtura.sources import files

posix = pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")


def model(seed, n_features=60):
    rng = np.random.default_rng(seed)
    factors = np.tril(rng.standard_normal((3, n_features, n_features)), -1) + np.eye(n_features)
    return Mixture([0.2, 0.3, 0.5], rng.standard_normal((3, n_features)), factors @ np.swapaxes(factors, 1, 2))


def save_for_ever(path, models):
    while True:
        for each in models:
            save(each, path, overwrite=True)


@posix
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("kills", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_process_killed_while_it_saves(tmp_path, kills):
    models, path = [model(0), model(1)], tmp_path / "model.mixtura"
    wholes = []
    for each in models:
        save(each, path, overwrite=True)
        wholes.append(path.read_bytes())
    fork = multiprocessing.get_context("fork")
    rng = np.random.default_rng(5)
    seen, left_over = set(), 0
    for _ in range(kills):
        child = fork.Process(target=save_for_ever, args=(path, models))
        child.start()
        time.sleep(rng.uniform(0.005, 0.03))
        os.kill(child.pid, signal.SIGKILL)
        child.join(30)
        assert child.exitcode == -signal.SIGKILL
        content = path.read_bytes()
        assert content in wholes
        assert load(path).mixture == models[wholes.index(content)]
        seen.add(wholes.index(content))
        others = [other for other in tmp_path.iterdir() if other != path]
        assert all(other.name.startswith(".mixtura-") for other in others)
        left_over += len(others)
        for other in others:
            other.unlink()
    assert seen == {0, 1}
    assert left_over > kills // 20  # so it was killed while it was saving, too


class InterruptAt:
    """Raises KeyboardInterrupt at the so-and-so many-th line of Mixtura's code or of the standard library's."""

    def __init__(self, line):
        self.left, self.raised = line, False

    def __call__(self, frame, event, _argument):
        name = frame.f_globals.get("__name__", "")
        if not name.startswith(("mixtura", "zipfile", "pathlib", "contextlib")):
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                self.raised = True
                sys.settrace(None)
                raise KeyboardInterrupt
        return self


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of a zip that was left open
@pytest.mark.parametrize("writer", ["save", "write_table"])
def test_an_interruption_at_any_line(tmp_path, writer):
    import pyarrow as pa

    old, new, path = model(0, 2), model(1, 2), tmp_path / "a.csv"
    write = {
        "save": lambda each: save(each, path, overwrite=True),
        "write_table": lambda each: files.write_table(pa.table({"a": each.means[:, 0]}), path),
    }[writer]
    write(new)
    after = path.read_bytes()
    write(old)
    before = path.read_bytes()
    line, finished = 0, False
    while not finished:
        line += 1
        interrupt = InterruptAt(line)
        sys.settrace(interrupt)
        try:
            write(new)
            finished = not interrupt.raised  # it may have gone astray in a finaliser
        except KeyboardInterrupt:
            pass
        except ValueError as error:  # zipfile may complain of being closed too early
            if not isinstance(error.__context__, KeyboardInterrupt):
                raise
        finally:
            sys.settrace(None)
        assert path.read_bytes() in {before, after}
        if path.read_bytes() == after and not finished:
            path.write_bytes(before)
        assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]
    assert line > 30
    assert path.read_bytes() == after


@posix
def test_a_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "model.mixtura"
    save(model(0, 2), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~_umask()
    path.chmod(0o600)
    save(model(1, 2), path, overwrite=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
