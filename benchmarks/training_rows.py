"""The rows of the comparison with the original project: what is run, and which row its losses are compared with."""

from dataclasses import dataclass, field
from typing import Any

# How often each row is trained: with empty compile caches, then with what the first training has compiled.
RUNS = ("cold", "warm")
LARGE_BATCH = 800


@dataclass(frozen=True)
class Seed:
    """The options of benchmarks.seed_reference."""

    backend: str
    bits: int
    passes_labels: bool = False

    def list_arguments(self) -> list[str]:
        arguments = ["--backend", self.backend, "--bits", str(self.bits)]
        return [*arguments, "--labels"] if self.passes_labels else arguments


@dataclass(frozen=True)
class Row:
    """A training: the original project's, by benchmarks.seed_reference, where `seed` is given, else emotune's.

    `compared_with` is the row that has the same chats, order, first weights and kind of weights. Without it there is no
    script of the original project to compare with.
    """

    name: str
    title: str
    compared_with: str | None
    seed: Seed | None = None
    config: dict[str, Any] = field(default_factory=dict)


ROWS = (
    Row(
        "seed",
        "the original project to the letter, Unsloth, 4 bits, padded to 128, own loss from the logits",
        "seed",
        seed=Seed("unsloth", 4),
    ),
    Row(
        "seed-labels",
        "the same with the labels passed into the base model",
        "seed",
        seed=Seed("unsloth", 4, passes_labels=True),
    ),
    Row(
        "seed-16",
        "the original project on plain transformers, 16 bits",
        "seed-16",
        seed=Seed("transformers", 16),
    ),
    Row(
        "plain",
        "plain: transformers, 4 bits, `acceleration: off`, packed",
        "seed",
        config={"backend": "transformers", "acceleration": "off"},
    ),
    Row("ours", "**ours by default**", "seed"),
    Row("ours-transformers", "ours, `backend: transformers`", "seed", config={"backend": "transformers"}),
    Row("ours-16", "ours in 16 bits", "seed-16", config={"load_in_4bit": False}),
    Row("ours-800", "ours by default, 800 chats an update", None, config={"batch_size": LARGE_BATCH}),
)
NAMES = tuple(row.name for row in ROWS)


def get_row(name: str) -> Row:
    """The row of that name, which has to be one of NAMES."""
    return next(row for row in ROWS if row.name == name)
