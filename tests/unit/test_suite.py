"""How the test suite itself is set up: whose warnings are errors, and which plugins it goes without."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Python warns when it compiles these, and names the file.
DOUBTFUL = ('PATTERN = "\\d"', "IS_ONE = 1 is 1")


@pytest.mark.parametrize("source", DOUBTFUL)
@pytest.mark.parametrize("path", ["emomodel/config.py", "tests/gpu/conftest.py", "benchmarks/poll.py"])
def test_doubtful_source_of_ours_is_an_error(path: str, source: str) -> None:
    with pytest.raises(SyntaxError, match=r"invalid escape sequence|with a.* literal"):
        compile(source, str(ROOT / path), "exec")


@pytest.mark.parametrize("source", DOUBTFUL)
@pytest.mark.parametrize(
    "path",
    [
        "/usr/lib/python3/dist-packages/torchao/a.py",
        "/opt/site/unsloth/a.py",
        f"{ROOT}/.venv/lib/python3.12/site-packages/torchao/a.py",
        f"{ROOT}-other/emomodel/config.py",
    ],
)
def test_doubtful_source_of_an_installed_package_is_no_error(path: str, source: str) -> None:
    compile(source, path, "exec")


def test_pytest_benchmark_is_left_out_wherever_it_is_installed(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.is_blocked("benchmark")
