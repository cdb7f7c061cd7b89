"""What is imported for a backend, with packages of the name of Unsloth that only record or fail."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from emomodel.errors import ModelLoadFailed
from emomodel.model.backend import import_backend, uses_unsloth

pytestmark = pytest.mark.model


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The source of the package that is installed as Unsloth, on a machine with CUDA."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delenv("UNSLOTH_DISABLE_STATISTICS", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    source = tmp_path / "unsloth.py"
    source.write_text("import os\nvalue = os.environ.get('UNSLOTH_DISABLE_STATISTICS')\n")
    yield source
    sys.modules.pop("unsloth", None)
    os.environ.pop("UNSLOTH_DISABLE_STATISTICS", None)


def test_unsloth_is_imported_by_default_and_counts_no_users(package: Path) -> None:
    assert uses_unsloth("auto")
    assert not uses_unsloth("transformers")
    import_backend("transformers")
    assert "unsloth" not in sys.modules
    import_backend("auto")
    assert sys.modules["unsloth"].value == "1"


def test_an_unsloth_that_cannot_be_imported_is_an_error_only_where_it_is_asked_for(package: Path) -> None:
    package.write_text("raise RuntimeError('this needs another GPU')\n")
    import_backend("auto")
    with pytest.raises(ModelLoadFailed, match="this needs another GPU"):
        import_backend("unsloth")


def test_without_cuda_transformers_loads() -> None:
    assert not uses_unsloth("auto")
    import_backend("auto")
    assert "unsloth" not in sys.modules
