"""Compares what is installed beside this library with known vulnerabilities, and checks the bill of materials.

    python .ci/audit.py SITE_PACKAGES BILL

Exits with 1 if a dependency has a vulnerability that is known, or the bill does not name what pyproject.toml asks for.
Where no advisory service is within reach, it says so and goes on: whether a change is good cannot hang on that.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

#: Vulnerabilities that do not concern us, each with the reason.
IGNORED: dict[str, str] = {}

site_packages, bill = sys.argv[1:]

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
needed = {re.match(r"[\w-]+", requirement)[0] for requirement in project["dependencies"]} | {"mixtura"}
told = json.loads(Path(bill).read_text())
parts = [*told["components"], told["metadata"].get("component", {"name": ""})]  # the last is the library itself
named = {part["name"].lower().replace("_", "-") for part in parts}
if not needed <= named:
    sys.exit(f"The bill of materials does not name {', '.join(sorted(needed - named))}.")
print(f"The bill of materials names {len(named)} parts.")

ignored = [word for name in IGNORED for word in ("--ignore-vuln", name)]
command = ["pip_audit", "--path", site_packages, "--format", "json", "--progress-spinner", "off", "--timeout", "20"]
audit = subprocess.run([sys.executable, "-m", *command, *ignored], capture_output=True, text=True, check=False)
try:
    found = json.loads(audit.stdout)["dependencies"]
except ValueError:  # it ended before it had an answer
    found = []
audited = [each for each in found if "vulns" in each and each["name"] != "mixtura"]
if not audited:
    print("No advisory service is within reach: nothing was compared with known vulnerabilities.")
    sys.exit(0)
bad = [(each["name"], each["version"], vulnerability) for each in audited for vulnerability in each["vulns"]]
for name, version, vulnerability in bad:
    print(f"{name} {version}: {vulnerability['id']}, put right in {vulnerability['fix_versions'] or 'no release yet'}")
print(f"{len(audited)} dependencies compared with known vulnerabilities: {len(bad)} found.")
sys.exit(1 if bad else 0)
