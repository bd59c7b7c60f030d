"""Too little memory: an error that says so, and a process that goes on."""

from __future__ import annotations

import sys

import pytest
from fault_cases import in_a_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a limit to memory that holds")

LIMITED = """
import gc, resource, sys
import numpy as np
import mixtura
from mixtura import GaussianMixture
from fault_cases import FITS, bits, two_groups

def limit(spare):
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + spare if spare else -1, -1))

before = {name: bits(fit().model) for name, fit in FITS.items()}
FITS["threads"]().model.predict(two_groups(80_000, 5))  # everything is loaded and compiled
"""


@pytest.mark.slow
def test_more_than_there_is():
    code = f"""{LIMITED}
from mixtura.sources.memory import Memory
rows = two_groups(400_000, 5)
whole = (100 * rows).astype(np.int32)
model = FITS["threads"]().model
source = Memory(rows, n_threads=3)

def large(block):
    return float(np.ones((len(block.rows), 2000)).sum())  # a block of hundreds of MB

calls = {{
    "a table to convert": lambda: mixtura.fit(whole, 2, "full"),
    "an estimator's table": lambda: GaussianMixture(2).fit(whole),
    "an answer": lambda: model.responsibilities(rows),
    "in threads": lambda: source.total(large),
}}
for name, call in calls.items():
    limit(4 << 20)
    try:
        call()
    except MemoryError:
        print(name)
    limit(0)
gc.collect()
after = {{name: bits(fit().model) for name, fit in FITS.items()}}
assert after == before
"""
    done = in_a_process(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["a table to convert", "an estimator's table", "an answer", "in threads"]


@pytest.mark.slow
def test_where_no_further_thread_can_be_started():
    code = f"""{LIMITED}
import threading
threading.stack_size(1 << 46)  # more than any machine has
try:
    threading.Thread(target=print).start()
except RuntimeError:
    pass
else:
    raise SystemExit("threads can still be started")
after = {{name: bits(fit().model) for name, fit in FITS.items()}}
assert after == before
rows = np.ones((70_000, 2))
assert list(mixtura.sources.memory.Memory(rows, n_threads=4).map(lambda block: len(block.rows))) != []
print("went on")
"""
    done = in_a_process(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "went on\n"


def test_the_command(tmp_path):
    code = f"""
import resource, sys
import numpy as np
import mixtura.result, mixtura.sources.files, pyarrow.compute
from mixtura.cli import main
np.save({str(tmp_path / "t.npy")!r}, np.random.default_rng(0).normal(size=(400_000, 10)))
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (80 << 20), -1))
main(["fit", {str(tmp_path / "t.npy")!r}, "--out", {str(tmp_path / "out")!r}])
"""
    done = in_a_process(code)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("Error: not enough memory"), done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
