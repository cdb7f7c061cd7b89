"""The self-test of a bundle: base model, adapter and projection are loaded and asked the reference prompts."""

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
    """The results of a bundle's self-test, and the precision in which the model was loaded for it."""

    reference: Reference
    checked_in: Precision
    tolerance: Tolerance
    checks: list[PromptCheck]

    @property
    def has_passed(self) -> bool:
        return all(check.has_passed for check in self.checks)


def run_self_test(folder: Path, manifest: Manifest, reference: Reference, *, base: str) -> SelfTest:
    """Load the bundle in `folder` on the base model `base` and compare its answers with `reference`.

    Raises BundleMismatch when the parts don't fit each other, ModelLoadFailed when the base model can't be loaded.
    """
    # 4-bit weights need CUDA and bitsandbytes. Without them unquantised weights are used, and more tolerance.
    can_load_4bit = torch.cuda.is_available() and importlib.util.find_spec("bitsandbytes") is not None
    loaded = load_folder(folder, manifest, base=base, load_in_4bit=reference.precision.in_4bit and can_load_4bit)
    checked_in = get_precision(loaded.model)
    tolerance = choose_tolerance(reference.precision, checked_in)
    checks = list(check_reference(as_asked(loaded), reference, tolerance))
    return SelfTest(reference, checked_in, tolerance, checks)


def as_asked(loaded: LoadedBundle) -> AskedModel:
    """Return the parts of a loaded bundle that the reference prompts need."""
    return AskedModel(loaded.model, loaded.adapter, loaded.tokenizer, loaded.axes, loaded.manifest.emotion_span)


def describe_self_test(test: SelfTest) -> Iterator[str]:
    """Yield the lines in which `verify` reports a self-test."""
    yield (
        f"self-test in {test.checked_in}; the answers are from {test.reference.device} in {test.reference.precision}. "
        f"Differences are fractions of the logits' standard deviation; {test.tolerance.reason}"
    )
    for check in test.checks:
        verdict = "pass" if check.has_passed else "FAIL"
        found = check.problem or (
            f"difference {check.difference:.2g}, at most {check.limit:.2g} (base model alone: {check.effect:.2g})"
        )
        blind = "" if check.is_telling else "; proves nothing, since the base model alone would pass"
        yield f"{verdict}  {check.name}: {found}{blind}"
    passed_count = sum(check.has_passed for check in test.checks)
    yield f"self-test {'passed' if test.has_passed else 'FAILED'}: {passed_count} of {len(test.checks)} prompts"
