"""The command line of emomodel: python -m emomodel train | generate | verify | import."""

import argparse
import importlib.util
import json
import sys
from pathlib import Path

from emomodel.bundles.manifest import Manifest
from emomodel.bundles.reference_prompts import Reference, read_reference
from emomodel.errors import EmomodelError
from emomodel.protocol.progress import EXIT_FAILED, EXIT_OK
from emomodel.train_extra import GENERATION_PACKAGES, TRAINING_PACKAGES, describe_missing


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _make_parser().parse_args(arguments)
    missing = describe_missing(_list_needed(options))
    if missing is not None:
        print(f"error: {missing}", file=sys.stderr)
        return EXIT_FAILED
    if options.command == "train":
        return _train(options)
    command = {"generate": _generate, "verify": _verify, "import": _import}[options.command]
    try:
        return command(options)
    # What the user can put right gets one line. Any other exception is a bug and keeps its traceback.
    except (EmomodelError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m emomodel", description="Train and use emotional Gemma.")
    commands = parser.add_subparsers(dest="command", required=True)

    train = commands.add_parser("train", help="train as a request file describes; progress goes to standard output")
    request = train.add_mutually_exclusive_group(required=True)
    request.add_argument("request", type=Path, nargs="?", help="the request, a TrainRequest in JSON")
    request.add_argument(
        "--spare", action="store_true", help="import everything, then read the request's path from standard input"
    )
    train.add_argument(
        "--supervised",
        action="store_true",
        help="read stop requests from standard input, and end when it ends; so does --spare",
    )

    generate = commands.add_parser("generate", help="write replies under emotions with a bundle")
    generate.add_argument("bundle", type=Path, help="the zip, or a folder")
    generate.add_argument("--base", help="the base model's folder or hub id; default: the one that the bundle names")
    generate.add_argument(
        "--prompt", action="append", required=True, help="the user's message; may be given several times"
    )
    generate.add_argument(
        "--emotion",
        action="append",
        help='such as "joy=0.9 fear=0.2", neutral, or "sadness=0.9 -> joy=0.9", which changes within the reply: each '
        "emotion holds for an equal part of --max-new-tokens, or for as many tokens as given, as in "
        '"sadness=0.9 for 12 -> joy=0.9"; may be given several times',
    )
    generate.add_argument("--max-new-tokens", type=int, default=64)
    generate.add_argument("--temperature", type=float, default=0.8, help="0 always takes the likeliest token")
    generate.add_argument("--top-p", type=float, default=0.95)
    generate.add_argument("--repetition-penalty", type=float, default=1.0)
    generate.add_argument("--seed", type=int, default=0)
    form = generate.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object a line: prompt, emotion, text")
    form.add_argument("--stream", action="store_true", help="print each reply while it is written, one after the other")

    verify = commands.add_parser("verify", help="check a bundle's files and, with --base, the answers of its model")
    verify.add_argument("bundle", type=Path, help="the zip, or a folder")
    verify.add_argument("--base", help="the base model's folder or hub id: also run the self-test with it")

    importing = commands.add_parser("import", help="make a bundle of a folder that the original project saved")
    importing.add_argument("folder", type=Path, help="a folder with adapter_config.json and emotion_proj_weights.pth")
    importing.add_argument("--output", "-o", type=Path, required=True, help="the bundle to write, a zip")
    importing.add_argument(
        "--base", help="the base model's folder or hub id: load the bundle on it and add its self-test"
    )
    importing.add_argument("--name", help="the name on the bundle's card; default: the folder's name")
    return parser


def _list_needed(options: argparse.Namespace) -> tuple[str, ...]:
    """The packages that the command imports, of those that an installation may lack."""
    if options.command in ("train", "import"):
        return TRAINING_PACKAGES
    return () if options.command == "verify" and options.base is None else GENERATION_PACKAGES


def _train(options: argparse.Namespace) -> int:
    if options.spare:
        from emomodel.spare import run_spare_process

        return run_spare_process()
    from emomodel.process import run_train_process

    return run_train_process(options.request, supervised=options.supervised)


def _generate(options: argparse.Namespace) -> int:
    from emomodel.data.examples import Turn
    from emomodel.generation.generate import generate_replies, stream_reply
    from emomodel.generation.loaded_bundle import load_bundle
    from emomodel.generation.sampling import Sampling
    from emomodel.generation.spoken_emotion import NEUTRAL, parse_schedule

    sampling = Sampling(
        max_new_tokens=options.max_new_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        repetition_penalty=options.repetition_penalty,
        seed=options.seed,
    )
    model = load_bundle(options.bundle, base=options.base)
    pairs = [(prompt, spoken) for prompt in options.prompt for spoken in options.emotion or [NEUTRAL]]
    # All emotions are parsed before the first reply is written.
    schedules = [parse_schedule(spoken, model.axes, sampling.max_new_tokens) for _, spoken in pairs]
    chats = [(Turn("user", prompt, model.axes.neutral),) for prompt, _ in pairs]
    if options.stream:
        for (prompt, spoken), chat, schedule in zip(pairs, chats, schedules, strict=True):
            print(f"[{spoken}] {prompt}", flush=True)
            for piece in stream_reply(model, chat, schedule, sampling):
                print(piece, end="", flush=True)
            print("\n")
        return EXIT_OK
    texts = generate_replies(model, chats, schedules, sampling)
    for (prompt, spoken), text in zip(pairs, texts, strict=True):
        if options.json:
            print(json.dumps({"prompt": prompt, "emotion": spoken, "text": text}, ensure_ascii=False))
        else:
            print(f"[{spoken}] {prompt}\n{text}\n")
    return EXIT_OK


def _verify(options: argparse.Namespace) -> int:
    from emomodel.bundles.bundle import open_bundle

    with open_bundle(options.bundle) as (folder, manifest):
        _print_files(manifest)
        _compare_projection_files(folder, manifest)
        reference = read_reference(folder, manifest)
        if options.base is not None:
            return _run_self_test(folder, manifest, reference, options.base)
        print(
            "self-test not run: the bundle holds no reference prompts"
            if reference is None
            else f"self-test not run: add --base BASE_MODEL to ask the model {len(reference.prompts)} reference prompts"
        )
    return EXIT_OK


def _compare_projection_files(folder: Path, manifest: Manifest) -> None:
    if manifest.format_version == 1:
        print("emotion_proj.pth is the projection's only file, as the bundle has format 1")
    elif importlib.util.find_spec("torch") is None:
        # The machines that run the service may not have it.
        print("not compared: emotion_proj.pth and emotion_proj.safetensors; this needs torch, from the extra `train`")
    else:
        from emomodel.model.projection_files import compare_projection_files

        compare_projection_files(folder)
        print("ok  emotion_proj.pth and emotion_proj.safetensors hold the same tensors")


def _run_self_test(folder: Path, manifest: Manifest, reference: Reference | None, base: str) -> int:
    from emomodel.evaluation.verification import describe_self_test, run_self_test
    from emomodel.generation.loaded_bundle import load_folder

    if reference is None:
        load_folder(folder, manifest, base=base)
        print("ok  adapter and projection fit the base model\nself-test not run: the bundle holds no reference prompts")
        return EXIT_OK
    test = run_self_test(folder, manifest, reference, base=base)
    for line in describe_self_test(test):
        print(line)
    return EXIT_OK if test.has_passed else EXIT_FAILED


def _print_files(manifest: Manifest) -> None:
    for name, entry in sorted(manifest.files.items()):
        print(f"ok  {entry.sha256}  {entry.size_bytes:>12}  {name}")
    print(
        f"{len(manifest.files)} files match the manifest (format {manifest.format_version}): "
        f"{manifest.base_model} {manifest.source}, {len(manifest.axes)} axes"
    )


def _import(options: argparse.Namespace) -> int:
    from emomodel.conversion.importing import import_folder

    manifest = import_folder(options.folder, options.output, base=options.base, name=options.name)
    print(f"{options.output}: {manifest.base_model} {manifest.source}")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
