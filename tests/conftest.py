"""What holds for all tests: which run where, that none is skipped in CI, and whose warnings are errors."""

import os
import re
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.containers import find_compose

IN_CI = os.environ.get("CI") == "true"
ROOT = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """Ignore warnings about the source of installed packages, such as invalid escape sequences.

    Python warns when it compiles a file; as an error, the warning would make the import fail. In our own source it
    stays an error. What the filter calls a module is then the path of the file, without its ending.
    """
    own = f"{re.escape(str(ROOT))}/(?!.*/site-packages/)"
    # Before Python 3.12 the warning about an invalid escape sequence is a DeprecationWarning.
    for what in (":SyntaxWarning", "invalid escape sequence:DeprecationWarning"):
        config.addinivalue_line("filterwarnings", f"ignore:{what}:(?!{own})")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests are left out, not skipped: those for CUDA or Docker Compose where there is none, as no machine of CI could
    run them, and those that drive a browser unless they are asked for, by `-m browser` or by their path. With `-m gpu`
    those for CUDA are there anyway, and fail without it.
    """
    left_out = set()
    if not shutil.which("nvidia-smi") and config.option.markexpr != "gpu":
        left_out.add("gpu")
    if find_compose() is None:
        left_out.add("compose")
    if "browser" not in config.option.markexpr and not any("browser" in argument for argument in config.args):
        left_out.add("browser")
    deselected = [item for item in items if any(item.get_closest_marker(name) for name in left_out)]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if item not in deselected]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip in CI is a failure: something that the test needs is missing there."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and in CI nothing may be: {report.longrepr}"
    return report
