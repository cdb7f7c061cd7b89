"""`emotune datasets check`: a report as text or as JSON, and an exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from emomodel.data.dataset_report import DatasetReport

LINE = '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "%s"}]%s}\n'
GOOD = LINE % ("<emo joy=0.5>Hurray!</emo>", "")
BAD = LINE % ("Oh <emo jy=1>yes</emo>", ', "id": 1')
HALF_JOY = "joy                       1       0.50  ########################"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(name: str, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["datasets", "check", name, *options], catch_exceptions=False)
    return result.exit_code, result.stdout


def test_a_good_file_is_in_order(folder: Path) -> None:
    (folder / "chats.jsonl").write_text(GOOD)
    exit_code, output = check("chats.jsonl")
    assert exit_code == 0
    lines = output.splitlines()
    assert HALF_JOY in lines
    assert "sadness                   0          -" in lines
    assert any(line.startswith("chats.jsonl: warning: pole_unused: pole sadness never occurs.") for line in lines)
    assert lines[-1] == "chats.jsonl: valid. 1 line, 1 example, 2 messages, 1 reply to learn, 9 characters"


def test_problems_are_printed_as_compilers_do_and_refuse_the_file(folder: Path) -> None:
    (folder / "chats.jsonl").write_text(GOOD + "nonsense\n" + BAD + "{}\n" + GOOD)
    exit_code, output = check("chats.jsonl")
    assert exit_code == 1
    assert output.splitlines()[:6:2] == [
        "chats.jsonl:2:1: json_invalid: not JSON: Expecting value",
        "chats.jsonl:3:4: emotion_unknown: unknown emotion 'jy' (messages[1].content)",
        "chats.jsonl:4: messages_missing: there is no key 'messages' (keys: none)",
    ]
    assert output.splitlines()[3].startswith("    Did you mean 'joy'?")
    assert "chats.jsonl: ignored: the key id, 1 time" in output
    assert "warning: duplicate_line: 1 lines repeat an earlier line (lines 5)." in output
    assert "refused: 3 problems. 5 lines, 2 examples" in output.splitlines()[-1]


def test_what_is_not_listed_is_counted_by_code(folder: Path) -> None:
    (folder / "chats.jsonl").write_text("{}\n" * 90 + "[]\n" * 20)
    # Because of the first line this is no JSON array.
    lines = check("chats.jsonl")[1].splitlines()
    assert lines[200:203] == [
        "... and 10 more problems. By code:",
        "         20  example_not_object",
        "         90  messages_missing",
    ]


def test_json_is_the_report_of_the_api(folder: Path) -> None:
    (folder / "chats.jsonl").write_text(BAD)
    exit_code, output = check("chats.jsonl", "--json")
    assert exit_code == 1
    assert json.loads(output)["problems"][0]["column"] == 4
    assert DatasetReport.model_validate_json(output).problem_counts == {"emotion_unknown": 1}


def test_own_axes_have_poles_of_their_own(folder: Path) -> None:
    (folder / "chats.jsonl").write_text(GOOD.replace("joy", "warm"))
    assert check("chats.jsonl")[0] == 1
    exit_code, output = check("chats.jsonl", "--axes", "COLD_WARM,SHY_BOLD")
    assert exit_code == 0
    assert "warm                      1       0.50" in output


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("chats.json", f"[{GOOD}, {GOOD.replace('Hi', 'Hello')}]"),
        ("chats.csv", "prompt,response\nHi,<emo joy=0.5>Hurray!</emo>\nHello,<emo joy=0.5>Hurray!</emo>\n"),
    ],
)
def test_other_formats_get_the_same_report(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content)
    exit_code, output = check(name)
    assert exit_code == 0
    assert HALF_JOY.replace("1", "2", 1) in output.splitlines()
    assert ", 2 examples, 4 messages, " in output


def test_a_problem_of_another_format_names_its_place(folder: Path) -> None:
    (folder / "chats.csv").write_text("prompt,response\nHi,Hello\nHi,<emo glee>Hello</emo>\n")
    exit_code, output = check("chats.csv")
    assert exit_code == 1
    assert output.startswith("chats.csv:3:1: emotion_unknown: unknown emotion 'glee' (messages[1].content)\n")


def test_checking_needs_no_torch_and_no_service(folder: Path) -> None:
    (folder / "chats.jsonl").write_text(GOOD)
    code = (
        "import sys; from typer.testing import CliRunner; from cli.main import app\n"
        "result = CliRunner().invoke(app, ['datasets', 'check', 'chats.jsonl'])\n"
        "print(result.exit_code, {'torch', 'transformers', 'pyarrow', 'sqlalchemy', 'httpx2'} & set(sys.modules))"
    )
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(root)})
    assert result.stdout == "0 set()\n"
