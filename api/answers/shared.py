"""Answers that many ask for at once: made once, and given to all of them for a moment."""

import threading
from collections.abc import Callable, Hashable
from typing import NamedTuple

from cachetools import TTLCache, cachedmethod

from api.answers.etags import make_tag
from jobs.settings import MIB

# For so long an answer is good that nothing has made untrue. Running jobs write how far they are about once a second
# (EMOTUNE_HEARTBEAT_SECONDS), so nobody sees much older numbers than without it.
KEPT_SECONDS = 1.0
KEPT_BYTES = 16 * MIB


class SharedAnswer(NamedTuple):
    """The JSON, and its tag (api/answers/etags.py)."""

    body: bytes
    tag: str


def _get_key(_answers: "SharedAnswers", key: Hashable, _make: Callable[[], bytes]) -> Hashable:
    return key


class SharedAnswers:
    """Of one process. Threads may share it: who asks for what another one is making waits for that."""

    def __init__(self) -> None:
        self._answers: TTLCache[Hashable, SharedAnswer] = TTLCache(
            KEPT_BYTES, KEPT_SECONDS, getsizeof=lambda answer: len(answer.body)
        )
        self._condition = threading.Condition()

    @cachedmethod(lambda self: self._answers, key=_get_key, condition=lambda self: self._condition)
    def get(self, key: Hashable, make: Callable[[], bytes]) -> SharedAnswer:  # noqa: ARG002  the cache takes the key
        """The answer to what the key says. All that decides about the answer is in the key, whose answer it is too.

        Raises what `make` raises; who waits for it then makes it again.
        """
        body = make()
        return SharedAnswer(body, make_tag(body))
