"""A chat -> Gemma's tokens, each with its emotion vector and its label; independent of emotune's own code.

It takes what the benchmarks' data has: turns of user and assistant, an `emotion` for a turn, and `<emo joy=0.8>` tags.
Of docs/data-format.md the rest is refused.
"""

import re
from typing import Any

AXES = (
    *("SADNESS_JOY", "FEAR_COURAGE", "DISGUST_ACCEPTANCE", "ANGER_CALMNESS"),
    *("SURPRISE_EXPECTATION", "DISTRUST_TRUST", "BOREDOM_INTEREST", "INDIFFERENCE_EMPATHY"),
)
NEUTRAL = [0.0] * len(AXES)
IGNORED_LABEL = -100
CHAT_FIELDS = {"messages"}
TURN_FIELDS = {"role", "content", "emotion"}
TAG = re.compile(r"<emo ([^>]*)>(.*?)</emo>", re.DOTALL)

# A stretch of text: its emotion, or None where a text has none, and whether the model has to learn it.
Piece = tuple[str, list[float] | None, bool]


def make_vector(named: dict[str, float]) -> list[float]:
    """The emotion vector of named poles, such as joy (along SADNESS_JOY) and sadness (against it)."""
    vector = list(NEUTRAL)
    for index, axis in enumerate(AXES):
        negative, positive = axis.lower().split("_")
        vector[index] = named.get(positive, 0.0) - named.get(negative, 0.0)
    return vector


def split_turn(message: dict[str, Any]) -> list[Piece]:
    """The pieces of a turn between the template's own words, without the blanks that the template trims."""
    is_reply = message["role"] == "assistant"
    own = make_vector(message.get("emotion", {})) if is_reply or message.get("emotion") else None
    pieces: list[Piece] = []
    end = 0
    for tag in TAG.finditer(message["content"]):
        named = dict(pair.split("=") for pair in tag[1].split())
        pieces.append((message["content"][end : tag.start()], own, is_reply))
        pieces.append((tag[2], make_vector({name: float(value) for name, value in named.items()}), is_reply))
        end = tag.end()
    pieces.append((message["content"][end:], own, is_reply))
    pieces = [piece for piece in pieces if piece[0]]
    pieces[0] = (pieces[0][0].lstrip(), *pieces[0][1:])
    pieces[-1] = (pieces[-1][0].rstrip(), *pieces[-1][1:])
    return pieces


def write_chat(messages: list[dict[str, Any]]) -> list[Piece]:
    """The pieces of a chat in Gemma's format. The end of a turn belongs to a reply, under its last emotion."""
    pieces: list[Piece] = [("<bos>", None, False)]
    for message in messages:
        role = "model" if message["role"] == "assistant" else "user"
        turn = split_turn(message)
        _, last, is_reply = turn[-1]
        pieces += [
            (f"<start_of_turn>{role}\n", None, False),
            *turn,
            ("<end_of_turn>", last if is_reply else None, is_reply),
        ]
        pieces.append(("\n", None, False))
    return pieces


def check_chat(chat: dict[str, Any]) -> None:
    """Raise ValueError for a chat with anything that would be left out silently."""
    fields = {*chat.keys() - CHAT_FIELDS, *(name for turn in chat["messages"] for name in turn.keys() - TURN_FIELDS)}
    roles = {turn["role"] for turn in chat["messages"]} - {"user", "assistant"}
    if fields or roles:
        raise ValueError(f"this script doesn't know {', '.join(sorted(fields | roles))}: {chat}")


def tokenise(chat: dict[str, Any], tokenizer: Any, max_length: int, *, leads: bool) -> dict[str, list[Any]]:
    """The sample of a chat: input_ids, emotion_vectors and labels, cut to `max_length` tokens.

    With `leads` a position has the emotion of the token that it predicts, as in emotune's default preset, else that of
    its own token.
    """
    check_chat(chat)
    pieces = write_chat(chat["messages"])
    text = "".join(piece[0] for piece in pieces)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    characters = [(emotion, is_reply) for part, emotion, is_reply in pieces for _ in part]
    tokens = [characters[max(end - 1, 0)] for _, end in encoded["offset_mapping"]]
    own = [NEUTRAL if emotion is None else emotion for emotion, _ in tokens]
    ids = encoded["input_ids"]
    labels = [token if is_reply else IGNORED_LABEL for token, (_, is_reply) in zip(ids, tokens, strict=True)]
    vectors = lead(tokens) if leads else own
    return {
        "input_ids": ids[:max_length],
        "emotion_vectors": vectors[:max_length],
        "labels": labels[:max_length],
    }


def lead(tokens: list[tuple[list[float] | None, bool]]) -> list[list[float]]:
    """The emotion at each position: the next token's in a reply; else the text's own, or that of the coming reply."""
    vectors = []
    for index, (emotion, is_reply) in enumerate(tokens):
        coming = [later for later, later_is_reply in tokens[index + 1 :] if later_is_reply and later is not None]
        next_is_reply = index + 1 < len(tokens) and tokens[index + 1][1]
        if emotion is not None and not is_reply and not next_is_reply:
            vectors.append(emotion)
        else:
            vectors.append(coming[0] if coming else NEUTRAL)
    return vectors
