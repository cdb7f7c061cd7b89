"""Threads whose lines in the log carry what is bound where they were made: the job and the attempt."""

import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context


def make_thread(target: Callable[..., object], *, name: str, args: Sequence[object] = ()) -> threading.Thread:
    """A daemon thread, not started. Python gives a new thread an empty context."""
    return threading.Thread(target=copy_context().run, args=[target, *args], name=name, daemon=True)
