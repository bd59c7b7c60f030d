"""Small mistakes put into the core on purpose: do the tests see them?

    python tests/mutation/mutate.py --count 100 --seed 0 --report survivors.md

Mutants are drawn at random, without repetition, from all spots of ``mixtura.core`` and ``mixtura.covariance`` (see
spots.py); ``--first`` goes on where an earlier run of the same seed ended. Each is written into a copy of the tree, the
tree itself is never touched. There the tests that reach its statement run, until one fails: one case of each test
before the second of any, fastest first, up to ``--budget`` seconds of tests. Which tests reach what, and how long they
take, is measured beforehand on the unchanged copy, where all must pass; with ``--work`` that is kept for the next run.

A mutant is killed by a failing test, or by taking many times the processor time or memory that its tests should take.
Those that survive are listed, with the line, for someone to say why that is right or to write a test.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from reach import PACKAGES
from spots import Spot, spots_of

from mixtura.lazy import cached_property

ROOT = Path(__file__).parents[2]
COPIED = ("src", "tests", "examples", "docs", "CONTRIBUTING.md", "README.md", "conftest.py", "pyproject.toml")
#: What is tested: whatever asks something of the two packages, the quickest first.
TESTS = (
    "tests/core",
    "tests/laws",
    "tests/reference",
    "tests/torture",
    "tests/estimators/test_starts.py",
    "tests/estimators/test_results.py",
    "tests/test_agreement.py",
    "tests/test_choice.py",
    "tests/test_denoise.py",
    "tests/test_diagnosis.py",
    "tests/test_hierarchy.py",
    "tests/test_io.py",
    "tests/test_merging.py",
    "tests/test_new_family.py",
    "tests/test_progress.py",
    "tests/test_resolution.py",
    "tests/test_result.py",
    "tests/test_shown.py",
    "tests/test_start.py",
    "tests/test_wide.py",
    *(f"src/mixtura/{package}" for package in PACKAGES),
)
#: What tests a module besides, and takes long to load or starts processes of its own.
ELSEWHERE = {
    "core/blas.py": ["tests/faults/test_interruptions.py", "tests/faults/test_processes.py"],
    "core/lazy.py": ["tests/sources/test_dask.py"],
}
PYTEST = [
    *("-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-p", "reach"),
    *("--ignore-glob=*/conftest.py", "-k", "not compiled"),
]
MEMORY = 16 << 30
#: A mutant may take this many times the seconds that its tests take, and as many more to start.
PATIENCE, STARTING = 4, 20
#: pytest's exit status where all passed, and where there was no test; others are of a failure or of a broken import.
PASSED, NO_TEST = 0, 5


class Mutant(NamedTuple):
    file: str
    spot: Spot
    source: str

    def __str__(self) -> str:
        after = self.spot.after or "nothing"
        return f"{self.file}:{self.spot.line}: `{self.spot.before}` → `{after}` in `{self.source}`"


class Outcome(NamedTuple):
    name: str
    seconds: float
    tests: int


@dataclass
class Copy:
    """A copy of the tree, in which one spot is changed at a time."""

    root: Path

    @property
    def source(self) -> Path:
        return self.root / "src" / "mixtura"

    def make(self) -> None:
        """Copy the tree, and measure what its tests reach, unless that is done for just this tree."""
        digest = hashlib.sha256()
        for path in sorted(path for name in COPIED[:2] for path in (ROOT / name).rglob("*.py")):
            if path.parent != Path(__file__).parent:
                digest.update(path.read_bytes())
        mark = self.root / "digest"
        if mark.exists() and mark.read_text() == digest.hexdigest():
            return
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.root / name, ignore=shutil.ignore_patterns("__pycache__", "_build"))
            else:
                shutil.copy2(ROOT / name, self.root / name)
        began = time.perf_counter()
        done = self.run(TESTS, {"MIXTURA_REACH": str(self.root / "reach.json"), "PYTHONDONTWRITEBYTECODE": ""})
        if done.returncode != PASSED:
            sys.exit("the tests fail without any change:\n" + done.stdout[-3000:] + done.stderr[-1000:])
        print(f"unchanged, all pass in {time.perf_counter() - began:.0f} s", flush=True)
        mark.write_text(digest.hexdigest())

    def run(self, tests: Any, environment: dict[str, str], cpu: int | None = None) -> subprocess.CompletedProcess[str]:
        """Run tests in the copy, with a limit on processor time, which a busy machine does not touch."""
        listed = self.root / "tests.txt"
        listed.write_text("\n".join(tests))
        paths = os.pathsep.join([str(self.root / "src"), str(Path(__file__).parent)])
        once = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        return subprocess.run(
            [sys.executable, *PYTEST, f"@{listed}"],
            cwd=self.root,
            env={**os.environ, **once, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=3600,
            preexec_fn=None if cpu is None else partial(_limit, cpu),
        )

    @cached_property
    def reach(self) -> dict[str, Any]:
        return json.loads((self.root / "reach.json").read_text())

    def tests_of(self, mutant: Mutant) -> list[str]:
        """The tests that reach a statement; of one that runs on import, those that reach what uses its names."""
        spot, reached = mutant.spot, set()
        if spot.names is None:
            lines = self.reach["lines"].get(mutant.file, {})
            for line in range(spot.first, spot.last + 1):
                reached.update(lines.get(str(line), ()))
        else:
            for file, lines in self.reach["lines"].items():
                text = (ROOT / "src" / "mixtura" / file).read_text().splitlines()
                for line, tests in lines.items():
                    if any(name in text[int(line) - 1] for name in spot.names) or (
                        not spot.names and file == mutant.file
                    ):
                        reached.update(tests)
        return sorted(reached & self.reach["seconds"].keys(), key=self.reach["seconds"].__getitem__)

    def within(self, tests: list[str], budget: float) -> tuple[list[str], float]:
        """One case of each test, then the second of each, and so on, as long as the seconds last."""
        cases: Counter[str] = Counter()
        ranked: list[tuple[int, float, str]] = []
        for test in tests:
            function = test.split("[")[0]
            ranked.append((cases[function], self.reach["seconds"][test], test))
            cases[function] += 1
        taken, spent = [], 0.0
        for _, seconds, test in sorted(ranked):
            if spent + seconds <= budget:
                taken.append(test)
                spent += seconds
        return taken, spent

    def outcome(self, mutant: Mutant, budget: float, control: bool = False) -> Outcome:
        began = time.perf_counter()
        tests, seconds = self.within(self.tests_of(mutant), budget)
        tests += ELSEWHERE.get(mutant.file, [])
        if not tests:
            return Outcome("survived", 0.0, 0)
        path = self.source / mutant.file
        text, times = path.read_bytes(), path.stat()
        for compiled in (path.parent / "__pycache__").glob(path.stem + ".*"):
            compiled.unlink()
        try:
            path.write_bytes(text if control else mutant.spot.applied(text))
            done = self.run(tests, {}, int(STARTING + PATIENCE * max(seconds, budget)))
        finally:
            path.write_bytes(text)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        return Outcome(_name(done), time.perf_counter() - began, len(tests))


def _name(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return "timed out"
    if done.returncode == NO_TEST:
        raise RuntimeError(f"no test ran:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return "survived" if done.returncode == PASSED else "killed"


def _limit(cpu: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def mutants(files: list[str] | None = None) -> list[Mutant]:
    """All of them, in the order of the files."""
    found = []
    package = ROOT / "src" / "mixtura"
    for path in sorted(path for name in PACKAGES for path in (package / name).glob("*.py")):
        file = path.relative_to(package).as_posix()
        if files is None or file in files:
            text = path.read_bytes()
            lines = text.decode().splitlines()
            found += [Mutant(file, spot, lines[spot.line - 1].strip()) for spot in spots_of(text)]
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="how many mutants to try")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    parser.add_argument("--seed", type=int, default=0, help="of the order in which they are drawn")
    parser.add_argument("--files", nargs="+", help="only those of these files, e.g. core/em.py")
    parser.add_argument("--only", type=int, nargs="+", help="the mutants of these numbers")
    parser.add_argument("--budget", type=float, default=30.0, help="seconds of tests for each mutant")
    parser.add_argument("--control", action="store_true", help="change nothing: then all must survive")
    parser.add_argument("--work", type=Path, help="where the copy is kept; by default it is temporary")
    parser.add_argument("--report", type=Path, help="a file for the list of survivors")
    asked = parser.parse_args(arguments)
    drawn = mutants(asked.files)
    random.Random(asked.seed).shuffle(drawn)
    numbers = asked.only or range(asked.first, min(asked.first + asked.count, len(drawn)))
    with tempfile.TemporaryDirectory() as scratch:
        copy = Copy((asked.work or Path(scratch) / "copy").absolute())
        copy.make()
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        survivors = []
        for number in numbers:
            mutant = drawn[number]
            outcome = copy.outcome(mutant, asked.budget, asked.control)
            counts[mutant.file][outcome.name] += 1
            if outcome.name == "survived":
                survivors.append(f"- {number}: {mutant} ({outcome.tests} tests)")
            print(
                f"{number}: {outcome.name} after {outcome.seconds:.1f} s of {outcome.tests} tests: {mutant}", flush=True
            )
    lines = [f"{len(numbers):,} of {len(drawn):,} mutants, seed {asked.seed}", ""]
    for file, of_file in sorted(counts.items()):
        lines.append(f"{file}: " + ", ".join(f"{count} {name}" for name, count in sorted(of_file.items())))
    total = sum(counts.values(), Counter())
    lines += ["all: " + ", ".join(f"{count} {name}" for name, count in sorted(total.items())), "", *survivors]
    print("\n".join(["", *lines]))
    if asked.report is not None:
        asked.report.write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
