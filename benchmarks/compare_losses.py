"""How far the loss curves of accelerated trainings are from those of plain transformers, step by step.

    python -m benchmarks.compare_losses benchmarks/results/training_speed_h200_2026-11-26.json

It reads what benchmarks.training_speed and benchmarks.real_weights write. Trainings are compared that took the same
chats in the same order: each with plain transformers in 16 bits, and with plain transformers in float32, which has
almost no rounding. The difference between these two is what computing in 16 bits costs anyway.
"""

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The beginnings of the names of curves.
PLAIN = ("a: ", "plain 16-bit")
EXACT = "exact: "
# The end of the names of variants that kept all activations.
KEEPING_ALL = ", keeping all"


@dataclass(frozen=True)
class Curve:
    """The losses of a training, one for each step. Curves with equal `chats` took the same chats in the same order."""

    name: str
    chats: str
    losses: tuple[float, ...]

    def differences(self, reference: "Curve") -> list[float]:
        """The differences at each step that both curves have, as fractions of the reference's loss."""
        return [(own - theirs) / theirs for own, theirs in zip(self.losses, reference.losses, strict=False)]

    def furthest(self, reference: "Curve") -> float:
        """The difference with the largest absolute value."""
        return max(map(abs, self.differences(reference)))

    def average(self, reference: "Curve") -> float:
        return statistics.fmean(map(abs, self.differences(reference)))


def read_curves(path: Path) -> list[Curve]:
    document: dict[str, Any] = json.loads(path.read_text())
    if "runs" in document:
        return [Curve(name, "samples", tuple(run["losses"])) for name, run in document["runs"].items()]
    return [
        Curve(
            variant["name"] + suffix, f"{variant['data']} {variant['config']['batch_size']}", tuple(variant["losses"])
        )
        for key, suffix in (("variants", ""), ("keeping_all", KEEPING_ALL))
        for variant in document.get(key, [])
    ]


def find_references(curves: list[Curve], chats: str) -> tuple[Curve, Curve] | None:
    """The plain and the exact curve for these chats, as far as they were measured."""
    plain = [curve for curve in curves if curve.chats == chats and curve.name.startswith(PLAIN)]
    exact = [curve for curve in curves if curve.chats == chats and curve.name.startswith(EXACT)]
    return (plain[0], exact[0]) if plain and exact else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    curves = read_curves(parser.parse_args().results)
    print(f"{'':66}{'steps':>6}{'from plain: mean':>18}{'max':>8}{'from exact: mean':>18}{'max':>8}")
    for curve in curves:
        references = find_references(curves, curve.chats)
        if references is None or curve.name.startswith(EXACT):
            continue
        distances = [f"{value:>{width}.2%}" for reference in references for width, value in _measure(curve, reference)]
        print(f"{curve.name:66}{len(curve.differences(references[0])):>6}{''.join(distances)}")


def _measure(curve: Curve, reference: Curve) -> list[tuple[int, float]]:
    """Columns: their width, and what they hold."""
    return [(18, curve.average(reference)), (8, curve.furthest(reference))]


if __name__ == "__main__":
    main()
