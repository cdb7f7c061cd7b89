from jobs.posting.estimates import describe_error


def test_the_error_of_an_estimate_is_described_in_words() -> None:
    record = {"train_seconds": 120.0, "peak_memory_bytes": 3 * 2**30}
    assert describe_error(record, train_seconds=100.0, peak_memory_bytes=4 * 2**30) == (
        " 120 s were estimated (+20 %), and 3.0 GiB of memory (-25 %)."
    )
    without_memory = {"train_seconds": 50.0, "peak_memory_bytes": None}
    assert describe_error(without_memory, train_seconds=100.0, peak_memory_bytes=1) == " 50 s were estimated (-50 %)."
    assert describe_error(None, train_seconds=1.0, peak_memory_bytes=1) == ""
