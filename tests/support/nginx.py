"""deploy/nginx.conf.template without a container: filled in as the image does it, and moved to this machine."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping

from tests.support.containers import ROOT

TEMPLATE = ROOT / "deploy" / "nginx.conf.template"

# Older ones have no `http2 on;`, and no HTTP/2 without TLS either.
_FIRST_WITH_HTTP2 = (1, 25, 1)
_OF_TLS = re.compile(r"^ *(ssl_|add_header Strict-Transport-Security)[^\n]*\n", re.MULTILINE)


def find_nginx() -> str | None:
    # Debian keeps it where ordinary accounts don't look.
    return shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")


def render_template(variables: Mapping[str, str], moves: Mapping[str, str], *, nginx: str) -> str:
    """Fill in the template's `${PROXY_...}`, and replace the container's paths and addresses by `moves`.

    Raises ValueError for a move that fits nothing, KeyError for a variable that has no value.
    """
    text = re.sub(r"\$\{(PROXY_\w+)\}", lambda match: variables[match[1]], TEMPLATE.read_text())
    for theirs, here in moves.items():
        if theirs not in text:
            raise ValueError(f"{TEMPLATE.name} has no {theirs!r}")
        text = text.replace(theirs, here)
    if get_version(nginx) < _FIRST_WITH_HTTP2:
        text = text.replace("http2 on;", "")
    # Started by root, nginx would run its workers as an account that may not write to the test's folder.
    return f"user root;\n{text}" if os.geteuid() == 0 else text


def without_tls(text: str) -> str:
    """Change the server's port to one without TLS."""
    return _OF_TLS.sub("", re.sub(r"(listen \S+) ssl;", r"\1;", text))


def get_version(nginx: str) -> tuple[int, ...]:
    said = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True).stderr
    return tuple(map(int, re.findall(r"\d+", said)[:3]))
