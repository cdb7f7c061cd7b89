"""How much the answers of one model may differ, by the precisions in which they are computed."""

from dataclasses import dataclass

from emomodel.bundles.reference_prompts import Precision

# How much the answers of one model may differ, as a share of the logits' spread over the vocabulary. Measured with
# Gemma 3 270M and an adapter without which they are 0.9 apart: float32 with another number of threads 2e-5, which is
# the rounding in the file; bfloat16 against float32, on other attention kernels, or on an H200 against a CPU, 0.010 to
# 0.023; nf4 by Unsloth against nf4 by transformers 0.015 to 0.021; nf4 rounding against none 0.21 to 0.28. A wrong
# scale or span, seen from nf4 to bfloat16, gave 0.36 to 0.51.
_TOLERANCE_FLOAT32 = 1e-3
_TOLERANCE_16_BITS = 0.05
_TOLERANCE_OTHER_WEIGHTS = 0.33
# A model that training changed much (an effect of 2.0 in a measurement) is more sensitive to rounding: 0.23 to 0.45.
_OTHER_WEIGHTS_EFFECT_SHARE = 0.3


@dataclass(frozen=True)
class Tolerance:
    """How large a difference may be, as a share of the logits' spread, and why.

    The difference may be up to `limit`, or up to `effect_share` of the effect of adapter and projection, whichever is
    larger.
    """

    limit: float
    reason: str
    effect_share: float = 0.0

    def get_limit(self, effect: float) -> float:
        """The largest difference allowed for a prompt with this `effect`."""
        return max(self.limit, self.effect_share * effect)


def choose_tolerance(made_in: Precision, checked_in: Precision) -> Tolerance:
    """The tolerance for answers made in one precision and checked in another."""
    if made_in.in_4bit != checked_in.in_4bit:
        return Tolerance(
            _TOLERANCE_OTHER_WEIGHTS,
            "the base model's weights are in 4 bits on one side only",
            effect_share=_OTHER_WEIGHTS_EFFECT_SHARE,
        )
    if made_in.dtype == checked_in.dtype == "float32":
        return Tolerance(_TOLERANCE_FLOAT32, "both compute in float32, perhaps with other kernels")
    return Tolerance(_TOLERANCE_16_BITS, "16-bit numbers are rounded differently by other kernels")
