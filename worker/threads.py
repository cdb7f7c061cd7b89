"""Threads: their log lines carry what is bound where they were made (the job, the attempt); some repeat a call."""

import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context


def make_thread(target: Callable[..., object], *, name: str, args: Sequence[object] = ()) -> threading.Thread:
    """Make a daemon thread, not started, with the current context variables: a new thread has none by itself."""
    return threading.Thread(target=copy_context().run, args=[target, *args], name=name, daemon=True)


class PeriodicThread:
    """Calls a function every few seconds, in a thread of its own, until it is stopped."""

    def __init__(
        self, work: Callable[[], object], *, interval_seconds: float, name: str, begins_at_once: bool = False
    ) -> None:
        """The first call comes after one interval, or with `begins_at_once` when the thread starts."""
        self._work = work
        self._interval_seconds = interval_seconds
        self._begins_at_once = begins_at_once
        self._closing = threading.Event()
        self._thread = make_thread(self._run, name=name)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Wait for a call that is under way. A second stop does nothing."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        if self._begins_at_once:
            self._work()
        while not self._closing.wait(self._interval_seconds):
            self._work()
