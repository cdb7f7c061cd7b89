"""`emotune datasets convert`: both directions, on real files, and no half-written target."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "samples" / "chats.jsonl"


def convert(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", "datasets", "convert", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_a_dataset_goes_through_every_format_and_comes_back_in_its_normal_form(tmp_path: Path) -> None:
    path, normal = SAMPLES, tmp_path / "normal.jsonl"
    assert convert(SAMPLES, normal).returncode == 0
    for name in ("a.csv", "b.parquet", "c.json", "d.jsonl"):
        run = convert(path, tmp_path / name)
        assert (run.returncode, run.stderr) == (0, "")
        path = tmp_path / name
    assert path.read_bytes() == normal.read_bytes()
    assert len(normal.read_bytes().splitlines()) == len(SAMPLES.read_bytes().splitlines())


def test_labels_are_mapped_and_flat_rows_get_columns(tmp_path: Path) -> None:
    source, target = tmp_path / "labels.tsv", tmp_path / "chats.parquet"
    source.write_text("text\tlabels\nHurray!\t17\nHm.\tneutral\n")
    run = convert(source, target, "--mapping", "goemotions")
    assert run.stdout == f"{target}: 2 examples\n"
    table = pq.read_table(target)
    assert table["response"].to_pylist() == ["Hurray!", "Hm."]
    assert table["sadness_joy"].to_pylist() == [0.9, None]


def test_a_mapping_may_stand_in_a_file(tmp_path: Path) -> None:
    source, mapping, target = tmp_path / "a.csv", tmp_path / "mapping.json", tmp_path / "b.jsonl"
    source.write_text("text,label\nHurray!,glad\n")
    mapping.write_text(json.dumps({"labels": {"glad": {"warm": 1}}}))
    assert convert(source, target, "--mapping", f"@{mapping}", "--axes", "COLD_WARM,SHY_BOLD").returncode == 0
    assert json.loads(target.read_text())["messages"][1]["emotion"] == {"warm": 1.0}


def test_bad_input_is_refused_with_its_problems_and_the_target_stays(tmp_path: Path) -> None:
    source, target = tmp_path / "a.csv", tmp_path / "b.jsonl"
    source.write_text("prompt,response,joy\na,b,2\nc,d,much\n")
    target.write_text("what was there")
    run = convert(source, target)
    assert run.returncode == 1
    assert f"{source} has 2 problems:\nline 2, messages[1].emotion: joy=2" in run.stderr
    assert "line 3" in run.stderr
    assert target.read_text() == "what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["out.xml"], "has to end in .jsonl, .json, .csv, .parquet"),
        (["out.csv", "--mapping", "emotions"], "known presets are goemotions"),
        (["out.csv", "--mapping", "@nowhere.json"], "can't be read"),
        (["out.csv", "--axes", "JOY"], "the axes can't be used"),
    ],
)
def test_wrong_arguments_are_explained(tmp_path: Path, arguments: list[str], words: str) -> None:
    run = convert(SAMPLES, tmp_path / arguments[0], *arguments[1:])
    assert run.returncode == 1
    assert words in run.stderr
    assert "Traceback" not in run.stderr
