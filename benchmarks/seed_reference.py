"""The original project's recipe as a script of its own, with Unsloth: what emotune's training is measured against.

    python -m benchmarks.seed_reference BASE DATA.jsonl ORDER.json RESULT.json [--backend transformers] [--labels]

Nothing of emotune is imported: chats, tokens, batches, wrapper and loss are written independently
(benchmarks/seed_chats.py, benchmarks/seed_training.py), and transformers' own Trainer trains. ORDER.json has the
indices of the examples of each update, all updates with the same number of them.

With `--recipe original` everything is as the original project has it (docs/seed.md), but for two mistakes that would
make it learn other text: a chat is tokenised at once, and every reply is learnt, with no user turn between them.
With `--recipe emotune` the emotions and the learning rates are those of emotune's default preset at constant rates, so
that the losses of both can be compared update by update; batches of 12 padded to 128, two learning rates, LoRA of rank
32 and the own cross entropy from the logits stay. `--initial` gives the weights to start from.

RESULT.json has the loss of each update, and how long everything took, in seconds from the start of this process.
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Each duration is the mean of so many updates: a number that is read late makes one update long and the next one short.
WINDOW = 5
GIB = 2**30


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path, help="the folder of a Gemma 3")
    parser.add_argument("data", type=Path, help="chats, as docs/data-format.md describes them")
    parser.add_argument("order", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--backend", choices=("unsloth", "transformers"), default="unsloth")
    parser.add_argument("--bits", type=int, choices=(4, 16, 32), default=4)
    parser.add_argument("--labels", action="store_true", help="pass the labels into the base model, which has a loss")
    parser.add_argument("--recipe", choices=("original", "emotune"), default="original")
    parser.add_argument("--initial", type=Path, help="a safetensors file with all trained weights")
    parser.add_argument("--output", type=Path, help="the folder to save adapter and projection to")
    return parser.parse_args()


def find_update_seconds(elapsed: Sequence[float]) -> float:
    """The median time of an update in the last half of a training whose updates were complete after `elapsed` seconds.

    Needs at least two updates.
    """
    late = elapsed[min(len(elapsed) // 2, len(elapsed) - 2) :]
    width = min(WINDOW, len(late) - 1)
    return statistics.median(
        (after - before) / width for before, after in zip(late, itertools.islice(late, width, None), strict=False)
    )


def main() -> None:
    began = time.monotonic()
    options = parse_arguments()
    if options.backend == "unsloth":
        # It patches transformers and PEFT, so it has to be imported before them.
        import unsloth  # noqa: F401
    from benchmarks.seed_training import RECIPES, load_base, read_samples, save, train, wrap

    import_seconds = time.monotonic() - began
    recipe = RECIPES[options.recipe]
    model, tokenizer = load_base(options.base, options.backend, options.bits)
    load_seconds = time.monotonic() - began - import_seconds
    order: list[list[int]] = json.loads(options.order.read_text())
    if len({len(update) for update in order}) != 1 or len(order) == 1:
        raise SystemExit(f"{options.order} needs two updates or more, all with the same number of examples")
    samples = read_samples(options.data, tokenizer, recipe, [index for update in order for index in update])
    peft_model = wrap(model, recipe, options.initial, passes_labels=options.labels)
    trained = train(peft_model, samples, recipe, batch_size=len(order[0]), in_float32=options.bits == 32)
    if options.output is not None:
        save(peft_model, options.output)
    update_seconds = find_update_seconds(trained.elapsed_seconds)
    tokens_per_update = sum(len(sample["input_ids"]) for sample in samples) / len(order)
    result: dict[str, Any] = {
        "step_ms": round(update_seconds * 1000, 1),
        "tokens_per_update": round(tokens_per_update, 1),
        "tokens_per_second": round(tokens_per_update / update_seconds),
        "peak_gib": None if trained.peak_gpu_bytes is None else round(trained.peak_gpu_bytes / GIB, 2),
        "import_seconds": round(import_seconds, 1),
        "load_seconds": round(load_seconds, 1),
        "first_step_seconds": round(trained.elapsed_seconds[0], 1),
        "total_seconds": round(time.monotonic() - began, 1),
        "losses": trained.losses,
    }
    options.result.write_text(json.dumps(result) + "\n")
    print(json.dumps({name: value for name, value in result.items() if name != "losses"}), flush=True)


if __name__ == "__main__":
    main()
