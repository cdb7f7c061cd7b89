"""The committed loss curves: the accelerated training is the plain one, up to the rounding of 16 bits.

The measure of that rounding is the plain way itself: how far its curve in 16 bits gets from its curve in float32 at any
step. The accelerated curve may get no further than that from either of the two. On the random 1B shape the limit is
0.19 % of the loss. Real weights answer more to rounding: Adam's first updates have nearly one size, whatever that of
the gradient, so that gradients which are mostly rounding count in full.
"""

import sys
from pathlib import Path

import pytest

from benchmarks.compare_losses import Curve, find_references, main, read_curves

RESULTS = Path(__file__).parents[3] / "benchmarks/results"
SPEED = RESULTS / "training_speed_h200_2026-11-26.json"
REAL_WEIGHTS = RESULTS / "real_weights_h200.json"

CURVES = read_curves(SPEED)
ACCELERATED = [
    curve for curve in CURVES if curve.name.startswith("ours 16-bit") and find_references(CURVES, curve.chats)
]


def get(curves: list[Curve], name: str) -> Curve:
    (found,) = (curve for curve in curves if curve.name == name)
    return found


def get_references(curves: list[Curve], chats: str) -> tuple[Curve, Curve, float]:
    """Return the plain curve, the exact one, and the largest distance between the two."""
    found = find_references(curves, chats)
    assert found is not None
    plain, exact = found
    return plain, exact, plain.furthest(exact)


@pytest.mark.parametrize("curve", ACCELERATED, ids=lambda curve: curve.name)
def test_accelerated_in_16_bits_learns_as_the_plain_way_does(curve: Curve) -> None:
    plain, exact, limit = get_references(CURVES, curve.chats)
    assert curve.furthest(plain) <= limit
    assert curve.furthest(exact) <= limit


def test_short_chats_and_full_rows_were_both_compared() -> None:
    assert {curve.chats for curve in ACCELERATED} == {"short 12", "full 8"}


@pytest.mark.parametrize("chats", ["short 12", "full 8"])
def test_the_limit_detects_a_training_that_learns_a_tenth_slower(chats: str) -> None:
    plain, _, limit = get_references(CURVES, chats)
    # Take the value between two steps from the straight line between them.
    places = [(int(step * 0.9), step * 0.9 % 1) for step in range(len(plain.losses) - 1)]
    losses = [(1 - share) * plain.losses[at] + share * plain.losses[at + 1] for at, share in places]
    slower = Curve("slower", chats, tuple(losses))
    assert slower.furthest(plain) > 3 * limit


def test_in_4_bits_it_learns_as_unsloth_does_with_the_same_weights() -> None:
    _, _, limit = get_references(CURVES, "short 12")
    unsloth = get(CURVES, "b: Unsloth nf4, the seed's recipe, 12x128")
    assert get(CURVES, "ours nf4, 12 chats").furthest(unsloth) <= limit


def test_with_real_weights_it_is_nearer_to_float32_than_the_plain_way() -> None:
    curves = read_curves(REAL_WEIGHTS)
    plain, exact, limit = get_references(curves, "samples")
    accelerated = get(curves, "accelerated 16-bit")
    assert len(accelerated.differences(exact)) == len(exact.losses) == 112
    assert accelerated.furthest(plain) <= limit
    assert accelerated.furthest(exact) <= limit
    assert accelerated.average(exact) < plain.average(exact)


def test_the_table_has_a_row_for_each_curve_that_can_be_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["compare_losses", str(SPEED)])
    main()
    rows = capsys.readouterr().out.splitlines()[1:]
    compared = [
        curve for curve in CURVES if find_references(CURVES, curve.chats) and not curve.name.startswith("exact")
    ]
    assert [row[:66].strip() for row in rows] == [curve.name for curve in compared]
    assert rows[0].split()[-5:] == ["24", "0.00%", "0.00%", "0.06%", "0.19%"]
