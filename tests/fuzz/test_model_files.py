"""Some hundreds of broken model files every day; see model_files.py for what is asked of each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mixtura


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.parametrize(("count", "seed"), [(400, 1), pytest.param(20_000, 2, marks=pytest.mark.slow)])
def test_broken_files(count, seed):
    script = Path(__file__).with_name("model_files.py")
    done = subprocess.run(
        [sys.executable, str(script), "--count", str(count), "--seed", str(seed)],
        env={**os.environ, "PYTHONPATH": str(Path(mixtura.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = {line.split(": ")[1].split()[0] for line in done.stdout.splitlines()[:-1]}
    assert outcomes == {"refused", "read"}
    assert f"{count:,} files" in done.stdout
