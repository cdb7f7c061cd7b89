"""python -m emomodel train | generate | verify."""

import argparse
import json
import sys
from pathlib import Path

from emomodel.progress import EXIT_FAILED, EXIT_OK


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _make_parser().parse_args(arguments)
    command = {"train": _train, "generate": _generate, "verify": _verify}[options.command]
    return command(options)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m emomodel", description="Train and use emotional Gemma.")
    commands = parser.add_subparsers(dest="command", required=True)

    train = commands.add_parser("train", help="train as a request file says; progress goes to standard output")
    train.add_argument("request", type=Path, help="a TrainRequest as JSON")
    train.add_argument(
        "--supervised", action="store_true", help="read stop requests from standard input, and end when it ends"
    )

    generate = commands.add_parser("generate", help="write texts under emotions with a bundle")
    generate.add_argument("bundle", type=Path, help="the zip, or a folder")
    generate.add_argument("--base", help="the base model's folder or hub id; default: the one that the bundle names")
    generate.add_argument("--prompt", action="append", required=True, help="may be given several times")
    generate.add_argument(
        "--emotion", action="append", help='such as "joy=0.9 fear=0.2", or neutral; may be given several times'
    )
    generate.add_argument("--max-new-tokens", type=int, default=64)
    generate.add_argument("--temperature", type=float, default=0.8, help="0 takes the likeliest token each time")
    generate.add_argument("--top-p", type=float, default=0.95)
    generate.add_argument("--repetition-penalty", type=float, default=1.0)
    generate.add_argument("--seed", type=int, default=0)
    generate.add_argument("--json", action="store_true", help="one JSON object a line: prompt, emotion, text")

    verify = commands.add_parser("verify", help="check a bundle's files against its manifest")
    verify.add_argument("bundle", type=Path, help="the zip, or a folder")
    return parser


def _train(options: argparse.Namespace) -> int:
    from emomodel.process import run_train_process

    return run_train_process(options.request, supervised=options.supervised)


def _generate(options: argparse.Namespace) -> int:
    from emomodel.bundle import BundleError
    from emomodel.errors import ModelError
    from emomodel.generate import generate, load_bundle
    from emomodel.sampling import Sampling
    from emomodel.spoken_emotion import NEUTRAL, EmotionUnreadable, parse_emotion

    try:
        model = load_bundle(options.bundle, base=options.base)
        spoken = options.emotion or [NEUTRAL]
        pairs = [(prompt, text) for prompt in options.prompt for text in spoken]
        texts = generate(
            model,
            [prompt for prompt, _ in pairs],
            [parse_emotion(text, model.axes) for _, text in pairs],
            Sampling(
                max_new_tokens=options.max_new_tokens,
                temperature=options.temperature,
                top_p=options.top_p,
                repetition_penalty=options.repetition_penalty,
                seed=options.seed,
            ),
        )
    except (BundleError, ModelError, EmotionUnreadable, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    for (prompt, emotion), text in zip(pairs, texts, strict=True):
        if options.json:
            print(json.dumps({"prompt": prompt, "emotion": emotion, "text": text}, ensure_ascii=False))
        else:
            print(f"[{emotion}] {prompt}\n{text}\n")
    return EXIT_OK


def _verify(options: argparse.Namespace) -> int:
    from emomodel.bundle import BundleError, verify

    try:
        manifest = verify(options.bundle)
    except BundleError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    for name, entry in sorted(manifest.files.items()):
        print(f"ok  {entry.sha256}  {entry.size_bytes:>12}  {name}")
    print(
        f"{len(manifest.files)} files match the manifest (format {manifest.format_version}): "
        f"{manifest.base_model} trained on {manifest.dataset.name}, {len(manifest.axes)} axes"
    )
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
