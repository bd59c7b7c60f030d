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

before = {name: bits(fit().model) for name, fit in FITS.items()}  # and everything is loaded
"""


def test_a_fit_that_needs_more_than_there_is():
    code = f"""{LIMITED}
rows = two_groups(300_000, 20)
failed = 0
for spare in (1 << 20, 4 << 20, 16 << 20, 64 << 20):
    limit(spare)
    try:
        GaussianMixture(8, n_threads=3, max_iter=3, random_state=0).fit(rows)
    except MemoryError:
        failed += 1
    limit(0)
assert failed >= 2, failed
gc.collect()
after = {{name: bits(fit().model) for name, fit in FITS.items()}}
assert after == before
print("went on")
"""
    done = in_a_process(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "went on\n"


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
    assert done.stderr.count("\\n") == 1
    assert not (tmp_path / "out").exists()
