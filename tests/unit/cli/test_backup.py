"""The output of `emotune backup`, `emotune restore` and `emotune garbage`."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from cli.backup import check_backup, run_backup
from cli.garbage import run_garbage
from cli.restore import run_restore
from jobs.files.storage import Storage
from jobs.files.stored_files import list_files, write_file
from jobs.models import Dataset
from jobs.settings import Settings
from tests.unit.conftest import TestTeam


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    config = structlog.get_config()
    yield
    structlog.configure(**config)


def test_a_backup_is_made_checked_and_restored(
    settings: Settings, team: TestTeam, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.tar"
    run_backup(settings, path, with_files=True)
    made = capsys.readouterr()
    assert made.out.startswith(f"{path}: 3 rows of ")
    assert "0 files of 0.0 MiB, made 20" in made.out
    assert made.err == f"warning: datasets/{dataset.id}.jsonl is named by a row but was not in the storage\n"
    check_backup(path)
    assert capsys.readouterr().out == made.out.replace(f"{path}: ", f"{path}: complete; ")
    elsewhere = Settings.model_validate(settings.model_dump() | {"data_dir": tmp_path / "elsewhere"})
    run_restore(elsewhere, path, with_digests=False)
    restored = capsys.readouterr()
    assert restored.out == made.out.replace(f"{path}: ", "restored ")
    assert restored.err == made.err


def test_garbage_is_shown_and_stays_until_it_is_to_be_deleted(
    settings: Settings, team: TestTeam, capsys: pytest.CaptureFixture[str]
) -> None:
    run_garbage(settings, delete=False, as_json=False)
    assert capsys.readouterr().out == "nothing to delete\n"
    storage = Storage(settings.data_dir)
    key = "uploads/up_00000000000000000000000000/1"
    write_file(storage, key, [b"part"])
    run_garbage(settings, delete=False, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert (shown["is_deleted"], shown["size_bytes"]) == (False, 4)
    assert shown["deletions"][0]["rule"] == "upload_not_needed"
    assert [file.key for file in list_files(storage)] == [key]
    run_garbage(settings, delete=True, as_json=False)
    assert capsys.readouterr().out.splitlines()[-1] == "deleted: 0.0 MiB"
    assert list(list_files(storage)) == []
