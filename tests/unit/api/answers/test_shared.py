"""Answers that many clients request at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.answers.etags import make_tag
from api.answers.shared import KEPT_BYTES, SharedAnswers

THREADS = 8


def test_requests_during_the_making_of_an_answer_get_the_same_answer() -> None:
    answers, calls, begun, go_on = SharedAnswers(), [], threading.Event(), threading.Event()

    def make() -> bytes:
        calls.append(threading.get_ident())
        begun.set()
        assert go_on.wait(10)
        return b"{}"

    with ThreadPoolExecutor(THREADS) as pool:
        found = [pool.submit(answers.get, "key", make) for _ in range(THREADS)]
        assert begun.wait(10)
        go_on.set()
    assert {each.result() for each in found} == {(b"{}", make_tag(b"{}"))}
    assert len(calls) == 1


def test_another_key_does_not_wait() -> None:
    answers, go_on = SharedAnswers(), threading.Event()
    begun = threading.Event()

    def make_slowly() -> bytes:
        begun.set()
        assert go_on.wait(10)
        return b"slow"

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(answers.get, "slow", make_slowly)
        assert begun.wait(10)
        assert answers.get("quick", lambda: b"quick").body == b"quick"
        go_on.set()
        assert slow.result().body == b"slow"


def test_a_failure_is_not_kept() -> None:
    def fail() -> bytes:
        raise OSError("the database is away")

    answers = SharedAnswers()
    with pytest.raises(OSError, match="away"):
        answers.get("key", fail)
    assert answers.get("key", lambda: b"there again").body == b"there again"


def test_what_is_kept_is_bounded() -> None:
    answers = SharedAnswers()
    half = b"x" * (KEPT_BYTES // 2)
    for key in ("first", "second", "third"):
        answers.get(key, lambda: half)
    assert answers.get("third", lambda: b"made again").body == half
    assert answers.get("first", lambda: b"made again").body == b"made again"
    # An answer larger than the whole bound is returned, but not kept.
    large = bytes(KEPT_BYTES + 1)
    assert answers.get("large", lambda: large).body is large
    assert answers.get("large", lambda: b"made again").body == b"made again"
