"""Write dashboard/package-lock.json anew from package.json, without addresses: npm gets the packages from its registry.

python -m scripts.lock_dashboard
"""

import json
import subprocess
import sys
from typing import Any

from scripts.build_dashboard import NODE_PACKAGE, SOURCE, find_node

LOCK = SOURCE / "package-lock.json"
# What npm notes of each package and nobody needs to install it: where it came from, and who takes money for it.
ADDRESSES = ("resolved", "funding")


def clean(lock: dict[str, Any]) -> dict[str, Any]:
    """The lock with versions and hashes alone."""
    packages = {
        path: {name: value for name, value in package.items() if name not in ADDRESSES}
        for path, package in lock["packages"].items()
    }
    return lock | {"packages": packages}


def main() -> None:
    node = find_node()
    if node is None:
        sys.exit(f"no Node.js that is new enough; pip install {NODE_PACKAGE}")
    try:
        node.run("install", "--package-lock-only", "--loglevel", "error")
    except subprocess.CalledProcessError:
        sys.exit("the lock isn't written; what npm said is above")
    LOCK.write_text(json.dumps(clean(json.loads(LOCK.read_text())), indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
