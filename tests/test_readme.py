"""The README's promises: its commands are those that CI runs, its links lead somewhere."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Lines of the README's shell blocks."""
    blocks = re.findall(r"^```bash\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_the_readme_opens_with_the_two_commands():
    fit, test = commands()[:2]
    assert fit.endswith(".venv/bin/mixtura fit examples/faithful.csv")
    assert test.endswith(".venv/bin/python -m pytest")


def test_ci_runs_the_readmes_test_command():
    assert commands()[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_local_links_exist():
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
