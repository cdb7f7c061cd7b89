"""Makes the files that an installation in containers needs: passwords, and .env. Existing files are kept.

python scripts/make_secrets.py [--owner UID:GID]

Run by the machine's Python. The containers run as the owner, so the files are for that account alone.
"""

import argparse
import os
import re
import secrets
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("database_password", "redis_password", "grafana_password")
PASSWORD_BYTES = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--owner", metavar="UID:GID", help="the account of the containers; default: the one that runs this"
    )
    parser.add_argument("--folder", type=Path, default=ROOT, help="where .env and secrets/ go; default: here")
    arguments = parser.parse_args()
    try:
        owner = parse_owner(arguments.owner)
        for line in make_secrets(arguments.folder, owner):
            print(line)
    except (OSError, ValueError) as error:
        sys.exit(f"make_secrets: {error}")


def parse_owner(text: str | None) -> tuple[int, int]:
    """Parse UID:GID. Raises ValueError for other texts, and for root, as which nothing has to run."""
    match = re.fullmatch(r"(\d+):(\d+)", f"{os.getuid()}:{os.getgid()}" if text is None else text)
    if match is None:
        raise ValueError(f"{text!r} is not of the form UID:GID, such as 1500:1500")
    owner = int(match[1]), int(match[2])
    if owner[0] == 0:
        raise ValueError(
            "the containers don't run as root; name an account with --owner UID:GID (make secrets OWNER=...)"
        )
    return owner


def make_secrets(folder: Path, owner: tuple[int, int]) -> list[str]:
    """Make the missing files; returns a line for each file that was made or kept. Raises OSError."""
    done = []
    secrets_folder = folder / "secrets"
    secrets_folder.mkdir(mode=0o700, exist_ok=True)
    _give(secrets_folder, owner)
    for name in NAMES:
        path = secrets_folder / name
        done.append(_write_new(path, secrets.token_urlsafe(PASSWORD_BYTES) + "\n", owner))
    filled = {"INSTALL_UID": str(owner[0]), "INSTALL_GID": str(owner[1]), "EMOTUNE_HOST_NAME": socket.gethostname()}
    text = (ROOT / ".env.example").read_text()
    for name, value in filled.items():
        text = re.sub(rf"^{name}=$", f"{name}={value}", text, flags=re.MULTILINE)
    done.append(_write_new(folder / ".env", text, None))
    return done


def _write_new(path: Path, text: str, owner: tuple[int, int] | None) -> str:
    """Write a file unless it exists: a password is never replaced, as the database was made with it."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return f"kept {path}"
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    if owner is not None:
        _give(path, owner)
    return f"made {path}"


def _give(path: Path, owner: tuple[int, int]) -> None:
    if (path.stat().st_uid, path.stat().st_gid) != owner:
        os.chown(path, *owner)


if __name__ == "__main__":
    main()
