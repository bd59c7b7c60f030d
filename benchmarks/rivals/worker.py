"""One library on one case, in a process of its own, told what to do line by line.

    python -m benchmarks.rivals.worker ADAPTER                       prints the library's version
    python -m benchmarks.rivals.worker ADAPTER FAMILY N D K DTYPE    serves

A line of standard input is JSON: {"iterations": n, "peak": bool, "save": path or null}. The answer, a line too, has
the seconds that the call took, and MiB of peak memory when asked for.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any, TextIO

import numpy as np

from benchmarks.cases import Case, Parameters, load
from benchmarks.measure import peak_above, seconds


def _private_output() -> TextIO:
    """The standard output, which from here on goes to the standard error: libraries print to it."""
    mine = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return mine


def main() -> None:
    """Serve one library; see the head of this module."""
    answers = _private_output()

    def say(**message: Any) -> None:
        answers.write(json.dumps(message) + "\n")

    name, *what = sys.argv[1:]
    try:
        adapter = importlib.import_module(f"benchmarks.rivals.adapters.{name}")
    except (ImportError, OSError) as error:
        say(missing=str(error))
        return
    if not what:
        say(version=adapter.VERSION)
        _leave(answers)
    family, *sizes, dtype = what
    rows, start = load(Case(family, *map(int, sizes)), dtype)
    data = adapter.prepare(rows, start) if hasattr(adapter, "prepare") else rows
    processes = adapter.processes() if hasattr(adapter, "processes") else []
    say(version=adapter.VERSION, processes=[os.getpid(), *processes])
    for line in sys.stdin:
        order = json.loads(line)
        found: list[Parameters] = []

        def call(iterations: int = order["iterations"], found: list[Parameters] = found) -> float:
            return seconds(lambda: found.append(adapter.fit(data, start, iterations)))

        peak, taken = peak_above(call, processes) if order["peak"] else (None, call())
        if order["save"]:
            np.savez(order["save"], **dict(zip(Parameters._fields[:3], found[0][:3], strict=True)))
        say(seconds=taken, peak=peak)
    _leave(answers)


def _leave(answers: TextIO) -> None:
    """End at once: some libraries hang or complain when they are taken down."""
    answers.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
