"""A run's threads say whose run it is."""

import structlog

from worker.threads import make_thread


def test_a_threads_lines_carry_what_was_bound_where_it_was_made() -> None:
    log = structlog.get_logger()
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as entries:
        with structlog.contextvars.bound_contextvars(job_id="job_1"):
            thread = make_thread(log.info, name="reader", args=["run_log_ends"])
        thread.start()
        thread.join()
    assert [(entry["event"], entry["job_id"]) for entry in entries] == [("run_log_ends", "job_1")]
