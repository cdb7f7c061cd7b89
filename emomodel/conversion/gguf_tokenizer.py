"""The tokenizer of a Gemma 3, rebuilt from the vocabulary in its GGUF file.

A SentencePiece BPE model has no list of merges: its pieces and their scores imply it. This module derives the list, and
writes the `tokenizer.json` that Hugging Face's tokenizers read. For Gemma 3 it equals Google's own file, piece by piece
and merge by merge, except for `<image_soft_token>`, which has no embedding in a text model.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emomodel.conversion.folder import GgufInvalid
from emomodel.conversion.gguf_file import GgufValue

PIECES_KEY = "tokenizer.ggml.tokens"
SCORES_KEY = "tokenizer.ggml.scores"
KINDS_KEY = "tokenizer.ggml.token_type"

# The kinds of piece in SentencePiece's model format.
NORMAL, CONTROL, USER_DEFINED, BYTE = 1, 3, 4, 6
# SentencePiece gives the pieces that the model's makers added by hand the score 0, so that they merge first. GGUF files
# give them -1000.
USER_DEFINED_SCORE = 0.0

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
END_OF_TURN = "<end_of_turn>"
# Decoding with skip_special_tokens leaves these out, and the four tokens that the file names.
_MARKERS = ("<start_of_turn>", END_OF_TURN, "<start_of_image>", "<end_of_image>")


@dataclass(frozen=True)
class Vocabulary:
    """The pieces by id, with scores and kinds; a space is U+2581. The four ids are those of special pieces."""

    pieces: Sequence[str]
    scores: Sequence[float]
    kinds: Sequence[int]
    pad_id: int
    eos_id: int
    bos_id: int
    unk_id: int

    @property
    def end_ids(self) -> list[int]:
        """The ids at which generation ends: the end of a text, and the end of a turn if the vocabulary has it."""
        return [self.eos_id] + [id_ for id_, piece in enumerate(self.pieces) if piece == END_OF_TURN]


def vocabulary_from_gguf(values: Mapping[str, GgufValue]) -> Vocabulary:
    """Read the vocabulary from the metadata of a GGUF file. Raises GgufInvalid."""
    model = values.get("tokenizer.ggml.model")
    if model != "llama":  # llama.cpp's name for a SentencePiece BPE
        raise GgufInvalid(f"the file's tokenizer is {model!r}; only a SentencePiece BPE ('llama') can be rebuilt")
    pieces, scores, kinds = (_list(values, key) for key in (PIECES_KEY, SCORES_KEY, KINDS_KEY))
    if not len(pieces) == len(scores) == len(kinds) > 0:
        raise GgufInvalid(f"there are {len(pieces)} pieces, {len(scores)} scores and {len(kinds)} kinds")
    pieces = [str(piece).replace(" ", SPACE) for piece in pieces]
    if len(set(pieces)) < len(pieces):
        raise GgufInvalid("the vocabulary has a piece twice")
    duties = ("padding", "eos", "bos", "unknown")
    pad_id, eos_id, bos_id, unk_id = (_id(values, f"tokenizer.ggml.{duty}_token_id", len(pieces)) for duty in duties)
    return Vocabulary(pieces, scores, kinds, pad_id=pad_id, eos_id=eos_id, bos_id=bos_id, unk_id=unk_id)


def _list(values: Mapping[str, GgufValue], key: str) -> list[Any]:
    value = values.get(key)
    if not isinstance(value, list):
        raise GgufInvalid(f"the file has no {key}")
    return value


def _id(values: Mapping[str, GgufValue], key: str, size: int) -> int:
    value = values.get(key)
    if not isinstance(value, int) or not 0 <= value < size:
        raise GgufInvalid(f"{key} is {value!r}, not an id of the vocabulary")
    return value


def derive_merges(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """Return the merges that the pieces imply: every split of a piece into two known pieces, by descending score.

    With equal scores the longer left half is first, then the longer right half, then the smaller ids. This is the order
    of Hugging Face's converter of SentencePiece models.
    """
    ids = {piece: id_ for id_, piece in enumerate(vocabulary.pieces)}
    ranked: list[tuple[float, int, int, str, str]] = []
    for piece, given_score, kind in zip(vocabulary.pieces, vocabulary.scores, vocabulary.kinds, strict=True):
        if kind not in (NORMAL, USER_DEFINED):
            continue
        score = USER_DEFINED_SCORE if kind == USER_DEFINED else given_score
        cuts = range(1, len(piece))
        splits = [(left, right) for cut in cuts if (left := piece[:cut]) in ids and (right := piece[cut:]) in ids]
        splits.sort(key=lambda split: (ids[split[0]], ids[split[1]]))
        ranked += [(score, len(left), len(right), left, right) for left, right in splits]
    ranked.sort(key=lambda merge: merge[:3], reverse=True)  # stable: equals stay in the order of ids
    return [merge[3:] for merge in ranked]


def build_tokenizer(vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the content of `tokenizer.json`."""
    bos = vocabulary.pieces[vocabulary.bos_id]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added_tokens(vocabulary),
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        # Splits nothing, since the normalizer leaves no space. Google's file has it, and readers recognise Gemma by it.
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": False,
        },
        "post_processor": _bos_in_front(bos, vocabulary.bos_id),
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": vocabulary.pieces[vocabulary.unk_id],
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {piece: id_ for id_, piece in enumerate(vocabulary.pieces)},
            "merges": derive_merges(vocabulary),
        },
    }


def _added_tokens(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """The pieces that are matched in the raw text before any merge: control tokens, and those added by hand."""
    special = {vocabulary.pad_id, vocabulary.eos_id, vocabulary.bos_id, vocabulary.unk_id}
    special |= {id_ for id_, piece in enumerate(vocabulary.pieces) if piece in _MARKERS}
    whole = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return [
        {"id": id_, "content": piece, **whole, "special": id_ in special}
        for id_, (piece, kind) in enumerate(zip(vocabulary.pieces, vocabulary.kinds, strict=True))
        if kind in (CONTROL, USER_DEFINED)
    ]


def _bos_in_front(bos: str, bos_id: int) -> dict[str, Any]:
    def text(name: str, type_id: int) -> list[dict[str, Any]]:
        return [{"SpecialToken": {"id": bos, "type_id": type_id}}, {"Sequence": {"id": name, "type_id": type_id}}]

    return {
        "type": "TemplateProcessing",
        "single": text("A", 0),
        "pair": text("A", 0) + text("B", 1),
        "special_tokens": {bos: {"id": bos, "ids": [bos_id], "tokens": [bos]}},
    }


def write_tokenizer(folder: Path, vocabulary: Vocabulary, *, chat_template: str, max_tokens: int) -> None:
    """Write the files from which AutoTokenizer loads the tokenizer, which pads on the right and puts <bos> in front.

    Raises OSError.
    """
    pieces = vocabulary.pieces
    config = {
        "tokenizer_class": "GemmaTokenizer",
        "bos_token": pieces[vocabulary.bos_id],
        "eos_token": pieces[vocabulary.eos_id],
        "pad_token": pieces[vocabulary.pad_id],
        "unk_token": pieces[vocabulary.unk_id],
        "add_bos_token": True,
        "add_eos_token": False,
        "model_max_length": max_tokens,
        "padding_side": "right",
        "clean_up_tokenization_spaces": False,
        "spaces_between_special_tokens": False,
    }
    tokenizer = json.dumps(build_tokenizer(vocabulary), ensure_ascii=False)
    (folder / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(chat_template, encoding="utf-8")
