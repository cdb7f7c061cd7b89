"""A wheel has the dashboard in it, whether it is built from the sources of an archive or of a checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.integration


def test_a_wheel_has_the_dashboard_and_none_of_its_sources(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, timeout=250)
    (wheel,) = tmp_path.glob("emotune-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "api/static/index.html" in names
    assert [name for name in names if name.startswith("api/static/assets/") and name.endswith(".js")]
    assert [name for name in names if "node_modules" in name or name.startswith(("dashboard/", "scripts/"))] == []
    page = zipfile.ZipFile(wheel).read("api/static/index.html").decode()
    assert all(f"api/static{path}" in names for path in _find_assets(page))


def _find_assets(page: str) -> list[str]:
    return [part for part in page.split('"') if part.startswith("/assets/")]
