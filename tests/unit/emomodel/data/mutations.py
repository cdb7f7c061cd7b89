"""Lines broken at random, as disks, editors and scripts break them. A seed gives the same lines each time."""

from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[4]

# These pieces are inserted: parts of JSON, of tags and of UTF-8, and names that have a meaning. None has a newline, so
# that a line stays one line.
PIECES = (
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b":",
        b",",
        b"\\",
        b'\\"',
        b"\\u00",
        b"\\ud83d",
        b"\\u0065",
        b" ",
        b"\t",
        b"\r",
        b"\x00",
    ),
    *(b"<emo joy=0.5>", b"</emo>", b"<emo>", b"<emo joy=2>", b"<", b">", b"\\\\<emo joy>", b"<bos>", b"<|im_end|>"),
    *(b"\xff", b"\xc3", b"\xa9", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xf0\x9f\x98\x80", b"\xe2\x80\xa8"),
    *(b"NaN", b"null", b"true", b"1e999", b"-1", b'"id": 7, ', b'"role": "user", ', b'"emotion": {"joy": 0.5}, '),
    *(b'"weight": 0, ', b"[multimodal]", b'"content"', b'"messages"', b"assistant", b"system", b"model", b"user"),
)


def mutate(line: bytes, random: Random) -> bytes:
    """Return the line with one to three changes, some of which leave it valid."""
    for _ in range(random.randint(1, 3)):
        start = random.randint(0, len(line))
        end = min(len(line), start + random.choice((0, 0, 1, 2, 8, 40)))
        change = random.randrange(4)
        if change == 0:
            line = line[:start] + random.choice(PIECES) + line[end:]
        elif change == 1:
            line = line[:start] + line[end:]
        elif change == 2:
            line = line[:end] + line[start:end] + line[end:]
        else:
            line = line[:start] + bytes([random.randrange(256)]) + line[start + 1 :]
    return line.replace(b"\n", b" ")
