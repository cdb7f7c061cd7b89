"""The self-test of a bundle: what it passes, and what it finds. The file hashes are right in all of these tests."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from emomodel.__main__ import main
from emomodel.bundles.bundle import open_bundle, write_manifest
from emomodel.bundles.manifest import Manifest
from emomodel.bundles.reference_prompts import Precision, Reference, make_prompts, read_reference
from emomodel.bundles.tolerance import choose_tolerance
from emomodel.emotions import Axes
from emomodel.evaluation.reference import check_reference, make_reference
from emomodel.evaluation.verification import SelfTest, as_asked, describe_self_test, run_self_test
from emomodel.generation.loaded_bundle import load_bundle, load_folder
from emomodel.model.loading import load_base_model
from emomodel.model.projection import make_projection
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper
from emomodel.protocol.control import RunRequests
from emomodel.protocol.progress import Metric, Notice
from emomodel.training.output import FinishedTraining, write_output
from emomodel.training.train import run_training
from tests.model.generation.test_bundle_use import as_format_1
from tests.model.tiny_training import ListReporter, Trained, make_request
from tests.support.tiny_gemma import make_tiny_model

pytestmark = pytest.mark.model


def edit_manifest(folder: Path, **changes: Any) -> None:
    document = json.loads((folder / "bundle.json").read_bytes())
    write_manifest(folder, Manifest.model_validate(document | changes))


def check(folder: Path, base: Path) -> SelfTest:
    with open_bundle(folder) as (_, manifest):
        reference = read_reference(folder, manifest)
        assert reference is not None
        return run_self_test(folder, manifest, reference, base=str(base))


@pytest.fixture
def folder(trained: Trained, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained.folder, tmp_path / "bundle"))


@pytest.fixture(scope="module")
def reference(trained: Trained) -> Reference:
    return Reference.model_validate_json((trained.folder / "reference.json").read_bytes())


def test_a_bundle_passes_on_its_base_model(folder: Path, tiny_gemma: Path) -> None:
    test = check(folder, tiny_gemma)
    assert [each.name for each in test.checks] == ["neutral", "joy", "sadness", "sadness -> joy", "all axes"]
    assert all(each.has_passed and each.is_telling for each in test.checks)
    assert max(each.difference for each in test.checks) < 1e-4
    assert (test.tolerance.limit, str(test.checked_in)) == (1e-3, "float32")


def change_adapter(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    path = folder / "adapter" / "adapter_model.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in change(load_file(path)).items()}, path)
    edit_manifest(folder)


def zero_adapter(folder: Path) -> None:
    change_adapter(folder, lambda weights: {key: torch.zeros_like(tensor) for key, tensor in weights.items()})


def shuffle_adapter(folder: Path) -> None:
    """Swap the adapters of the two layers; all shapes still fit."""
    mark = ".layers.{}."

    def swap(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {
            key.replace(mark.format(0), "@")
            .replace(mark.format(1), mark.format(0))
            .replace("@", mark.format(1)): tensor
            for key, tensor in weights.items()
        }

    change_adapter(folder, swap)


def change_projection(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the projection in both files, so that they still agree."""
    weights = {key: tensor.clone() for key, tensor in load_file(folder / "emotion_proj.safetensors").items()}
    change(weights)
    save_file(weights, folder / "emotion_proj.safetensors")
    torch.save(weights, folder / "emotion_proj.pth")
    edit_manifest(folder)


def exchange_two_axes(folder: Path) -> None:
    order = [0, 1, 2, 4, 3, 5, 6, 7]
    change_projection(folder, lambda weights: weights.update({"0.weight": weights["0.weight"][:, order].contiguous()}))


def halve_the_projection(folder: Path) -> None:
    change_projection(folder, lambda weights: weights["3.weight"].mul_(0.5))


def rename_axes_in_the_manifest(folder: Path) -> None:
    axes = list(json.loads((folder / "bundle.json").read_bytes())["axes"])
    edit_manifest(folder, axes=[*axes[:6], axes[7], axes[6]])


@pytest.mark.parametrize(
    "spoil",
    [
        zero_adapter,
        shuffle_adapter,
        exchange_two_axes,
        halve_the_projection,
        rename_axes_in_the_manifest,
        lambda folder: edit_manifest(folder, emotion_scale=1.1),
        lambda folder: edit_manifest(folder, emotion_span="token"),
        lambda folder: edit_manifest(folder, emotion_centered=False),
    ],
)
def test_what_only_the_self_test_sees(
    folder: Path, tiny_gemma: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None]
) -> None:
    spoil(folder)
    assert main(["verify", str(folder)]) == 0
    assert main(["verify", str(folder), "--base", str(tiny_gemma)]) == 1
    printed = capsys.readouterr().out
    assert "FAIL  " in printed
    assert "self-test FAILED" in printed


def test_another_base_model_of_the_same_shape_fails_at_each_prompt(
    folder: Path, tiny_gemma: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(tiny_gemma, tmp_path / "other"))
    model = make_tiny_model(6)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        type(model)(model.config).save_pretrained(other)
    assert not any(each.has_passed for each in check(folder, other).checks)


def test_another_tokenizer_is_named(folder: Path, tiny_gemma: Path) -> None:
    path = folder / "tokenizer" / "chat_template.jinja"
    path.write_text(path.read_text().replace("<start_of_turn>", "<start_of_turn> "))
    edit_manifest(folder)
    test = check(folder, tiny_gemma)
    assert not test.has_passed
    assert {each.problem for each in test.checks} == {"the tokenizer splits the text into other tokens"}
    assert any("FAIL  neutral: the tokenizer splits" in line for line in describe_self_test(test))


def test_bfloat16_is_checked_with_a_tolerance_of_its_own(folder: Path, tiny_gemma: Path) -> None:
    config = json.loads((folder / "bundle.json").read_bytes())["config"] | {"dtype": "bfloat16"}
    edit_manifest(folder, config=config)
    test = check(folder, tiny_gemma)
    assert test.has_passed
    assert (str(test.checked_in), test.tolerance.limit) == ("bfloat16", 0.05)
    assert max(each.difference for each in test.checks) > 1e-3
    zero_adapter(folder)
    assert not any(each.has_passed for each in check(folder, tiny_gemma).checks)


def test_tolerance_follows_both_precisions() -> None:
    float32, bfloat16 = Precision(dtype="float32", in_4bit=False), Precision(dtype="bfloat16", in_4bit=False)
    nf4 = Precision(dtype="bfloat16", in_4bit=True)
    assert choose_tolerance(float32, float32).limit < choose_tolerance(float32, bfloat16).limit
    assert choose_tolerance(bfloat16, bfloat16) == choose_tolerance(nf4, nf4) == choose_tolerance(bfloat16, float32)
    assert choose_tolerance(nf4, bfloat16) == choose_tolerance(bfloat16, nf4) == choose_tolerance(nf4, float32)
    assert choose_tolerance(nf4, bfloat16).limit > choose_tolerance(nf4, nf4).limit
    assert "4 bits on one side only" in choose_tolerance(nf4, bfloat16).reason
    # A training with a large effect makes the model more sensitive to other weights, and to nothing else.
    assert choose_tolerance(nf4, bfloat16).get_limit(2.0) > choose_tolerance(nf4, bfloat16).get_limit(0.5)
    assert choose_tolerance(nf4, nf4).get_limit(2.0) == choose_tolerance(nf4, nf4).limit


def test_the_widest_tolerance_still_sees_an_adapter_that_is_missing_or_shuffled(
    folder: Path, tiny_gemma: Path, reference: Reference
) -> None:
    """The model was trained on 4-bit weights and is checked on unquantised ones."""
    nf4 = Precision(dtype="bfloat16", in_4bit=True)
    tolerance = choose_tolerance(nf4, Precision(dtype="bfloat16", in_4bit=False))

    def failed() -> set[str]:
        manifest = Manifest.model_validate_json((folder / "bundle.json").read_bytes())
        loaded = load_folder(folder, manifest, base=str(tiny_gemma))
        checks = check_reference(as_asked(loaded), reference, tolerance)
        return {check.name for check in checks if not check.has_passed}

    assert failed() == set()
    shuffle_adapter(folder)
    assert len(failed()) == 5
    zero_adapter(folder)
    assert len(failed()) == 5


def test_a_prompt_that_proves_nothing_is_reported_as_such(folder: Path, tiny_gemma: Path) -> None:
    """A tolerance above the whole effect of the training would pass the base model alone."""
    path = folder / "reference.json"
    document = json.loads(path.read_bytes())
    for prompt in document["prompts"]:
        prompt["effect"] = 1e-4
    path.write_text(json.dumps(document))
    edit_manifest(folder)
    lines = list(describe_self_test(check(folder, tiny_gemma)))
    assert sum("proves nothing, since the base model alone would pass" in line for line in lines) == 5


def test_verify_without_a_base_says_what_was_not_run(
    folder: Path, tiny_gemma: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "emotion_proj.pth and emotion_proj.safetensors hold the same tensors" in printed
    assert "self-test not run: add --base BASE_MODEL to ask the model 5 reference prompts" in printed
    as_format_1(folder)
    assert main(["verify", str(folder), "--base", str(tiny_gemma)]) == 0
    printed = capsys.readouterr().out
    assert "ok  adapter and projection fit the base model" in printed
    assert "self-test not run: the bundle holds no reference prompts" in printed


def test_two_projection_files_that_differ_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = load_file(folder / "emotion_proj.safetensors")
    weights["1.bias"][3] += 1e-6
    save_file(weights, folder / "emotion_proj.safetensors")
    edit_manifest(folder)
    assert main(["verify", str(folder)]) == 1
    assert "emotion_proj.pth and emotion_proj.safetensors differ in 1.bias" in capsys.readouterr().err


def test_reference_is_compact_and_says_where_it_is_from(trained: Trained, reference: Reference) -> None:
    assert (trained.folder / "reference.json").stat().st_size < 50_000
    assert (reference.device, str(reference.precision)) == ("cpu", "float32")
    assert len(reference.sample_ids) == 64
    assert reference.sample_ids[-1] == 1023
    assert min(prompt.effect for prompt in reference.prompts) > 0.1


def test_prompts_of_other_axes_move_each_of_them() -> None:
    axes = Axes(("COLD_WARM", "SOFT_HARD", "DARK_LIGHT"))
    prompts = make_prompts(axes)
    assert list(prompts) == ["neutral", "warm", "cold", "cold -> warm", "all axes"]
    _, (part, _) = prompts["all axes"]
    assert part.emotion.keys() == {"warm", "soft", "light"}
    assert len(set(part.emotion.values())) == 3


def test_making_the_reference_leaves_the_model_as_it_was(trained: Trained, tiny_gemma: Path) -> None:
    model = as_asked(load_bundle(trained.zip_path, base=str(tiny_gemma)))
    model.adapter.train()
    parameters = dict(model.wrapper.named_parameters())
    chosen = sorted(parameters)[::3]
    for name in parameters:
        parameters[name].requires_grad_(name in chosen)
    first, second = make_reference(model), make_reference(model)
    assert first == second
    assert model.adapter.training
    assert sorted(name for name in parameters if parameters[name].requires_grad) == chosen


def test_logits_that_are_no_numbers_leave_the_bundle_whole_but_without_a_reference(
    trained: Trained, tiny_gemma: Path, tmp_path: Path
) -> None:
    """A completed training is not lost because the reference prompts can't be answered."""
    base = load_base_model(str(tiny_gemma), backend="auto", dtype="float32", load_in_4bit=None, max_length=64)
    projection = make_projection(8, 64, "default")
    with torch.no_grad():
        next(projection.parameters()).fill_(float("nan"))
    wrapper = EmotionalGemmaUnslothWrapper(base.model, projection, scale=1.0, centered=True)
    peft_model = get_peft_model(wrapper, LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"]))
    metrics = [line for line in trained.progress if isinstance(line, Metric)]
    reporter = ListReporter()
    manifest = write_output(
        tmp_path, FinishedTraining(trained.request, base, peft_model, wrapper, metrics, example_count=36), reporter
    )
    assert "reference.json" not in manifest.files
    (notice,) = [line for line in reporter.progress if isinstance(line, Notice)]
    assert notice.code == "reference_missing"
    assert "the model's logits are not finite numbers" in notice.message


def test_custom_axes_get_reference_prompts_of_their_own(tmp_path: Path, tiny_gemma: Path) -> None:
    lines = [
        {
            "messages": [
                {"role": "user", "content": "How was the concert?"},
                {"role": "assistant", "content": "It was fine.", "emotion": {"warm": 0.5}},
            ]
        }
    ]
    request = make_request(tmp_path, tiny_gemma, lines=lines, max_steps=3)
    request = request.model_copy(update={"axes": ("COLD_WARM", "SOFT_HARD")})
    run_training(request, ListReporter(), RunRequests())
    test = check(request.output_dir, tiny_gemma)
    assert test.has_passed
    assert [each.name for each in test.checks] == ["neutral", "warm", "cold", "cold -> warm", "all axes"]
