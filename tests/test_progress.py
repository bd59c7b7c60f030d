"""How far a computation is: told late, truly, and without a trace."""

from __future__ import annotations

import io
import re
import sys
from itertools import pairwise

import numpy as np
import pytest
import rich.console

import mixtura
from mixtura import progress
from mixtura.core.status import Status
from mixtura.ground import Progress
from mixtura.progress import Left, NotebookBar, Patient, Seen, TerminalBar, watched


class Recorder:
    """A bar that remembers what it was to show."""

    def __init__(self):
        self.seen, self.closed = [], False

    def show(self, seen):
        self.seen.append(seen)

    def close(self):
        self.closed = True


def test_a_bar_appears_after_two_seconds_and_changes_ten_times_a_second():
    now, made = [0.0], []
    patient = Patient(lambda: made.append(Recorder()) or made[0], lambda: now[0])
    for i in range(256):
        now[0] = i / 64
        patient(Progress("climb", i, 256 - i, 256))
    patient.close()
    (bar,) = made
    assert bar.closed
    assert [seen.done for seen in bar.seen] == list(range(128, 256, 7))
    assert bar.seen[0] == Seen("Climbing", 128, 256, "128 of 256 arrived, pass 128, 0:02")
    assert bar.seen[-1].detail == "254 of 256 arrived, pass 254, 0:03"


def test_what_is_quick_has_no_bar():
    patient = Patient(lambda: pytest.fail("a bar was made"), lambda: 0.0)
    patient(Progress("race", 1, 1, 2))
    patient.close()


@pytest.mark.parametrize(
    ("told", "seconds", "title", "detail"),
    [
        (Progress("rows", 1, 500_000, 2_000_000), 61.9, "Scoring", "1,500,000 of 2,000,000 rows, 1:01"),
        (Progress("report", 1, 2, 5), 3600.0, "Drawing", "3 of 5 steps, 1:00:00"),
        (Progress("other", 7, 1, 3), 2.0, "other", "2 of 3 arrived, pass 7, 0:02"),
    ],
)
def test_numbers_are_true(told, seconds, title, detail):
    seen = Seen.of(told, seconds)
    assert (seen.title, seen.detail, seen.done) == (title, detail, told.climbs - told.climbing)


@pytest.mark.parametrize(
    ("told", "detail"),
    [
        (
            Progress("climb", 4, 1, 3, 0, 10**9, -3.25, 2.4e-4, 1e-6),
            "2 of 3 arrived, pass 4, 0:02, gap 2e-04, log-likelihood -3.25 a row",
        ),
        (
            Progress("climb", 4, 1, 3, 25 * 10**7, 10**9, -3.25, 2.4e-4, 1e-6),
            "2 of 3 arrived, pass 5 (25%), 0:02, gap 2e-04, log-likelihood -3.25 a row",
        ),
        (Progress("sample", 0, 0, 0, 300, 1_200), "300 of 1,200 rows, 0:02"),
    ],
)
def test_what_a_climb_has_found(told, detail):
    assert Seen.of(told, 2.0).detail == detail


def test_the_rows_of_a_pass_that_are_left_take_as_long_as_those_before():
    left = Left()
    assert left.hear(Progress("climb", 3, 1, 1, 0, 1000, tol=1e-6), 50.0) == ""
    assert left.hear(Progress("climb", 3, 1, 1, 100, 1000, tol=1e-6), 80.0) == ""  # since when is not known
    assert left.hear(Progress("climb", 3, 1, 1, 200, 1000, tol=1e-6), 90.0) == "1:20 left of the pass"
    assert left.hear(Progress("climb", 3, 1, 1, 600, 1000, tol=1e-6), 130.0) == "0:40 left of the pass"
    assert left.hear(Progress("climb", 4, 1, 1, 0, 1000, tol=1e-6), 170.0) == ""
    assert left.hear(Progress("climb", 4, 1, 1, 500, 1000, tol=1e-6), 220.0) == ""
    assert left.hear(Progress("rows", 1, 900, 1000), 300.0) == ""
    assert left.hear(Progress("rows", 1, 800, 1000), 310.0) == "1:20 left"


def test_the_passes_to_the_top_follow_from_those_before():
    left = Left()
    said = [
        left.hear(Progress("climb", n, 1, 1, 0, 10, gap=10.0 ** -(n / 2), tol=1e-6), 30.0 * n) for n in range(1, 13)
    ]
    assert said[:5] == [""] * 5
    assert said[5] == "about 3:00 to the top"  # from a gap of 1e-3, two passes of 30 s for each factor of ten
    assert said[9] == "about 1:00 to the top"
    assert said[11] == ""
    assert left.hear(Progress("climb", 4, 1, 1, 5, 10, gap=1e-2, tol=1e-6), 400.0) == ""  # another climb has begun
    for n in range(4, 12):  # a gap that rises and falls foretells nothing
        assert left.hear(Progress("climb", n, 1, 1, 0, 10, gap=10.0 ** -(n / 2 + n % 2), tol=1e-9), 400.0 + n) == ""
    risen = Left()
    for n in range(1, 6):
        assert risen.hear(Progress("climb", n, 1, 1, 0, 10, gap=1e-3 * n, tol=1e-6), n) == ""


def test_rows_within_a_pass_are_told_and_a_fit_can_be_ended_there():
    """A pass of half a second is told of; asked to end in its middle, the climb keeps the model before it."""
    import time

    from mixtura.sources.memory import Memory

    class Slow(Memory):
        def _block(self, i):
            time.sleep(0.06)
            return super()._block(i)

    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(60_000, 8)), rng.normal(1.5, 1, size=(60_000, 8))])
    seen = []

    def end(told):
        seen.append(told)
        return told.stage == "climb" and told.passes == 1 and told.within

    result = mixtura.fit(Slow(rows, n_threads=1), 2, "full", random_state=0, progress=end)
    within = [told for told in seen if told.within]
    assert {told.stage for told in within} >= {"sample", "climb"}
    assert all(0 < told.rows < told.n_rows == 120_000 for told in within)
    for one, two in pairwise(seen):
        if one.within and two.within and one.passes == two.passes and one.stage == two.stage:
            assert two.rows > one.rows
    asked = next(i for i, told in enumerate(seen) if told.stage == "climb" and told.passes == 1 and told.within)
    assert result.fit.status is Status.STOPPED
    assert result.fit.loglik == pytest.approx(result.model.loglik(rows), rel=1e-12)
    assert all(told.passes <= 1 for told in seen[asked:])


def test_every_stage_has_a_name():
    seen = set()
    rows = np.random.default_rng(0).normal(size=(30_000, 2))
    result = mixtura.fit(rows, 2, "full", criterion="cv", random_state=0, progress=lambda told: seen.add(told.stage))
    result.merge(rows, progress=lambda told: seen.add(told.stage))
    assert {"race", "climb", "folds", "merge"} <= seen
    assert seen <= set(progress._STAGES)


def test_who_is_asked():
    heard = []
    with watched(heard.append) as found:
        assert found == heard.append
    with watched(False) as found:
        assert found is None
    with watched(None) as found:  # nobody is looking: a script, or this test
        assert found is None
    with watched(True) as found:
        assert isinstance(found, Patient)


def test_a_terminal_bar_leaves_no_trace(monkeypatch):
    stream = io.StringIO()
    real = rich.console.Console
    monkeypatch.setattr(rich.console, "Console", lambda **_: real(file=stream, force_terminal=True, width=80))
    bar = TerminalBar()
    bar.show(Seen("Climbing", 3, 12, "3 of 12 arrived, pass 4, 0:02"))
    bar.close()
    written = stream.getvalue()
    assert "3 of 12 arrived, pass 4, 0:02" in written
    assert written.endswith("\x1b[2K")  # its line is empty again
    lines = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", written).replace("\r", "\n").split("\n")
    assert max(map(len, lines)) <= 80


def test_in_a_notebook():
    """A cell of a real shell of IPython, whose output is a bar of HTML that is gone at the end."""
    testing = pytest.importorskip("IPython.utils.capture")
    from IPython.core.interactiveshell import InteractiveShell

    InteractiveShell.instance()
    try:
        with testing.capture_output() as captured:
            bar = NotebookBar()
            bar.show(Seen("Racing <starts>", 3, 12, "3 of 12 arrived, pass 4, 0:02"))
            bar.close()
        pages = [output.data["text/html"] for output in captured.outputs]
        assert pages[0] == pages[-1] == ""
        assert '<progress value="3" max="12"></progress> Racing &lt;starts&gt;: 3 of 12 arrived' in pages[1]
        assert progress._notebook() is False  # a shell without a kernel: a terminal
    finally:
        InteractiveShell.clear_instance()


def test_importing_it_is_cheap():
    import subprocess

    code = "import mixtura.progress, sys; print(sorted({'rich', 'IPython', 'jinja2', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
