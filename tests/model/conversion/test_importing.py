"""Importing the original project's files: the same model, a true manifest, and refusals that name what was found."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, Gemma3ForCausalLM

from emomodel.__main__ import main
from emomodel.bundles.bundle import open_bundle, verify
from emomodel.conversion.importing import import_folder
from emomodel.conversion.original_bundle import ImportRefused
from emomodel.errors import BundleMismatch, ModelError
from emomodel.generation.generate import generate
from emomodel.generation.loaded_bundle import load_bundle
from emomodel.generation.sampling import Sampling
from emomodel.model.adapter_files import load_adapter
from emomodel.model.projection import make_projection
from emomodel.model.projection_files import load_projection
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper

pytestmark = pytest.mark.model

LORA = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=4, target_modules=["q_proj", "v_proj", "down_proj"])


class GemmaWithProjection(Gemma3ForCausalLM):  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    """The model of the original project, in which the projection is a part of the base model's class."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.emotion_proj_embed = make_projection(8, config.hidden_size, "xavier")


class Original:
    """A model of the original project's kind, its folder, and its logits under an emotion."""

    def __init__(self, base: Path, folder: Path) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(5)
            plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
            model = GemmaWithProjection(plain.config)
            model.load_state_dict(plain.state_dict(), strict=False)
            model.name_or_path = "tiny-gemma"
            self.peft_model = get_peft_model(model, LORA)
            for name, parameter in self.peft_model.named_parameters():
                if "lora_B" in name:
                    nn.init.normal_(parameter, std=0.2)
        self.peft_model.eval()
        self.projection: nn.Sequential = model.emotion_proj_embed
        self.peft_model.save_pretrained(str(folder), save_embedding_layers=False)
        torch.save(self.projection.state_dict(), folder / "emotion_proj_weights.pth")
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copyfile(base / name, folder / name)

    @torch.inference_mode()
    def logits(self, input_ids: Tensor, emotion: Tensor) -> Tensor:
        embeddings = self.peft_model.get_input_embeddings()(input_ids)
        logits: Tensor = self.peft_model(inputs_embeds=embeddings + 3 * self.projection(emotion)).logits
        return logits


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, tiny_gemma: Path) -> tuple[Original, Path]:
    folder = tmp_path_factory.mktemp("original") / "emotional-gemma-output"
    folder.mkdir()
    return Original(tiny_gemma, folder), folder


@pytest.fixture
def folder(saved: tuple[Original, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved[1], tmp_path / "old"))


def assert_same_model(original: Original, bundle: Path, base: Path) -> None:
    """Compare the logits in float32, for which a bundle without a config doesn't ask."""
    ids = torch.arange(20, 40).unsqueeze(0)
    emotion = torch.linspace(-1, 1, 160).view(1, 20, 8)
    with open_bundle(bundle) as (folder, manifest):
        plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        model = EmotionalGemmaUnslothWrapper(
            load_adapter(plain, folder / "adapter"),
            load_projection(folder, manifest),
            scale=manifest.emotion_scale,
            centered=manifest.emotion_centered,
        ).eval()
    with torch.inference_mode():
        ours = model(input_ids=ids, emotion_vector=emotion).logits
    torch.testing.assert_close(ours, original.logits(ids, emotion), atol=1e-4, rtol=0)


def test_an_imported_bundle_is_the_same_model_and_passes_its_self_test(
    saved: tuple[Original, Path], tiny_gemma: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original, folder = saved
    bundle = tmp_path / "bundle.zip"
    command = ["import", str(folder), "--output", str(bundle), "--base", str(tiny_gemma), "--name", "first try"]
    assert main(command) == 0
    assert "tiny-gemma imported from first try" in capsys.readouterr().out
    assert_same_model(original, bundle, tiny_gemma)
    assert main(["verify", str(bundle), "--base", str(tiny_gemma)]) == 0
    printed = capsys.readouterr().out
    assert "tiny-gemma imported from first try, 8 axes" in printed
    assert "self-test passed: 5 of 5 prompts" in printed


def test_manifest_and_card_of_an_import_claim_no_training(folder: Path, tiny_gemma: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.zip"
    manifest = import_folder(folder, bundle, base=str(tiny_gemma))
    assert verify(bundle) == manifest
    assert (manifest.origin, manifest.imported_name, manifest.base_model) == ("import", "old", "tiny-gemma")
    assert (manifest.config, manifest.dataset, manifest.metrics) == (None, None, None)
    assert (manifest.emotion_scale, manifest.emotion_centered, manifest.emotion_span) == (3.0, False, "token")
    assert {"emotion_proj.pth", "emotion_proj.safetensors", "reference.json", "NOTICE"} <= manifest.files.keys()
    shutil.unpack_archive(bundle, tmp_path / "unpacked")
    card = (tmp_path / "unpacked" / "README.md").read_text()
    assert "# Emotional tiny-gemma, imported from old" in card
    assert "It was not trained by emotune" in card
    assert "Training config" not in card
    assert "loss_curve.png" not in card


def test_without_a_base_the_files_are_imported_and_no_reference_is_claimed(
    saved: tuple[Original, Path], tiny_gemma: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle.zip"
    assert main(["import", str(saved[1]), "--output", str(bundle)]) == 0
    assert "reference.json" not in verify(bundle).files
    assert_same_model(saved[0], bundle, tiny_gemma)
    loaded = load_bundle(bundle, base=str(tiny_gemma))
    joy = loaded.axes.vector({"joy": 1.0})
    assert len(generate(loaded, ["Hi"], [joy], Sampling(max_new_tokens=4, temperature=0))) == 1
    assert main(["verify", str(bundle)]) == 0
    assert "self-test not run: the bundle holds no reference prompts" in capsys.readouterr().out


def test_the_adapter_of_an_import_loads_in_plain_peft(folder: Path, tiny_gemma: Path, tmp_path: Path) -> None:
    import_folder(folder, tmp_path / "bundle.zip")
    shutil.unpack_archive(tmp_path / "bundle.zip", tmp_path / "unpacked")
    base = AutoModelForCausalLM.from_pretrained(tiny_gemma, dtype=torch.float32)
    plain = PeftModel.from_pretrained(base, str(tmp_path / "unpacked" / "adapter"))
    assert plain.active_peft_config.base_model_name_or_path == "tiny-gemma"


def rewrite_adapter(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    path = folder / "adapter_model.safetensors"
    save_file(change(load_file(path)), path)


def with_wrapper_keys(folder: Path) -> None:
    rewrite_adapter(folder, lambda weights: {_wrap(key): tensor for key, tensor in weights.items()})


def _wrap(key: str) -> str:
    return key.replace("base_model.model.", "base_model.model.model.", 1)


def with_the_projection_among_the_adapter(folder: Path) -> None:
    projection = torch.load(folder / "emotion_proj_weights.pth", weights_only=True)
    beside = {f"base_model.model.emotion_proj_embed.{key}": tensor for key, tensor in projection.items()}
    rewrite_adapter(folder, lambda weights: weights | beside)
    (folder / "emotion_proj_weights.pth").unlink()


def with_the_projection_in_both_places(folder: Path) -> None:
    pickled = (folder / "emotion_proj_weights.pth").read_bytes()
    with_the_projection_among_the_adapter(folder)
    (folder / "emotion_proj_weights.pth").write_bytes(pickled)


def as_pickled_adapter(folder: Path) -> None:
    weights = load_file(folder / "adapter_model.safetensors")
    (folder / "adapter_model.safetensors").unlink()
    torch.save(weights, folder / "adapter_model.bin")


@pytest.mark.parametrize(
    "layout",
    [
        with_wrapper_keys,
        with_the_projection_among_the_adapter,
        with_the_projection_in_both_places,
        as_pickled_adapter,
    ],
)
def test_other_layouts_of_the_same_weights_give_the_same_model(
    saved: tuple[Original, Path], folder: Path, tiny_gemma: Path, tmp_path: Path, layout: Callable[[Path], None]
) -> None:
    layout(folder)
    import_folder(folder, tmp_path / "bundle.zip")
    assert_same_model(saved[0], tmp_path / "bundle.zip", tiny_gemma)


def without_layer_norm(folder: Path) -> None:
    weights = torch.load(folder / "emotion_proj_weights.pth", weights_only=True)
    kept = {"0.weight": "0.weight", "0.bias": "0.bias", "3.weight": "2.weight", "3.bias": "2.bias"}
    torch.save(
        {kept[key]: tensor for key, tensor in weights.items() if key in kept}, folder / "emotion_proj_weights.pth"
    )


def with_a_single_linear(folder: Path) -> None:
    torch.save(nn.Linear(8, 64).state_dict(), folder / "emotion_proj_weights.pth")


def with_six_axes(folder: Path) -> None:
    torch.save(make_projection(6, 64, "default").state_dict(), folder / "emotion_proj_weights.pth")


def of_another_size(folder: Path) -> None:
    torch.save(make_projection(8, 32, "default").state_dict(), folder / "emotion_proj_weights.pth")


def with_something_pickled(folder: Path) -> None:
    torch.save({"0.weight": Path("/")}, folder / "emotion_proj_weights.pth")


def with_another_projection_beside(folder: Path) -> None:
    with_the_projection_in_both_places(folder)
    torch.save(make_projection(8, 64, "default").state_dict(), folder / "emotion_proj_weights.pth")


def with_another_kind_of_weight(folder: Path) -> None:
    rewrite_adapter(folder, lambda weights: weights | {"base_model.model.lm_head.weight": torch.ones(2)})


def with_half_a_layer(folder: Path) -> None:
    rewrite_adapter(folder, lambda weights: _drop(weights, "0.mlp.down_proj.lora_B"))


def without_an_adapter(folder: Path) -> None:
    rewrite_adapter(folder, lambda weights: _drop(weights, "lora"))


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _drop(weights: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in weights.items() if part not in key}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without_layer_norm, r"holds 0\.bias \[32\], .*2\.weight \[64, 32\]; supported is Linear\(8, hidden // 2\)"),
        (with_a_single_linear, r"holds bias \[64\], weight \[64, 8\]; supported is"),
        (with_six_axes, r"0\.weight \[32, 6\].*supported is Linear\(8,"),
        (of_another_size, "adapter is for a base model of hidden size 64, the projection for one of 32"),
        (with_something_pickled, "can't be read as plain tensors"),
        (with_another_projection_beside, "holds a projection that is not the one in emotion_proj_weights.pth"),
        (lambda folder: (folder / "emotion_proj_weights.pth").unlink(), "holds no emotion_proj_weights.pth or"),
        (lambda folder: (folder / "adapter_config.json").unlink(), "holds no adapter_config.json"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "holds no adapter_model.safetensors or"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "holds no tokenizer.json; give --base"),
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "adapter_config.json is not JSON"),
        (lambda folder: edit_config(folder, peft_type="IA3"), "supported is peft_type LORA"),
        (lambda folder: edit_config(folder, r=8), "says rank 8"),
        (lambda folder: edit_config(folder, megatron_config={"x": 1}, megatron_core="this"), "adapter for Megatron"),
        (lambda folder: edit_config(folder, target_modules=[["q_proj"]]), "names \\['q_proj'\\]"),
        (lambda folder: (folder / "adapter_config.json").write_text("[" * 100_000), "adapter_config.json is not JSON"),
        (lambda folder: edit_config(folder, target_modules=["q_proj", "k_proj"]), "names k_proj, q_proj"),
        (lambda folder: edit_config(folder, base_model_name_or_path=None), "names no base model; give --base"),
        (with_another_kind_of_weight, "holds base_model.model.lm_head.weight; supported are LoRA weights"),
        (with_half_a_layer, "one of lora_A and lora_B only for .*down_proj"),
        (without_an_adapter, "holds no LoRA weights"),
    ],
)
def test_what_is_not_supported_is_refused_by_name_and_leaves_no_file(
    folder: Path, tmp_path: Path, spoil: Callable[[Path], object], words: str
) -> None:
    spoil(folder)
    with pytest.raises((ImportRefused, BundleMismatch), match=words):
        import_folder(folder, tmp_path / "bundle.zip")
    assert not (tmp_path / "bundle.zip").exists()


def test_weights_that_the_base_model_has_no_place_for_are_refused(
    folder: Path, tiny_gemma: Path, tmp_path: Path
) -> None:
    rewrite_adapter(folder, lambda weights: _drop(weights, "layers.1."))
    import_folder(folder, tmp_path / "unchecked.zip")
    with (
        pytest.warns(UserWarning, match="missing adapter keys"),
        pytest.raises(ModelError, match="lacks 6 of 12 weights"),
    ):
        import_folder(folder, tmp_path / "bundle.zip", base=str(tiny_gemma))
    assert not (tmp_path / "bundle.zip").exists()
