"""The build backend: setuptools', with the dashboard built into the wheel. An editable install leaves that to
scripts/build_dashboard.py, which can check the pages against the API that is installed then.
"""

import shutil
from typing import Any

from build_dashboard import NODE_PACKAGE, ROOT, build, find_node
from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    """Return the build's requirements, with Node.js as a package if the machine has none."""
    requirements = list(build_meta.get_requires_for_build_wheel(config_settings))
    return requirements if find_node() else [*requirements, NODE_PACKAGE]


def build_wheel(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    build(with_types=False)
    # Names of assets change with their content, and setuptools would also pack those of an earlier build.
    shutil.rmtree(ROOT / "build" / "lib" / "api" / "static", ignore_errors=True)
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
