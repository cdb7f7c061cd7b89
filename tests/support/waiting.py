"""Waiting for what another thread or process does."""

import time
from collections.abc import Callable

WAIT_SECONDS = 20.0
POLL_SECONDS = 0.02


def wait_for(condition: Callable[[], bool]) -> None:
    """Returns when the condition holds. Fails the test when it doesn't within WAIT_SECONDS."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(POLL_SECONDS)
