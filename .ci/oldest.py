"""Prints a constraint for each dependency: the oldest release that pyproject.toml allows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
for requirement in project["dependencies"]:
    name, least = re.match(r"([\w-]+)>=([\d.]+)", requirement).groups()
    print(f"{name}=={least}")
