"""Chooses which examples of a dataset are trained on and which are held out, by content and not by position.

An example stays on its side when the file is shuffled or grows, and equal examples are on the same side, so that no
held-out example was learned.
"""

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from emomodel.data.examples import Example, Turn

# Of the digest; enough bits that no two examples of a dataset collide by chance.
_DIGEST_BYTES = 8
_DIGEST_COUNT = 1 << (8 * _DIGEST_BYTES)


@dataclass(frozen=True)
class Split:
    """The examples of each side, in the order of the file."""

    training: list[Example]
    held_out: list[Example]


def split_examples(examples: Iterable[Example], *, held_out_share: float, limit: int | None = None) -> Split:
    """Hold out about `held_out_share` of the examples, and keep at most `limit` of the others."""
    training: list[Example] = []
    held_out: list[Example] = []
    for example in examples:
        is_held_out = _get_place(example, "held out") < held_out_share * _DIGEST_COUNT
        (held_out if is_held_out else training).append(example)
    return Split(list(limit_examples(training, limit)), held_out)


def limit_examples(examples: list[Example], limit: int | None) -> Iterator[Example]:
    """At most `limit` of the examples, in their order. A larger limit only adds examples."""
    if limit is None or len(examples) <= limit:
        yield from examples
        return
    # Equal examples have the same place; their positions in the file decide.
    chosen = heapq.nsmallest(limit, enumerate(examples), key=lambda pair: (_get_place(pair[1], "limit"), pair[0]))
    yield from (example for _, example in sorted(chosen, key=lambda pair: pair[0]))


def _get_place(example: Example, purpose: str) -> int:
    """A number below _DIGEST_COUNT, evenly distributed over contents, and differently for each purpose."""
    digest = hashlib.sha256(purpose.encode())
    for turn in example.turns:
        _feed(digest, turn)
    return int.from_bytes(digest.digest()[:_DIGEST_BYTES])


def _feed(digest: "hashlib._Hash", turn: Turn) -> None:
    # Each part is preceded by its length, so that different turns never give the same bytes.
    for part in (turn.role, turn.content, repr((turn.emotion, turn.spans, turn.is_target))):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8))
        digest.update(data)
