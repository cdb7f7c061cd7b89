"""The threads of a run carry its names in their log lines, and periodic threads end when they are stopped."""

import threading

import structlog

from tests.support.waiting import WAIT_SECONDS, wait_for
from worker.threads import PeriodicThread, make_thread


def test_a_threads_lines_carry_what_was_bound_where_it_was_made() -> None:
    log = structlog.get_logger()
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as entries:
        with structlog.contextvars.bound_contextvars(job_id="job_1"):
            thread = make_thread(log.info, name="reader", args=["run_log_ends"])
        thread.start()
        thread.join()
    assert [(entry["event"], entry["job_id"]) for entry in entries] == [("run_log_ends", "job_1")]


def test_a_periodic_thread_repeats_its_call_until_it_is_stopped() -> None:
    calls: list[int] = []
    thread = PeriodicThread(lambda: calls.append(1), interval_seconds=0.01, name="ticker")
    thread.start()
    wait_for(lambda: len(calls) > 2)
    thread.stop()
    count = len(calls)
    thread.stop()
    assert len(calls) == count


def test_a_periodic_thread_waits_before_its_first_call_unless_it_begins_at_once() -> None:
    late, early = threading.Event(), threading.Event()
    for called, begins_at_once in ((late, False), (early, True)):
        thread = PeriodicThread(called.set, interval_seconds=3600, name="ticker", begins_at_once=begins_at_once)
        thread.start()
        if begins_at_once:
            assert called.wait(WAIT_SECONDS)
        thread.stop()
    assert not late.is_set()
