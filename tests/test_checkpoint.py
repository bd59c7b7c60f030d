"""A fit that is killed at any moment goes on to the same bits; a checkpoint of something else is refused."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mixtura
from mixtura.sources.journal import CheckpointError, CheckpointWarning, Journal, Journalled, head_of
from mixtura.sources.memory import Memory

MEANS = np.array([[0.0, 0.0, 0.0], [4.0, 1.0, 0.0], [1.0, 5.0, 2.0], [-4.0, 2.0, 3.0]])
OPTIONS = {"n_components": [2, 4], "covariance": ["full", "tied"], "random_state": 3, "n_init": 2}


def made(n, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.integers(len(MEANS), size=n)
    return (MEANS[label] + rng.normal(size=(n, 3)) * (0.6 + 0.2 * label[:, None])).astype(np.float32)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A Parquet file of several row groups, of which the passes are not a matter of moments."""
    path = tmp_path_factory.mktemp("table") / "rows.parquet"
    rows = made(120_000)
    pq.write_table(pa.table({name: rows[:, j] for j, name in enumerate("abc")}), path, row_group_size=20_000)
    return path


@pytest.fixture(scope="module")
def whole(table):
    """The fit that nothing came between."""
    return mixtura.fit(table, **OPTIONS)


def same(one, other):
    """Whether two results have the same bits in all that was fitted."""
    assert [(c.n_components, c.covariance) for c in one.cells] == [(c.n_components, c.covariance) for c in other.cells]
    for mine, theirs in zip(one.cells, other.cells, strict=True):
        assert mine.fit.model == theirs.fit.model
        assert np.array(mine.fit.trace, dtype=object).tolist() == np.array(theirs.fit.trace, dtype=object).tolist()
        assert (mine.fit.status, mine.fit.loglik, mine.bic, mine.icl) == (
            theirs.fit.status, theirs.fit.loglik, theirs.bic, theirs.icl
        )  # fmt: skip
        assert mine.held_out == theirs.held_out
    return True


#: A fit that waits a little in each pass over all rows, so that it can be killed where it should be.
SLOW_FIT = """
import json, sys, time
from dataclasses import replace
import mixtura
from mixtura.sources import as_source
from mixtura.sources.source import Source

class Slow(Source):
    def __init__(self, source):
        self.source, self.n_rows, self.n_features, self.dtype = source, source.n_rows, source.n_features, source.dtype
    def map(self, function):
        return self.source.map(function)
    def total(self, function):
        print("pass", flush=True)
        time.sleep(0.02)
        return self.source.total(function)

path, checkpoint, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
opened = as_source(path)
mixtura.fit(replace(opened, source=Slow(opened.source)), checkpoint=checkpoint, **options)
print("done", flush=True)
"""


def killed(table, checkpoint, options, passes, seconds):
    """Start a fit, and kill it so many seconds after so many passes; whether it was still on its way."""
    import json

    command = [sys.executable, "-c", SLOW_FIT, str(table), str(checkpoint), json.dumps(options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as started:
        for _ in range(passes):
            assert started.stdout.readline() == "pass\n"
        time.sleep(seconds)
        started.send_signal(signal.SIGKILL)
        rest = started.stdout.read()
    return "done" not in rest


def environment():
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}


def resumed(table, checkpoint, options=OPTIONS):
    """The fit from a checkpoint on, and how many passes over all rows were made for it."""
    opened = mixtura.sources.as_source(table)
    counting = Counting(opened.source)
    result = mixtura.fit(replace(opened, source=counting), checkpoint=checkpoint, **options)
    return result, counting.passes


class Counting(Memory):
    """A source that counts the passes over another one."""

    def __init__(self, source):
        self.source, self.n_rows, self.n_features, self.dtype = source, source.n_rows, source.n_features, source.dtype
        self.passes = 0

    @property
    def weight(self):
        return self.source.weight

    def map(self, function):
        return self.source.map(function)

    def total(self, function):
        self.passes += 1
        return self.source.total(function)


def test_a_checkpoint_changes_nothing_and_saves_the_passes(table, whole, tmp_path):
    first, passes = resumed(table, tmp_path / "ck")
    assert same(first, whole)
    again, more = resumed(table, tmp_path / "ck")
    assert same(again, whole)
    assert passes > 5
    assert more == 1  # in which the rows are known again
    assert isinstance(again.survey.source, Counting)
    assert (tmp_path / "ck").stat().st_size < 50_000


def test_killed_in_the_middle_and_resumed(table, whole, tmp_path):
    assert killed(table, tmp_path / "ck", OPTIONS, passes=4, seconds=0.01)
    kept = len(Journal(tmp_path / "ck", head_of(tmp_path / "ck")))
    assert kept >= 2
    result, passes = resumed(table, tmp_path / "ck")
    assert same(result, whole)
    _, all_of_them = resumed(table, tmp_path / "other")
    assert all_of_them - kept + 1 <= passes < all_of_them  # of what is kept, one is the fingerprint


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        OPTIONS | {"noise": True, "covariance": "full"},
        OPTIONS | {"criterion": "cv", "covariance": "full", "n_components": 3},
        OPTIONS | {"covariance": ["vee", "eii", "diag"], "prior": "conjugate"},
    ],
    ids=["usual", "noise", "folds", "others"],
)
def test_killed_again_and_again_at_random(table, tmp_path, options):
    whole = mixtura.fit(table, **options)
    rng = np.random.default_rng(len(str(options)))
    kills = 0
    for _ in range(12):
        kept = head_of(tmp_path / "ck") and len(Journal(tmp_path / "ck", head_of(tmp_path / "ck")))
        if not killed(table, tmp_path / "ck", options, passes=1, seconds=float(rng.uniform(0, 0.3))):
            break
        kills += 1
        assert len(Journal(tmp_path / "ck", head_of(tmp_path / "ck"))) >= (kept or 0)
    assert kills >= 3
    result, _ = resumed(table, tmp_path / "ck", options)
    assert same(result, whole)


@pytest.mark.slow
def test_killed_on_dask(table, tmp_path):
    pytest.importorskip("distributed")
    code = """
if __name__ == "__main__":
    import sys, threading, os, signal
    import dask.dataframe as dd
    from distributed import Client
    import mixtura
    table, checkpoint, seconds = sys.argv[1:]
    with Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"):
        frame = dd.read_parquet(table, split_row_groups=True)
        if seconds != "never":
            def stop(progress):
                if progress.stage == "climb" and progress.passes == int(seconds):
                    os.kill(os.getpid(), signal.SIGKILL)
        else:
            stop = None
        result = mixtura.fit(frame, [3], "full", random_state=1, checkpoint=checkpoint or None, progress=stop)
    print(result.fit.loglik.hex(), result.model.means.tobytes().hex(), len(result.fit.trace))
"""
    (tmp_path / "fit.py").write_text(code)

    def run(checkpoint, seconds):
        command = [sys.executable, tmp_path / "fit.py", table, checkpoint, seconds]
        return subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=120, check=False)

    assert run(tmp_path / "ck", "2").returncode == -signal.SIGKILL
    before = (tmp_path / "ck").stat().st_size
    resumed, whole = run(tmp_path / "ck", "never"), run("", "never")
    assert resumed.stdout == whole.stdout != ""
    assert (tmp_path / "ck").stat().st_size > before


def journal(path, **changes):
    return Journal(path, {"the option": {"tol": "1e-06", **changes}})


def rows():
    return Memory(made(5_000).astype(float))


def filled(path):
    """A checkpoint of three passes, the fingerprint not counted, and what they found."""
    with journal(path) as kept:
        source = Journalled(rows(), kept)
        source.total(_sum)
        return [source.total(partial(_sum, power=power)) for power in (1, 2, 3)]


def _sum(block, power=1):
    return (block.rows**power).sum(0)


def test_a_torn_end_is_written_over(tmp_path):
    path = tmp_path / "ck"
    found = filled(path)
    content = path.read_bytes()
    with journal(path) as kept:
        whole = len(kept)
    ends = set()
    for length in range(len(content) - 1, len(content) // 2, -7):
        path.write_bytes(content[:length])
        with journal(path) as kept:
            ends.add(len(kept))
            source = Journalled(rows(), kept)
            source.total(_sum)
            again = [source.total(partial(_sum, power=power)) for power in (1, 2, 3)]
        assert all(map(np.array_equal, again, found))
        assert path.read_bytes() == content
    assert ends >= {whole - 1, whole - 2}


def test_a_flipped_bit_anywhere_is_noticed(tmp_path):
    path = tmp_path / "ck"
    found = filled(path)
    content = path.read_bytes()
    refused = 0
    for place in range(0, len(content), 11):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        try:
            kept = journal(path)
        except CheckpointError:
            refused += 1
            continue
        with kept:
            source = Journalled(rows(), kept)
            source.total(_sum)
            again = [source.total(partial(_sum, power=power)) for power in (1, 2, 3)]
        assert all(map(np.array_equal, again, found))
    assert 0 < refused < len(content) / 22  # where it is the head


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"Mixtura checkpoint 2\nwhatever", b"Mixtura checkpoint 1\n"])
def test_another_file_is_left_alone(tmp_path, content):
    path = tmp_path / "ck"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="name another file"):
        mixtura.fit(made(200), 1, checkpoint=path)
    assert path.read_bytes() == content


def test_of_what_it_is(table, tmp_path):
    path = tmp_path / "ck"
    resumed(table, path)
    content = path.read_bytes()
    for change, said in [
        ({"tol": 1e-5}, "the option tol is 1e-05 now and was 1e-06 then"),
        ({"random_state": 4}, "the option random_state is 4 now and was 3 then"),
        ({"n_components": [2, 3]}, "the option n_components is 2, 3 now and was 2, 4 then"),
        ({"covariance": "full"}, "the option covariance is full now and was full, tied then"),
        ({"columns": ["a", "b"]}, "the table's number of columns is 2 now and was 3 then"),
        ({"columns": ["a", "c", "b"]}, "the option columns is a, c, b now and was a, b, c then"),
        ({"where": "a > 0"}, "the table's number of rows"),
        ({"fixed": mixtura.Fixed(weights="equal")}, "the option fixed is Fixed"),
    ]:
        with pytest.raises(CheckpointError, match=r"is of another fit: .*name another file") as told:
            mixtura.fit(table, **OPTIONS | {"columns": list("abc")} | change, checkpoint=path)
        assert said in str(told.value)
    assert path.read_bytes() == content


@pytest.mark.parametrize("change", ["value", "order"])
def test_other_rows_are_noticed(table, tmp_path, change):
    resumed(table, tmp_path / "ck")
    rows = pq.read_table(table).to_pandas()
    if change == "value":
        rows.loc[77_777, "b"] += np.float32(1e-3)
    else:
        rows.iloc[[5, 6]] = rows.iloc[[6, 5]].to_numpy()
    rows.to_parquet(tmp_path / "other.parquet", index=False)
    with pytest.raises(CheckpointError, match="of a table with other values, or in another order"):
        resumed(tmp_path / "other.parquet", tmp_path / "ck")


def test_another_version_is_noticed(table, tmp_path, monkeypatch):
    resumed(table, tmp_path / "ck")
    monkeypatch.setattr("mixtura.checkpoint.__version__", "99")
    with pytest.raises(CheckpointError, match="the version of mixtura is 99 now and was"):
        resumed(table, tmp_path / "ck")


def test_without_a_seed_the_one_that_was_drawn_is_kept(table, tmp_path):
    options = OPTIONS | {"random_state": None, "n_components": 3}
    first, _ = resumed(table, tmp_path / "ck", options)
    again, passes = resumed(table, tmp_path / "ck", options)
    assert passes == 1
    assert same(first, again)


def test_a_checkpoint_of_nothing_yet_takes_other_options(table, tmp_path):
    path = tmp_path / "ck"
    with pytest.raises(ValueError, match="fixed"):
        mixtura.fit(table, 2, fixed=mixtura.Fixed(means=np.zeros((3, 3))), checkpoint=path)
    assert path.exists()
    assert mixtura.fit(table, 1, checkpoint=path).best.n_components == 1


def test_one_process_at_a_time(tmp_path):
    with journal(tmp_path / "ck"), pytest.raises(CheckpointError, match="in use by another process"):
        journal(tmp_path / "ck")
    journal(tmp_path / "ck").close()


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot use the checkpoint .*No such file"):
        mixtura.fit(made(200), 1, checkpoint=tmp_path / "no" / "ck")
    with pytest.raises(CheckpointError, match="cannot use the checkpoint"):
        mixtura.fit(made(200), 1, checkpoint=tmp_path)


def test_a_full_disk_stops_the_checkpoint_and_not_the_fit(table, whole, tmp_path):
    path = tmp_path / "ck"
    _, passes = resumed(table, path)
    size = path.stat().st_size
    path.unlink()
    usual = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))
    try:
        with pytest.warns(
            CheckpointWarning, match=r"cannot be written further .*could be resumed only from here"
        ) as told:
            result, _ = resumed(table, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, usual)
    assert len(told) == 1
    assert same(result, whole)
    assert 0 < path.stat().st_size <= size // 2
    again, fewer = resumed(table, path)
    assert same(again, whole)
    assert 1 < fewer < passes
    assert path.stat().st_size == size


def test_what_has_no_name_is_asked_again(tmp_path):
    with journal(tmp_path / "ck") as kept:
        source = Journalled(rows(), kept)
        source.total(attrgetter("weight"))
        assert source.total(lambda block: len(block.rows)) == 5_000
        assert source.total(_odd).content == ["x"]
        assert len(kept) == 1  # the fingerprint
        assert source.weight == 5_000
        assert [*source.map(len)] == [3] * len([*source.map(len)])


def _odd(block):
    return _Odd(["x"] if len(block.rows) else [])


class _Odd:
    def __init__(self, content):
        self.content = content

    def __add__(self, other):
        return self


def test_a_copy_of_a_checkpoint_will_do(table, whole, tmp_path):
    resumed(table, tmp_path / "ck")
    shutil.copy(tmp_path / "ck", tmp_path / "copy")
    Path(tmp_path / "ck").unlink()
    result, passes = resumed(table, tmp_path / "copy")
    assert passes == 1
    assert same(result, whole)
