"""The chats of the training benchmarks: one-token words of the tests' tokenizer, in the lengths of real short chats.

Short chats have the lengths of samples/chats.jsonl with Gemma's tokenizer (benchmarks/sample_lengths.json: tokens and
targets of each); full rows have 1,024 tokens.
"""

import json
import random
from pathlib import Path

from tests.support.tiny_gemma import make_tiny_tokenizer

LENGTHS_FILE = Path(__file__).with_name("sample_lengths.json")
FULL_ROW = 1024
# The tokens of the chat template around a prompt and a reply, and at the end of the reply.
TEMPLATE_TOKENS = 10
REPLY_END_TOKENS = 1
# Enough for batches of 800. There are fewer of the long ones, which take time to read.
CHAT_COUNTS = {"short": 4000, "full": 400}
POLES = ("joy", "sadness", "anger", "calmness", "fear", "trust")


def make_chats(kind: str, count: int) -> bytes:
    """Make `count` chats of one-token words, and so of exact lengths, as JSON Lines."""
    generator = random.Random(7)  # noqa: S311 - the same chats each time
    words = sorted(_find_words())
    lengths = json.loads(LENGTHS_FILE.read_text()) if kind == "short" else [[FULL_ROW, FULL_ROW // 2]]
    lines = []
    for index in range(count):
        total, targets = lengths[index % len(lengths)]
        reply = max(targets - REPLY_END_TOKENS, 1)
        prompt = max(total - reply - REPLY_END_TOKENS - TEMPLATE_TOKENS, 1)
        turns = [" ".join(generator.choices(words, k=size)) for size in (prompt, reply)]
        emotion = {generator.choice(POLES): round(generator.random(), 2)}
        messages = [
            {"role": "user", "content": turns[0]},
            {"role": "assistant", "content": turns[1], "emotion": emotion},
        ]
        lines.append(json.dumps({"messages": messages}))
    return ("\n".join(lines) + "\n").encode()


def list_short_lengths(count: int) -> list[int]:
    """The tokens of each of `count` short chats."""
    lengths = json.loads(LENGTHS_FILE.read_text())
    return [lengths[index % len(lengths)][0] for index in range(count)]


def _find_words() -> list[str]:
    """Find words that are one token each, both at the start of a text and inside."""
    tokenizer = make_tiny_tokenizer()
    return [
        token[1:]
        for token in tokenizer.get_vocab()
        if token.startswith("▁") and token[1:].isalpha() and token[1:] in tokenizer.get_vocab()
    ]
