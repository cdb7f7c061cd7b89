"""Rewrites dashboard/package-lock.json from package.json, without addresses: npm uses its registry for all packages.

python -m scripts.lock_dashboard
"""

import json
import subprocess
import sys
from typing import Any

from scripts.build_dashboard import NODE_PACKAGE, SOURCE, find_node

LOCK = SOURCE / "package-lock.json"
# What npm records of each package and an installation doesn't need: its address, and its funding.
ADDRESSES = ("resolved", "funding")


def clean(lock: dict[str, Any]) -> dict[str, Any]:
    """Return the lock with versions and hashes only."""
    packages = {
        path: {name: value for name, value in package.items() if name not in ADDRESSES}
        for path, package in lock["packages"].items()
    }
    return lock | {"packages": packages}


def main() -> None:
    node = find_node()
    if node is None:
        sys.exit(f"there is no Node.js that is new enough; pip install {NODE_PACKAGE}")
    try:
        node.run("install", "--package-lock-only", "--loglevel", "error")
    except subprocess.CalledProcessError:
        sys.exit("the lock isn't written; npm's output is above")
    LOCK.write_text(json.dumps(clean(json.loads(LOCK.read_text())), indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
