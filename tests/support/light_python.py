"""A Python installation in which some of the installed packages are missing, until they are installed."""

import sysconfig
import venv
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]


class LightPython:
    """A virtual environment with all packages of this one as links, but for those that are left out."""

    def __init__(self, folder: Path, *, without: Iterable[str]) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.executable = folder / "bin" / "python"
        self._packages = folder / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
        self._left_out: list[Path] = []
        names = set(without)
        for source in _list_installed():
            if source.name.partition("-")[0].partition(".")[0] in names:
                self._left_out.append(source)
            else:
                self._link(source)
        (self._packages / "ours.pth").write_text(f"{ROOT}\n")

    def install_the_rest(self) -> None:
        """Install the packages that were left out, as `pip install` would."""
        for source in self._left_out:
            self._link(source)

    def _link(self, source: Path) -> None:
        target = self._packages / source.name
        if not target.exists():
            target.symlink_to(source)


def _list_installed() -> list[Path]:
    """List what is in the folders that packages are imported from, in their order, without emotune's own code."""
    folders = dict.fromkeys(Path(str(each.locate_file(""))).resolve() for each in distributions())
    return [
        path
        for folder in folders
        if folder != ROOT
        for path in sorted(folder.iterdir())
        if path.suffix != ".pth" and not path.name.startswith(("__editable__", "__pycache__"))
    ]
