"""The self-test of a bundle: base model, adapter and projection are loaded afresh and asked the reference prompts."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from emomodel.bundles.manifest import Manifest
from emomodel.bundles.reference_prompts import Precision, Reference
from emomodel.bundles.tolerance import Tolerance, choose_tolerance
from emomodel.evaluation.reference import AskedModel, PromptCheck, check_reference, get_precision
from emomodel.generation.loaded_bundle import LoadedBundle, load_folder


@dataclass(frozen=True)
class SelfTest:
    """What the self-test of a bundle found."""

    reference: Reference
    checked_in: Precision
    tolerance: Tolerance
    checks: list[PromptCheck]

    @property
    def has_passed(self) -> bool:
        return all(check.has_passed for check in self.checks)


def run_self_test(folder: Path, manifest: Manifest, reference: Reference, *, base: str) -> SelfTest:
    """Raises BundleMismatch when the pieces don't fit, ModelLoadFailed when the base model can't be loaded."""
    # Weights in 4 bits need CUDA and its library. Without these the whole weights serve, if less exactly.
    can_load_4bit = torch.cuda.is_available() and importlib.util.find_spec("bitsandbytes") is not None
    loaded = load_folder(folder, manifest, base=base, load_in_4bit=reference.precision.in_4bit and can_load_4bit)
    checked_in = get_precision(loaded.model)
    tolerance = choose_tolerance(reference.precision, checked_in)
    checks = list(check_reference(as_asked(loaded), reference, tolerance))
    return SelfTest(reference, checked_in, tolerance, checks)


def as_asked(loaded: LoadedBundle) -> AskedModel:
    """A loaded bundle for the reference prompts."""
    return AskedModel(loaded.model, loaded.adapter, loaded.tokenizer, loaded.axes, loaded.manifest.emotion_span)


def describe_self_test(test: SelfTest) -> Iterator[str]:
    """Lines for people."""
    yield (
        f"self-test in {test.checked_in}; the answers are from {test.reference.device} in {test.reference.precision}. "
        f"Differences are shares of the logits' spread; {test.tolerance.reason}"
    )
    for check in test.checks:
        verdict = "pass" if check.has_passed else "FAIL"
        found = check.problem or (
            f"difference {check.difference:.2g}, at most {check.limit:.2g} (base model alone: {check.effect:.2g})"
        )
        blind = "" if check.is_telling else "; tells nothing, since the base model alone would pass"
        yield f"{verdict}  {check.name}: {found}{blind}"
    passed_count = sum(check.has_passed for check in test.checks)
    yield f"self-test {'passed' if test.has_passed else 'FAILED'}: {passed_count} of {len(test.checks)} prompts"
