"""Shared answers: what many callers ask for at the same time is made once, and reused for a moment."""

import threading
from collections.abc import Callable, Hashable
from typing import NamedTuple

from cachetools import TTLCache, cachedmethod

from api.answers.etags import make_tag
from jobs.settings import MIB

# How long an answer is reused while its key stays the same. Running jobs write their progress about once a second
# (EMOTUNE_HEARTBEAT_SECONDS), so the numbers are hardly older than without sharing.
KEPT_SECONDS = 1.0
KEPT_BYTES = 16 * MIB


class SharedAnswer(NamedTuple):
    """The JSON, and its tag (api/answers/etags.py)."""

    body: bytes
    tag: str


def _get_key(_answers: "SharedAnswers", key: Hashable, _make: Callable[[], bytes]) -> Hashable:
    return key


class SharedAnswers:
    """The shared answers of one process. Safe for threads: a caller waits for what another thread is making."""

    def __init__(self) -> None:
        self._answers: TTLCache[Hashable, SharedAnswer] = TTLCache(
            KEPT_BYTES, KEPT_SECONDS, getsizeof=lambda answer: len(answer.body)
        )
        self._condition = threading.Condition()

    @cachedmethod(lambda self: self._answers, key=_get_key, condition=lambda self: self._condition)
    def get(self, key: Hashable, make: Callable[[], bytes]) -> SharedAnswer:  # noqa: ARG002  the cache takes the key
        """Return the kept answer for the key, or make it. The key holds all that the answer depends on, also the team.

        Raises what `make` raises; a thread that waited for it then makes the answer itself.
        """
        body = make()
        return SharedAnswer(body, make_tag(body))
