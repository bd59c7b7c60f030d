"""Every example in the README and in the documentation's pages runs and prints what it says."""

import doctest
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALL = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PAGES = [page for page in ALL if ">>>" in page.read_text(encoding="utf-8")]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
#: A block of a page: its language, or directive in braces, and its text.
BLOCK = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
#: Commands of a page that install, which .ci/run does.
INSTALLS = re.compile(r"pip install |python3 -m venv ")


#: Pages on which all families are tried, which takes seconds.
LONG = {"density.md", "fast.md", "plots.md", "report.md", "index.md", "scale.md"}


def named(pages):
    return [pytest.param(p, id=p.name, marks=pytest.mark.slow if p.name in LONG else ()) for p in pages]


def blocks(page):
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def commands(page):
    """The commands of a page's shell blocks, without what they print, in their order."""
    lines = [
        line.removeprefix("$ ")
        for language, text in blocks(page)
        for line in text.splitlines()
        if language == "bash" or (language == "console" and line.startswith("$ "))
    ]
    return [line for line in lines if not INSTALLS.search(line)]


WITH_COMMANDS = [page for page in ALL if page.name != "cli.md" and commands(page)]  # which has a test of its own


@pytest.mark.parametrize("page", named(PAGES))
def test_page(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    # A fence would be read as expected output; an empty line ends it and keeps line numbers.
    text = re.sub(r"^```.*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    report: list[str] = []
    results = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
    assert results.attempted > 0
    assert results.failed == 0, "".join(report)


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_every_block_is_of_a_kind_that_runs(page):
    for language, text in blocks(page):
        assert language in ("python", "bash", "console") or language.startswith("{"), text
        assert language != "python" or text.lstrip().startswith(">>>"), text


@pytest.mark.skipif(sys.platform == "win32", reason="the pages speak to a Unix shell")
@pytest.mark.parametrize("page", named(WITH_COMMANDS))
def test_commands_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", "examples", ignore=shutil.ignore_patterns("gallery"))
    script = tmp_path / "bin" / "mixtura"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mixtura "$@"\n')
    script.chmod(0o755)
    env = os.environ | {"PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}
    for command in commands(page):
        done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, env=env, check=False, timeout=60)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stderr.decode()}"


def test_the_gallery_is_twelve_examples_of_data_at_hand():
    examples = sorted((ROOT / "examples" / "gallery").glob("*.py"))
    assert len(examples) >= 12
    for example in examples:
        text = example.read_text(encoding="utf-8")
        assert re.match(r'"""\n(.+)\n=+\n', text), example.name
        assert not re.search(r"https?://|fetch_", text), example.name


def test_quickstart_script(capsys):
    runpy.run_path(str(ROOT / "examples" / "quickstart.py"))
    printed = capsys.readouterr().out
    assert "tied" in printed
    assert "expected wait after 2 minutes" in printed
