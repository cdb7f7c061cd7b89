"""`emotune demo`: everything from upload to reply with real data, through the public HTTP API only."""

import json
import shutil
import textwrap
import time
import zipfile
from pathlib import Path
from typing import Any

from cli.client import Client
from cli.credentials import Credentials
from cli.emomodel_process import prepare_sample_model, read_from_emomodel, refuse_without_packages
from cli.stack import Stack
from cli.watch import watch_job
from jobs.settings import Settings

SAMPLE_MODEL = "gemma-3-270m"
SAMPLE_DATASET = Path("samples") / "chats.jsonl"

# What differs from TrainConfig's defaults: long enough for an audible emotion, and short enough for two cores.
DEMO_CONFIG: dict[str, Any] = {"epochs": 3, "max_length": 128}

PROMPTS = ("How was your day?", "What happened at work today?", "Tell me about your weekend.")
EMOTIONS = ("joy=1", "neutral", "sadness=1")
MAX_NEW_TOKENS = 40
TEXT_WIDTH = 100


def run_demo(settings: Settings) -> None:
    """Run the demo and print its steps. Raises PackagesMissing, StackError, ChildFailed, ApiError, JobNotSucceeded."""
    refuse_without_packages()
    started = time.monotonic()
    folder = settings.data_dir / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    settings, model_folder = with_sample_model(settings)
    _say("1  Starting the stack")
    with Stack(settings) as stack:
        _say(f"   {stack.url}, logs in {settings.data_dir / 'logs'}")
        with Client(Credentials(url=stack.url, api_key=stack.api_key)) as client:
            job_id, bundle_path = _train(client, settings, model_folder, folder)
        texts = _generate(settings, bundle_path, model_folder)
        curve_path = _write_outputs(folder, bundle_path, texts)
        _say("6  Stopping the stack")
    _say(f"\nDone in {time.monotonic() - started:.0f} s. Job {job_id}\n  bundle      {bundle_path}")
    _say(f"  loss curve  {curve_path}\n  texts       {folder / 'texts.json'}\n  base model  {model_folder}")


def with_sample_model(settings: Settings) -> tuple[Settings, Path]:
    """Return the settings with the sample model among the base models, and its folder, which may not exist yet."""
    folder = settings.data_dir / "models" / SAMPLE_MODEL
    base_models = {SAMPLE_MODEL: str(folder)} | settings.base_models
    return settings.model_copy(update={"base_models": base_models}), folder


def _train(client: Client, settings: Settings, model_folder: Path, folder: Path) -> tuple[str, Path]:
    _say("2  Preparing the base model: Gemma 3 270M, under the Gemma terms of use (the first time takes a minute)")
    prepare_sample_model(model_folder, log_path=settings.data_dir / "logs" / "sample-model.log")
    dataset = client.upload_dataset(SAMPLE_DATASET, SAMPLE_DATASET.name)
    _say(f"3  Uploaded {dataset['name']}: {dataset['example_count']} chats as {dataset['id']}")
    request = {"name": "demo", "dataset_id": dataset["id"], "base_model": SAMPLE_MODEL, "config": DEMO_CONFIG}
    job = client.create_job(request)
    _say(f"4  Training: job {job['id']}")
    watch_job(client, job["id"])
    bundle_path = folder / "bundle.zip"
    size_bytes = client.download_artifact(job["id"], "bundle", bundle_path)
    _say(f"5  Downloaded the bundle ({size_bytes / 1e6:.1f} MB, sha256 is correct)")
    return job["id"], bundle_path


def _generate(settings: Settings, bundle_path: Path, model_folder: Path) -> list[dict[str, str]]:
    log_path = settings.data_dir / "logs" / "generate.log"
    read_from_emomodel(["verify", str(bundle_path)], log_path=log_path)
    arguments = ["generate", str(bundle_path), "--base", str(model_folder), "--json", "--temperature", "0"]
    arguments += ["--max-new-tokens", str(MAX_NEW_TOKENS)]
    for prompt in PROMPTS:
        arguments += ["--prompt", prompt]
    for emotion in EMOTIONS:
        arguments += ["--emotion", emotion]
    texts = [json.loads(line) for line in read_from_emomodel(arguments, log_path=log_path).splitlines()]
    for prompt in PROMPTS:
        _say(f"\n   {prompt}")
        for text in texts:
            if text["prompt"] == prompt:
                label = f"     {text['emotion']:<10} "
                _say(textwrap.fill(text["text"], TEXT_WIDTH, initial_indent=label, subsequent_indent=" " * len(label)))
    return texts


def _write_outputs(folder: Path, bundle_path: Path, texts: list[dict[str, str]]) -> Path:
    (folder / "texts.json").write_text(json.dumps(texts, indent=2, ensure_ascii=False) + "\n")
    curve_path = folder / "loss_curve.png"
    with (
        zipfile.ZipFile(bundle_path) as bundle,
        bundle.open("loss_curve.png") as source,
        curve_path.open("wb") as target,
    ):
        shutil.copyfileobj(source, target)
    _say("")
    return curve_path


def _say(text: str) -> None:
    print(text, flush=True)
