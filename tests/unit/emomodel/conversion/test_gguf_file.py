"""The GGUF reader, tested with files that are written here byte by byte, as the format is described."""

import struct
from pathlib import Path

import pytest

from emomodel.conversion.folder import GgufInvalid
from emomodel.conversion.gguf_file import copy_gguf, read_gguf_header

UINT8, INT32, UINT32, FLOAT32, BOOL, STRING, ARRAY, UINT64, FLOAT64 = 0, 5, 4, 6, 7, 8, 9, 10, 12
TENSOR_DATA = bytes(range(96))


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def pair(key: str, kind: int, value: bytes) -> bytes:
    return string(key) + struct.pack("<I", kind) + value


def strings(key: str, texts: list[str]) -> bytes:
    head = struct.pack("<IQ", STRING, len(texts))
    return pair(key, ARRAY, head + b"".join(string(text) for text in texts))


def gguf(*pairs: bytes, alignment: int = 32) -> bytes:
    """Write a file with these pairs and one tensor of 24 float32 numbers."""
    info = string("tensor") + struct.pack("<IQIQ", 1, 24, 0, 0)
    start = struct.pack("<4sIQQ", b"GGUF", 3, 1, len(pairs)) + b"".join(pairs) + info
    return start + bytes(-len(start) % alignment) + TENSOR_DATA


PAIRS = (
    pair("general.architecture", STRING, string("gemma3")),
    pair("a.byte", UINT8, b"\x07"),
    pair("a.count", UINT32, struct.pack("<I", 4_000_000_000)),
    pair("a.long", UINT64, struct.pack("<Q", 2**40)),
    pair("a.flag", BOOL, b"\x01"),
    pair("a.half", FLOAT64, struct.pack("<d", 0.5)),
    strings("a.words", ["", "né", "\u2581x"]),
    pair("a.scores", ARRAY, struct.pack("<IQ3f", FLOAT32, 3, 0.0, -1.0, -2.5)),
    pair("a.kinds", ARRAY, struct.pack("<IQ2i", INT32, 2, 1, -6)),
)


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(gguf(*PAIRS))
    header = read_gguf_header(tmp_path / "model.gguf")
    assert header.values == {
        "general.architecture": "gemma3",
        "a.byte": 7,
        "a.count": 4_000_000_000,
        "a.long": 2**40,
        "a.flag": True,
        "a.half": 0.5,
        "a.words": ["", "né", "\u2581x"],
        "a.scores": [0.0, -1.0, -2.5],
        "a.kinds": [1, -6],
    }


@pytest.mark.parametrize("alignment", [32, 64])
def test_a_copy_lacks_the_pairs_left_out_and_has_the_same_tensors(tmp_path: Path, alignment: int) -> None:
    source, target = tmp_path / "model.gguf", tmp_path / "copy.gguf"
    pairs = (*PAIRS, pair("general.alignment", UINT32, struct.pack("<I", alignment)))
    source.write_bytes(gguf(*pairs, alignment=alignment))
    header = read_gguf_header(source)
    copy_gguf(source, target, header, without=("a.words", "a.scores"), numbers={"a.count": 5, "a.new": 6})
    copied = read_gguf_header(target)
    assert "a.words" not in copied.values
    assert "a.scores" not in copied.values
    assert copied.values | {"a.words": [], "a.scores": []} == header.values | {
        "a.words": [],
        "a.scores": [],
        "a.count": 5,
        "a.new": 6,
    }
    assert copied.raw_tensor_infos == header.raw_tensor_infos
    assert copied.data_start % alignment == 0
    assert target.read_bytes()[copied.data_start :] == TENSOR_DATA


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GGUF",
        b"GGML" + gguf(*PAIRS)[4:],
        gguf(*PAIRS)[:4] + struct.pack("<I", 1) + gguf(*PAIRS)[8:],
        gguf(*PAIRS)[:200],
        gguf(pair("a", 99, b"")),
        gguf(pair("a", ARRAY, struct.pack("<IQ", FLOAT32, 2**60))),
        gguf(pair("a", STRING, struct.pack("<Q", 2) + b"\xff\xff")),
        gguf(pair("a", STRING, struct.pack("<Q", 2**60))),
        gguf(pair("general.alignment", UINT32, bytes(4))),
    ],
    ids=[
        "empty",
        "cut in the head",
        "other magic",
        "old version",
        "cut",
        "unknown type",
        "huge array",
        "not UTF-8",
        "huge string",
        "alignment 0",
    ],
)
def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.gguf").write_bytes(content)
    with pytest.raises(GgufInvalid):
        read_gguf_header(tmp_path / "model.gguf")
