"""The bounded log of a run."""

from pathlib import Path

from worker.runs.log import RunLog


def test_what_is_written_is_there_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    with RunLog(path) as run_log:
        run_log.write(b"half a li")
        assert path.read_bytes() == b"half a li"


def test_the_log_is_cut_at_its_bound_with_one_mark_and_the_newest_lines_stay_known(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    with RunLog(path, max_bytes=50) as run_log:
        for number in range(100):
            run_log.write(f"line {number}\n".encode())
        assert run_log.get_last_lines(2) == ["line 98", "line 99"]
    content = path.read_text()
    assert content.startswith("line 0\nline 1\n")
    assert content.count("cut here") == 1
    assert len(content) < 200


def test_the_heading_is_in_the_file_and_is_no_last_line(tmp_path: Path) -> None:
    with RunLog(tmp_path / "log.txt") as run_log:
        run_log.write_heading("[job_1]")
        run_log.write(b"a fault\n")
        assert run_log.get_last_lines() == ["a fault"]
    assert (tmp_path / "log.txt").read_text() == "[job_1]\na fault\n"


def test_a_second_opening_keeps_the_bound(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    for _ in range(2):
        with RunLog(path, max_bytes=10) as run_log:
            run_log.write(b"123456")
    assert path.read_bytes().startswith(b"1234561234\n[cut")


def test_last_lines_show_a_progress_bar_once_and_no_blanks(tmp_path: Path) -> None:
    with RunLog(tmp_path / "log.txt") as run_log:
        run_log.write(b"start\n\n 10%\r 50%\r100%\r\nodd \xff\x00 bytes\nend")
        assert run_log.get_last_lines() == ["start", "100%", "odd \ufffd bytes", "end"]
