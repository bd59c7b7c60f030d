"""The table of hard inputs on the page of reliability: ``python tests/torture/table.py`` writes it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cases import CASES, EVERYDAY, Case

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- table of hard inputs -->\n", "<!-- end of the table -->\n"


def row(case: Case, outcome: str) -> str:
    """The line of a case."""
    cells = (case.input, case.elsewhere or "–", outcome)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def table() -> str:
    """Every case, carried out."""
    lines = ["| input | scikit-learn 1.9.1 | Mixtura |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        lines += [row(case, case.run(EVERYDAY)) for case in CASES]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")
