"""A plugin of pytest: no compiled kernels, which take longer to load than most tests to run, and what tests reach.

Where MIXTURA_REACH names a file, each test's seconds and the lines of the two packages that it ran are written there.
"""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import pytest

import mixtura
from mixtura import kernels

PACKAGES = ("core", "covariance")


class Reach:
    def __init__(self, path: Path) -> None:
        import coverage

        self.path = path
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.source = Path(mixtura.__file__).parent
        self.coverage = coverage.Coverage(
            None, config_file=False, include=[str(self.source / name / "*") for name in PACKAGES]
        )

    def pytest_sessionstart(self) -> None:
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.coverage.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        data = self.coverage.get_data()
        lines: dict[str, dict[int, list[str]]] = {}
        for name in data.measured_files():
            file = Path(name).relative_to(self.source).as_posix()
            lines[file] = data.contexts_by_lineno(name)
        self.path.write_text(json.dumps({"seconds": self.seconds, "lines": lines}))


def pytest_configure(config: pytest.Config) -> None:
    kernels.COMPILED_FROM = math.inf
    if path := os.environ.get("MIXTURA_REACH"):
        config.pluginmanager.register(Reach(Path(path)))
