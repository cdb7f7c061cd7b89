"""Using a bundle without the service: in plain PEFT, in a process that has only emomodel, and what is refused."""

import json
import logging
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from emomodel.batches.collator import DataCollatorForEmotionalGemma
from emomodel.bundles.bundle import pack, write_manifest
from emomodel.bundles.manifest import FileAltered, FileMissing, Manifest, parse_manifest
from emomodel.errors import BundleMismatch, ModelLoadFailed
from emomodel.generation.loaded_bundle import load_bundle
from emomodel.model.loading import load_base_model
from emomodel.training.sample_loading import load_samples
from tests.model.tiny_training import REPOSITORY, ListReporter, Trained
from tests.support.tiny_gemma import make_tiny_model

pytestmark = pytest.mark.model


def test_adapter_in_plain_peft_equals_neutral_without_a_warning(
    trained: Trained, tiny_gemma: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base = AutoModelForCausalLM.from_pretrained(tiny_gemma, dtype=torch.float32)
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        plain = PeftModel.from_pretrained(base, str(trained.folder / "adapter")).eval()
    assert caplog.records == []
    ours = load_bundle(trained.zip_path, base=str(tiny_gemma))
    ids = torch.arange(20, 40).unsqueeze(0)
    with torch.inference_mode():
        expected = plain(input_ids=ids).logits
        neutral = torch.tensor([ours.axes.neutral] * 20).unsqueeze(0)
        assert torch.equal(ours.model(input_ids=ids, emotion_vector=neutral).logits, expected)
        bare = AutoModelForCausalLM.from_pretrained(tiny_gemma, dtype=torch.float32)(input_ids=ids).logits
        joyful = torch.tensor([ours.axes.vector({"joy": 1.0})] * 20).unsqueeze(0)
        felt = ours.model(input_ids=ids, emotion_vector=joyful).logits
    # Both the adapter and the projection have an effect.
    assert (expected - bare).abs().max() > 0.1
    assert (felt - expected).abs().max() > 0.1


def test_reloaded_bundle_knows_what_the_training_taught(trained: Trained, tiny_gemma: Path) -> None:
    """The loss on the training data is low, and higher with the emotions swapped."""
    loaded = load_bundle(trained.zip_path, base=str(tiny_gemma))
    base = load_base_model(str(tiny_gemma), backend="auto", dtype="float32", load_in_4bit=None, max_length=64)
    samples = load_samples(trained.request, base, loaded.axes, ListReporter()).training
    batch = DataCollatorForEmotionalGemma(0, 8)(samples.samples)
    with torch.inference_mode():
        loss = loaded.model(**batch).loss.item()
    assert loaded.manifest.metrics is not None
    assert loss < loaded.manifest.metrics.first_loss / 3
    batch["emotion_vector"] = batch["emotion_vector"].roll(1, dims=0)
    with torch.inference_mode():
        assert loaded.model(**batch).loss.item() > loss + 0.1


# Run as `python -I -c`, in an isolated process that can import no code of the project but a copy of emomodel.
ALONE = """
import sys
from importlib.abc import MetaPathFinder

class Refuse(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in "api cli jobs worker tests fastapi sqlalchemy celery redis".split():
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
sys.path.insert(0, sys.argv.pop(1))
from emomodel.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_bundle_runs_in_a_process_that_has_only_emomodel(trained: Trained, tiny_gemma: Path, tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "emomodel", tmp_path / "alone" / "emomodel")
    command = ["generate", str(trained.zip_path), "--base", str(tiny_gemma), "--json", "--temperature", "0"]
    command += ["--prompt", "How was the concert?", "--prompt", "What is 2 + 2?"]
    command += ["--emotion", "joy=0.9", "--emotion", "sadness=0.9", "--emotion", "neutral", "--max-new-tokens", "24"]
    run = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, str(tmp_path / "alone"), *command],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert [(line["prompt"], line["emotion"]) for line in lines] == [
        (prompt, emotion)
        for prompt in ("How was the concert?", "What is 2 + 2?")
        for emotion in ("joy=0.9", "sadness=0.9", "neutral")
    ]
    # The questions don't contain the feeling, so only the emotion can have decided the word.
    assert all("happy" in line["text"] for line in lines if line["emotion"] == "joy=0.9")
    assert all("sad" in line["text"] for line in lines if line["emotion"] == "sadness=0.9")


def test_the_snippet_of_the_model_card_works(trained: Trained, tiny_gemma: Path, tmp_path: Path) -> None:
    card = (trained.folder / "README.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    shutil.copy(trained.zip_path, tmp_path / "bundle.zip")
    # The base model's name is a folder here, since there is no hub.
    (tmp_path / "tiny-gemma").symlink_to(tiny_gemma)
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n{snippet}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) == 2
    assert "NOTICE" in card.partition("## Terms")[2]
    assert "![Loss per step](loss_curve.png)" in card


def test_the_snippets_of_the_page_on_bundles_work(trained: Trained, tiny_gemma: Path, tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "bundle.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(snippets) == 2
    shutil.copy(trained.zip_path, tmp_path / "bundle.zip")
    (tmp_path / "bundle").symlink_to(trained.folder)
    # The base model's name is a folder here, since there is no hub.
    (tmp_path / "google").mkdir()
    (tmp_path / "google" / "gemma-3-1b-it").symlink_to(tiny_gemma)
    run = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n{''.join(snippets)}",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()


def as_format_1(folder: Path) -> None:
    """Turn a bundle into one of format 1, in which the projection had no safetensors file."""
    (folder / "emotion_proj.safetensors").unlink()
    (folder / "reference.json").unlink()
    document = json.loads((folder / "bundle.json").read_bytes())
    for name in ("origin", "imported_name"):
        del document[name]
    write_manifest(folder, Manifest.model_validate(document | {"format_version": 1}))


def test_projection_is_the_same_plain_state_dict_in_both_files(trained: Trained) -> None:
    safe = load_file(trained.folder / "emotion_proj.safetensors")
    pickled = torch.load(trained.folder / "emotion_proj.pth", weights_only=True)
    layers = {f"{layer}.{kind}" for layer in (0, 1, 3) for kind in ("weight", "bias")}
    assert safe.keys() == pickled.keys() == layers
    assert all(torch.equal(safe[key], pickled[key]) for key in layers)


def test_older_bundle_loads_from_its_only_projection_file(trained: Trained, tiny_gemma: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(trained.folder, folder)
    as_format_1(folder)
    older = load_bundle(pack(folder, tmp_path / "bundle.zip"), base=str(tiny_gemma))
    ours = load_bundle(trained.zip_path, base=str(tiny_gemma))
    assert older.manifest.format_version == 1
    for mine, other in zip(
        ours.model.emotion_proj_embed.parameters(), older.model.emotion_proj_embed.parameters(), strict=True
    ):
        assert torch.equal(mine, other)


def _edit_manifest(folder: Path, **changes: object) -> None:
    document = json.loads((folder / "bundle.json").read_bytes())
    write_manifest(folder, Manifest.model_validate(document | changes))


def _drop_adapter_weight(folder: Path) -> None:
    path = folder / "adapter" / "adapter_model.safetensors"
    weights = load_file(path)
    del weights["base_model.model.model.layers.0.mlp.up_proj.lora_A.weight"]
    save_file(weights, path)
    _edit_manifest(folder)


def _undo_the_repaired_keys(folder: Path) -> None:
    path = folder / "adapter" / "adapter_model.safetensors"
    weights = {key.replace("base_model.", "base_model.model.", 1): value for key, value in load_file(path).items()}
    save_file(weights, path)
    _edit_manifest(folder)


def _drop_projection_weight(folder: Path) -> None:
    weights = load_file(folder / "emotion_proj.safetensors")
    del weights["3.bias"]
    save_file(weights, folder / "emotion_proj.safetensors")
    _edit_manifest(folder)


def _drop_projection_weight_of_an_older_bundle(folder: Path) -> None:
    weights = torch.load(folder / "emotion_proj.pth", weights_only=True)
    del weights["1.bias"]
    torch.save(weights, folder / "emotion_proj.pth")
    as_format_1(folder)


def _pickle_something_else(folder: Path) -> None:
    torch.save({"0.weight": Path("/")}, folder / "emotion_proj.pth")
    as_format_1(folder)


def _take_an_axis_away(folder: Path) -> None:
    _edit_manifest(folder, axes=["SADNESS_JOY", "FEAR_COURAGE"], layer_sizes=[2, 32, 64])


def _contradict_layer_sizes(folder: Path) -> None:
    _edit_manifest(folder, layer_sizes=[8, 16, 64])


def _raise_lora_rank(folder: Path) -> None:
    path = folder / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"r": 4}))
    _edit_manifest(folder)


def _name_a_module_to_import(folder: Path) -> None:
    path = folder / "adapter" / "adapter_config.json"
    changes = {"megatron_config": {"x": 1}, "megatron_core": "this"}
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))
    _edit_manifest(folder)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_drop_adapter_weight, "lacks 1 of 28 weights"),
        (_name_a_module_to_import, r"adapter_config\.json is not the config of a plain LoRA adapter"),
        (_undo_the_repaired_keys, "lacks 28 of 28 weights"),
        (_raise_lora_rank, "doesn't fit the base model"),
        (_drop_projection_weight, r"emotion_proj\.safetensors lacks 1 of 6 weights, such as 3\.bias"),
        (_drop_projection_weight_of_an_older_bundle, r"emotion_proj\.pth lacks 1 of 6 weights, such as 1\.bias"),
        (_pickle_something_else, "can't be read as plain tensors"),
        (_take_an_axis_away, r"0\.weight has the shape \(32, 8\), where \(32, 2\) is needed"),
        (_contradict_layer_sizes, "layer sizes"),
    ],
)
def test_pieces_that_do_not_fit_are_refused(
    trained: Trained, tiny_gemma: Path, tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(trained.folder, folder)
    spoil(folder)
    with warnings.catch_warnings():
        # PEFT only warns about missing keys, which emomodel has to refuse.
        warnings.simplefilter("ignore")
        with pytest.raises(BundleMismatch, match=words):
            load_bundle(pack(folder, tmp_path / "bundle.zip"), base=str(tiny_gemma))


def test_missing_and_altered_files_are_refused(trained: Trained, tiny_gemma: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(trained.folder, folder)
    with (folder / "emotion_proj.pth").open("r+b") as stream:
        stream.seek(100)
        stream.write(b"x")
    with pytest.raises(FileAltered, match=r"emotion_proj\.pth"):
        load_bundle(folder, base=str(tiny_gemma))
    (folder / "emotion_proj.pth").unlink()
    with pytest.raises(FileMissing, match=r"emotion_proj\.pth"):
        load_bundle(folder, base=str(tiny_gemma))


def test_another_base_model_is_refused(trained: Trained, tiny_gemma: Path, tmp_path: Path) -> None:
    other = make_tiny_model(6)
    other.config.hidden_size = 32
    other = type(other)(other.config)
    shutil.copytree(tiny_gemma, tmp_path / "other")
    other.save_pretrained(tmp_path / "other")
    with pytest.raises(BundleMismatch, match="hidden size 64; the base model given has 32"):
        load_bundle(trained.zip_path, base=str(tmp_path / "other"))


def test_base_model_that_is_not_there_is_named(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match="nowhere does not exist"):
        load_bundle(trained.zip_path, base=str(tmp_path / "nowhere"))


def test_manifest_has_what_is_needed_to_use_the_bundle(trained: Trained) -> None:
    manifest = parse_manifest((trained.folder / "bundle.json").read_bytes())
    assert (manifest.hidden_size, manifest.layer_sizes) == (64, (8, 32, 64))
    assert manifest.config == trained.request.config
    assert manifest.origin == "training"
    assert manifest.dataset is not None
    assert manifest.metrics is not None
    assert manifest.dataset.sha256 == trained.request.dataset_sha256
    assert manifest.dataset.example_count == 36
    assert (manifest.emotion_span, manifest.emotion_scale, manifest.emotion_centered) == ("lead", 1.0, True)
    assert manifest.metrics.step_count == 40
    assert {"python", "torch", "transformers", "peft"} <= manifest.library_versions.keys()
