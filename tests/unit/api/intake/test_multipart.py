"""The streaming form reader gives the same result for every way in which a form is cut into pieces."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from api.intake.multipart import MAX_FIELD_BYTES, MAX_FIELD_COUNT, MultipartReader

CONTENT_TYPE = "multipart/form-data; boundary=cut"
# This content looks like the boundary in many places, but never is the boundary.
FILE = b"one\r\n--cu\r\n--CUT\r\n\r\n--\r\ntwo\n\r"


def make_part(name: str, value: bytes, filename: str | None = None) -> bytes:
    disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename else "")
    return f"--cut\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + value + b"\r\n"


FORM = (
    make_part("name", "Zoë".encode())
    + make_part("file", FILE, "chats.jsonl")
    + make_part("more", b"x")
    + b"--cut--\r\n"
)


@given(st.sets(st.integers(min_value=0, max_value=len(FORM)), max_size=12))
def test_the_file_is_the_same_however_the_form_is_cut(places: set[int]) -> None:
    reader = MultipartReader(CONTENT_TYPE)
    cuts = [0, *sorted(places), len(FORM)]
    found = b"".join(reader.feed(FORM[start:end]) for start, end in itertools.pairwise(cuts) if start < end)
    reader.finish()
    assert found == FILE
    assert reader.filename == "chats.jsonl"
    assert reader.fields == {"name": "Zoë", "more": "x"}


@pytest.mark.parametrize("length", range(len(FORM) - len(b"--\r\n")))
def test_a_form_that_breaks_off_is_refused(length: int) -> None:
    reader = MultipartReader(CONTENT_TYPE)
    reader.feed(FORM[:length])
    with pytest.raises(HTTPException, match="breaks off"):
        reader.finish()


def test_fields_are_bounded() -> None:
    reader = MultipartReader(CONTENT_TYPE)
    with pytest.raises(HTTPException, match="longer than"):
        reader.feed(make_part("name", b"x" * (MAX_FIELD_BYTES + 1)))
    reader = MultipartReader(CONTENT_TYPE)
    with pytest.raises(HTTPException, match="more than"):
        reader.feed(b"".join(make_part(f"field{number}", b"") for number in range(MAX_FIELD_COUNT + 1)))
    reader = MultipartReader(CONTENT_TYPE)
    with pytest.raises(HTTPException, match="more than"):
        reader.feed(make_part("again", b"") * (MAX_FIELD_COUNT + 1))


def test_a_file_in_another_field_is_refused_with_the_right_field() -> None:
    with pytest.raises(HTTPException, match="`wrong` holds a file; put the file into the field `file`: curl -F file=@"):
        MultipartReader(CONTENT_TYPE).feed(make_part("wrong", FILE, "chats.jsonl"))
