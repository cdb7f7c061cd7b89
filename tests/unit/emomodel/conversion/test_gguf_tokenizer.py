"""Merges and tokenizer files of small vocabularies; the real vocabulary is tested in tests/model."""

from typing import Any

import pytest

from emomodel.conversion.folder import GgufInvalid
from emomodel.conversion.gguf_file import GgufValue
from emomodel.conversion.gguf_tokenizer import (
    BYTE,
    CONTROL,
    KINDS_KEY,
    NORMAL,
    PIECES_KEY,
    SCORES_KEY,
    SPACE,
    USER_DEFINED,
    Vocabulary,
    build_tokenizer,
    derive_merges,
    vocabulary_from_gguf,
)

CONTROLS = [(name, -1000.0, CONTROL) for name in ("<pad>", "<eos>", "<bos>", "<unk>")]


def vocabulary(*pieces: tuple[str, float, int]) -> Vocabulary:
    texts, scores, kinds = zip(*CONTROLS, *pieces, strict=True)
    return Vocabulary(texts, scores, kinds, pad_id=0, eos_id=1, bos_id=2, unk_id=3)


def normal(*pieces: str) -> list[tuple[str, float, int]]:
    """Return normal pieces with descending scores, as SentencePiece's BPE gives them."""
    return [(piece, -float(rank), NORMAL) for rank, piece in enumerate(pieces)]


def test_merges_are_every_split_into_known_pieces_by_falling_score() -> None:
    merges = derive_merges(vocabulary(*normal("ab", "bc", "abc", "a", "b", "c")))
    # Two merges make "abc"; the one with the longer left half is first.
    assert merges == [("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc")]


def test_merges_follow_the_scores_and_not_the_ids() -> None:
    merges = derive_merges(vocabulary(("ab", -5.0, NORMAL), ("bc", -1.0, NORMAL), *normal("a", "b", "c")))
    assert merges == [("b", "c"), ("a", "b")]


def test_equal_scores_go_by_longer_left_half_then_longer_right_half_then_id() -> None:
    pieces = [(piece, -1.0, NORMAL) for piece in ("cd", "ab", "abab", "aba", "a", "b", "c", "d")]
    merges = derive_merges(vocabulary(*pieces))
    assert merges == [("aba", "b"), ("ab", "ab"), ("ab", "a"), ("c", "d"), ("a", "b")]


def test_pieces_added_by_hand_merge_before_all_others() -> None:
    merges = derive_merges(vocabulary(("ab", -1.0, NORMAL), ("cc", -1000.0, USER_DEFINED), *normal("a", "b", "c")))
    assert merges == [("c", "c"), ("a", "b")]


def test_control_and_byte_pieces_never_come_from_a_merge() -> None:
    pieces = [("ab", -1.0, CONTROL), ("<0x41>", -1.0, BYTE), *normal("a", "b", "<0x4", "1>")]
    assert derive_merges(vocabulary(*pieces)) == []


def test_a_piece_without_a_known_split_has_no_merge() -> None:
    assert derive_merges(vocabulary(*normal("xyz", "x", "y", "z"))) == []


def test_control_pieces_and_those_added_by_hand_are_found_whole_and_only_some_are_special() -> None:
    pieces = [("<start_of_turn>", -1000.0, CONTROL), ("<b>", -1000.0, USER_DEFINED), ("<0x0A>", 0.0, BYTE)]
    tokens = build_tokenizer(vocabulary(*pieces, *normal("a")))["added_tokens"]
    assert {token["content"]: token["special"] for token in tokens} == {
        "<pad>": True,
        "<eos>": True,
        "<bos>": True,
        "<unk>": True,
        "<start_of_turn>": True,
        "<b>": False,
    }
    assert [token["id"] for token in tokens] == [0, 1, 2, 3, 4, 5]


def test_generation_ends_at_the_end_of_a_turn_too() -> None:
    assert vocabulary(("<end_of_turn>", -1000.0, CONTROL)).end_ids == [1, 4]
    assert vocabulary().end_ids == [1]


def gguf_values(**changes: Any) -> dict[str, GgufValue]:
    values: dict[str, GgufValue] = {
        "tokenizer.ggml.model": "llama",
        PIECES_KEY: ["<pad>", "<eos>", "<bos>", "<unk>", "  ", "a"],
        SCORES_KEY: [-1000.0, -1000.0, -1000.0, -1000.0, -1000.0, 0.0],
        KINDS_KEY: [CONTROL, CONTROL, CONTROL, CONTROL, USER_DEFINED, NORMAL],
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 3,
    }
    return values | {key.replace("__", "."): value for key, value in changes.items()}


def test_spaces_in_pieces_become_the_block_character() -> None:
    read = vocabulary_from_gguf(gguf_values())
    assert read.pieces[4] == SPACE * 2
    assert (read.pad_id, read.eos_id, read.bos_id, read.unk_id) == (0, 1, 2, 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"tokenizer__ggml__model": "gpt2"},
        {"tokenizer__ggml__tokens": "none"},
        {"tokenizer__ggml__scores": [0.0]},
        {"tokenizer__ggml__tokens": ["<pad>", "<eos>", "<bos>", "<unk>", "a", "a"]},
        {"tokenizer__ggml__tokens": ["<pad>", "<eos>", "<bos>", "<unk>", " ", SPACE]},
        {"tokenizer__ggml__bos_token_id": 6},
        {"tokenizer__ggml__bos_token_id": "2"},
    ],
)
def test_a_vocabulary_that_makes_no_tokenizer_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(GgufInvalid):
        vocabulary_from_gguf(gguf_values(**changes))
