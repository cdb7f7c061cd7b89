"""Ports of this machine on which no process listens."""

import socket


def find_free_port() -> int:
    """A port that is free now; another process may take it meanwhile."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
