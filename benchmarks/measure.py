"""Clocks, memory gauges, and the environment to measure in."""

from __future__ import annotations

import ctypes
import gc
import os
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

#: Settings of the environment that would hold a library back, or tell it what processor this is.
SETTINGS = (
    "BLIS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "OPENBLAS_NUM_THREADS",
)


def clean_environment() -> dict[str, str]:
    """The environment without such settings: every library chooses its threads and kernels itself."""
    return {name: value for name, value in os.environ.items() if name not in SETTINGS}


def restart_clean(module: str) -> None:
    """Run the calling command again in a clean environment, unless it is in one: BLAS reads it when it is loaded."""
    import sys

    if any(name in os.environ for name in SETTINGS):
        os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], clean_environment())  # noqa: S606


def seconds(function: Callable[[], Any]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def counts(one: float, budget: float = 0.4) -> tuple[int, int]:
    """Two numbers of iterations, the second so many more that the difference fills the budget, if ``one`` is a second.

    The difference in time over the difference in iterations is the time of one iteration: what a call does before
    and after them cancels.
    """
    more = max(1, min(50, round(budget / max(one, 1e-9))))
    few = max(1, min(5, more // 2))
    return few, few + more


def slope(run: Callable[[int], Any], few: int, many: int) -> float:
    """Seconds an iteration: see ``counts``."""
    base = seconds(lambda: run(few))
    return (seconds(lambda: run(many)) - base) / (many - few)


def alternate(runs: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Figures of several contestants who take turns, so that what disturbs the machine disturbs all of them."""
    figures: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats):
        for name in list(runs)[:: -1 if turn % 2 else 1]:
            figures[name].append(runs[name]())
    return figures


def ratio(numerators: Iterable[float], denominators: Iterable[float]) -> float:
    """The median of the ratios of figures that were taken side by side."""
    return median(a / b for a, b in zip(numerators, denominators, strict=True))


def resident(processes: Iterable[int] = (), key: str = "VmRSS") -> float:
    """MiB of memory that this process and others hold; with "VmHWM", the most since ``reset_peak``."""
    total = 0
    for process in (os.getpid(), *processes):
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
        total += next(int(line.split()[1]) for line in status.splitlines() if line.startswith(key))
    return total / 1024


def reset_peak(processes: Iterable[int] = ()) -> None:
    """Let the peak of these processes start from what they hold now."""
    for process in (os.getpid(), *processes):
        Path(f"/proc/{process}/clear_refs").write_text("5", encoding="ascii")


def peak_above(function: Callable[[], Any], processes: Iterable[int] = ()) -> tuple[float, Any]:
    """MiB that a call held at its peak beyond what was held before it, and what it returned (Linux)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc keeps what was freed; give it back first
    if trim is not None:
        trim(0)
    others = list(processes)
    before = resident(others)
    reset_peak(others)
    returned = function()
    return max(0.0, resident(others, "VmHWM") - before), returned


def busy() -> float:
    """Seconds of processor time that the machine has spent so far, all cores and all programs (Linux)."""
    fields = [int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    return (sum(fields[:3]) + sum(fields[5:8])) / os.sysconf("SC_CLK_TCK")


def spent(process: int) -> float:
    """Seconds of processor time that a process has spent so far (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:13]) / os.sysconf("SC_CLK_TCK")


def machine() -> str:
    """The processor and how many of its cores this process may use."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    model = next((line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), "unknown")
    flags = next((line for line in info.splitlines() if line.startswith("flags")), "")
    return f"{processors()} cores of an {model}{' (AVX-512)' if 'avx512f' in flags else ''}"


def processors() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def today() -> str:
    """The date, for a report."""
    return datetime.now(UTC).strftime("%Y-%m-%d")
