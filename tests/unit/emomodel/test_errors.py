import ast
import importlib
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError, field_validator

from emomodel import errors
from emomodel.emotions import DEFAULT_AXES, Axes
from emomodel.errors import EmomodelError, Stopped
from emomodel.sizing.layer_shapes import SizeUnknown

PACKAGE = Path(errors.__file__).parent
OUTSIDE_THE_TREE = {Stopped.__name__, SizeUnknown.__name__}


def find_error_classes() -> dict[str, list[str]]:
    """Return the names of all exceptions that emomodel defines for its callers, with the names of their bases."""
    classes = {
        node.name: [ast.unparse(base) for base in node.bases]
        for path in PACKAGE.rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }

    def is_error(name: str) -> bool:
        if name not in classes:
            return name.endswith(("Error", "Exception"))
        return any(is_error(base) for base in classes[name])

    return {name: bases for name, bases in classes.items() if is_error(name) and name not in OUTSIDE_THE_TREE}


def test_every_error_derives_from_the_one_root() -> None:
    classes = find_error_classes()
    assert {"NotFinite", "ImportRefused", "LinesInvalid"} <= classes.keys()

    def leads_to_root(name: str) -> bool:
        return name == EmomodelError.__name__ or any(leads_to_root(base) for base in classes.get(name, []))

    assert [name for name in classes if not leads_to_root(name)] == []


def test_the_tree_in_the_docstring_shows_every_error_and_no_other() -> None:
    tree = errors.__doc__ or ""
    drawn = [line.strip(" │├└─").partition(" ")[0] for line in tree.splitlines() if " (" in line and "    " in line]
    assert sorted(drawn) == sorted(find_error_classes())


def test_the_tree_shows_the_code_of_each_error() -> None:
    for module in ("data.formats.mapping", "bundles.manifest", "samples.light_tokenizer", "data.examples", "emotions"):
        importlib.import_module(f"emomodel.{module}")
    tree = errors.__doc__ or ""

    def visit(kind: type[EmomodelError]) -> None:
        assert f"{kind.__name__} ({kind.code})" in tree
        for child in kind.__subclasses__():
            visit(child)

    visit(EmomodelError)


def test_a_wrong_emotion_in_a_pydantic_model_is_a_validation_error() -> None:
    class Spoken(BaseModel):
        axes: tuple[str, ...]
        emotion: dict[str, float]

        @field_validator("axes")
        @classmethod
        def _axes_are_right(cls, names: tuple[str, ...]) -> tuple[str, ...]:
            return Axes(names).names

        @field_validator("emotion")
        @classmethod
        def _emotion_is_right(cls, emotion: dict[str, float]) -> dict[str, float]:
            DEFAULT_AXES.vector(emotion)
            return emotion

    with pytest.raises(ValidationError, match=r"unknown emotion 'joi'") as caught:
        Spoken.model_validate({"axes": ["UP"], "emotion": {"joi": 1.0}})
    assert caught.value.error_count() == 2
