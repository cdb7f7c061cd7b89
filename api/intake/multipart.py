"""multipart/form-data as a stream: one file, whose bytes are handed on as they come, and a few short fields.

Starlette's own parser would write the file to the temporary folder first, and so twice.
"""

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException

FILE_FIELD = "file"
MAX_FIELD_COUNT = 16
MAX_FIELD_BYTES = 4096

_FILE_ADVICE = f"file into the field `{FILE_FIELD}`: curl -F {FILE_FIELD}=@chats.jsonl"


class MultipartReader:
    """Takes a form's body in chunks and returns the file's bytes. Raises HTTPException 400 for a malformed form."""

    def __init__(self, content_type: str) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise HTTPException(400, "The Content-Type has no boundary. Let your HTTP client write the header.")
        self.filename: str | None = None
        self.fields: dict[str, str] = {}
        self.is_file_complete = False
        self._field_count = 0
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = b""
        self._field_name = ""
        self._field_value = bytearray()
        self._in_file = False
        self._file_bytes = bytearray()
        self._is_ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._add_header_name,
                    "on_header_value": self._add_header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._add_data,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _malformed(error) from error

    def feed(self, chunk: bytes) -> bytes:
        """Return the file's bytes within the chunk."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _malformed(error) from error
        found = bytes(self._file_bytes)
        self._file_bytes.clear()
        return found

    def finish(self) -> None:
        """Check that the form is complete and has a file. Raises HTTPException 400."""
        if not self._is_ended:
            raise HTTPException(400, "The form breaks off before its end. Send it again.")
        if not self.is_file_complete:
            raise HTTPException(400, f"The form has no file. Put the {_FILE_ADVICE}")

    def _begin_part(self) -> None:
        self._disposition = b""
        self._field_value.clear()
        self._header_name.clear()
        self._header_value.clear()

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._field_name = options.get(b"name", b"").decode(errors="replace")
        self._in_file = self._field_name == FILE_FIELD
        if self._in_file:
            if self.is_file_complete:
                raise HTTPException(400, "The form has two files; upload one at a time.")
            self.filename = options.get(b"filename", b"").decode(errors="replace") or None
            return
        if options.get(b"filename"):
            raise HTTPException(400, f"The form's field `{self._field_name[:40]}` holds a file; put the {_FILE_ADVICE}")
        # Each occurrence: a field that comes again replaces the one before, and takes as long to read.
        self._field_count += 1
        if self._field_count > MAX_FIELD_COUNT:
            raise HTTPException(400, f"The form has more than {MAX_FIELD_COUNT} fields.")

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._file_bytes += data[start:end]
            return
        self._field_value += data[start:end]
        if len(self._field_value) > MAX_FIELD_BYTES:
            raise HTTPException(
                400, f"The form's field `{self._field_name[:40]}` is longer than {MAX_FIELD_BYTES} bytes."
            )

    def _end_part(self) -> None:
        if self._in_file:
            self.is_file_complete = True
        else:
            self.fields[self._field_name] = self._field_value.decode(errors="replace")

    def _end(self) -> None:
        self._is_ended = True


def _malformed(error: FormParserError) -> HTTPException:
    return HTTPException(400, f"The form can't be read: {error}.")
