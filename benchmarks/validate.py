"""How fast datasets are validated, compared with json.loads of each line in the same run.

    .venv/bin/python -m benchmarks.validate
    .venv/bin/python -m benchmarks.validate --gigabytes 2    # the memory for a file of this size, made on the fly

There are chats of four kinds: plain, plain with unknown keys, with an emotion on each reply, with two tags in each
reply. Each is validated on one thread, in pieces as they arrive in an upload. Both ways are measured several times in
alternation, and the fastest time of each counts, since the speed of a machine varies.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from random import Random

from emomodel.data.validation import DatasetValidator

MEGABYTE = 1_000_000
PIECE_BYTES = 1 << 20
TURNS = 5
SEED = 1
TEXT = (
    "the concert was late and nobody knew why we stayed until they played that old song again for us so I called home "
    "from a rainy street and she said the dog had eaten half of the cake which made everybody laugh"
)
WORDS = TEXT.split()
# One pole of each axis, since an emotion names an axis only once.
POLES = ("joy", "fear", "acceptance", "anger", "surprise", "trust", "boredom", "empathy")


def make_text(random: Random, count: int) -> str:
    return " ".join(random.choices(WORDS, k=count)).capitalize() + "."


def make_emotion(random: Random) -> dict[str, float]:
    return {name: random.randint(1, 10) / 10 for name in random.sample(POLES, random.choice((1, 1, 2)))}


def make_line(random: Random, kind: str) -> bytes:
    """Make a chat with a question of about 9 words and a reply of about 22."""
    reply: dict[str, object] = {"role": "assistant", "content": make_text(random, random.randint(14, 30))}
    if kind == "message emotions":
        reply["emotion"] = make_emotion(random)
    elif kind == "tags":
        parts = (make_text(random, random.randint(7, 15)) for _ in range(2))
        tags = (" ".join(f"{name}={value}" for name, value in make_emotion(random).items()) for _ in range(2))
        reply["content"] = " ".join(f"<emo {tag}>{part}</emo>" for tag, part in zip(tags, parts, strict=True))
    messages = [{"role": "user", "content": make_text(random, random.randint(5, 13))}, reply]
    others = {"id": f"chat-{random.randrange(10**6)}", "source": "support"} if kind == "plain, other keys" else {}
    return json.dumps({**others, "messages": messages}).encode()


def decode_lines(lines: list[bytes]) -> None:
    for line in lines:
        json.loads(line)


def validate(pieces: list[bytes]) -> None:
    validator = DatasetValidator()
    for piece in pieces:
        validator.feed(piece)
    if not validator.finish().ok:
        sys.exit("the generated chats are refused: the benchmark is wrong")


def measure(*tasks: Callable[[], None]) -> Iterator[float]:
    """The shortest time of each task, in seconds."""
    times: list[list[float]] = [[] for _ in tasks]
    for _ in range(TURNS):
        for task, measured in zip(tasks, times, strict=True):
            start = time.perf_counter()
            task()
            measured.append(time.perf_counter() - start)
    return map(min, times)


def make_lines(kind: str, size_bytes: int) -> list[bytes]:
    random = Random(SEED)  # noqa: S311  # the same chats each time, no secret
    lines: list[bytes] = []
    total_bytes = 0
    while total_bytes < size_bytes:
        lines.append(make_line(random, kind))
        total_bytes += len(lines[-1]) + 1
    return lines


def measure_memory(size_bytes: int) -> None:
    """Feed a file of this size, in which no line occurs twice, and print the maximum memory of the process."""
    template = b"\n".join(make_lines("tags", PIECE_BYTES)) + b"\n"
    validator = DatasetValidator(max_lines=size_bytes)
    fed_bytes = shown_bytes = 0
    start = time.perf_counter()
    while fed_bytes < size_bytes:
        piece = template.replace(b'"content": "', b'"content": "%d ' % fed_bytes)
        validator.feed(piece)
        fed_bytes += len(piece)
        if fed_bytes >= shown_bytes:
            peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            seconds = time.perf_counter() - start
            print(f"{fed_bytes / MEGABYTE:6.0f} MB fed in {seconds:5.1f} s, peak RSS {peak_bytes / MEGABYTE:.1f} MB")
            shown_bytes += size_bytes // 8
    print(f"{validator.finish().example_count:,} examples, ok: {validator.finish().ok}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=10, help="How many megabytes of each kind.")
    parser.add_argument("--gigabytes", type=int, default=0, help="Measure the memory for a file of this size instead.")
    arguments = parser.parse_args()
    if arguments.gigabytes:
        measure_memory(arguments.gigabytes * 1000 * MEGABYTE)
    else:
        compare_speeds(arguments.megabytes * MEGABYTE)


def compare_speeds(size_bytes: int) -> None:
    print(f"{'':17} validate / json.loads   validate MB/s   json.loads MB/s   bytes a line")
    for kind in ("plain", "plain, other keys", "message emotions", "tags"):
        lines = make_lines(kind, size_bytes)
        total_bytes = sum(map(len, lines)) + len(lines)
        data = b"\n".join(lines)
        pieces = [data[start : start + PIECE_BYTES] for start in range(0, len(data), PIECE_BYTES)]
        ours, plain = measure(lambda pieces=pieces: validate(pieces), lambda lines=lines: decode_lines(lines))
        speeds = f"{total_bytes / ours / MEGABYTE:13.0f} {total_bytes / plain / MEGABYTE:17.0f}"
        print(f"{kind:17} {plain / ours:18.2f} {speeds} {total_bytes / len(lines):17.0f}")


if __name__ == "__main__":
    main()
