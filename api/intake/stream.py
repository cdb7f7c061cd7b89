"""Receives a dataset: streamed to disk, measured and validated while it arrives, kept only if it is valid."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from fastapi import Request
from starlette.exceptions import HTTPException

from api.intake.multipart import MultipartReader
from api.middleware import lift_body_limit
from emomodel.data.dataset_report import DatasetReport
from emomodel.data.formats.checking import check_records
from emomodel.data.formats.kinds import SNIFFED_BYTES, is_plain_json_lines
from emomodel.data.formats.mapping import LabelMapping
from emomodel.data.formats.records import make_row_reader, read_records
from emomodel.data.formats.rows import CHAT_COLUMNS
from emomodel.data.formats.source import Limits, SourceTooLarge
from emomodel.data.validation import DatasetValidator
from emomodel.emotions import Axes
from jobs.errors import DatasetInvalid, DatasetTooLarge, DigestMismatch
from jobs.files.content import IncomingFile
from jobs.files.storage import Storage
from jobs.settings import MIB, Settings

# How much a thread takes at a time. Less costs more switches between threads, more costs memory per upload.
PIECE_BYTES = MIB
# How many pieces are validated at the same time, over all uploads to a process. Python runs one thread at a time: more
# threads would only delay the answers to other requests.
TAKING_THREADS = 1
# What a form may have besides its file: fields, headers, boundaries, and text before and after them.
MAX_FORM_EXTRA_BYTES = MIB


class FileStream(Protocol):
    """The file of a request: its bytes, and after they are read, the name that came with it."""

    def read(self) -> AsyncIterator[bytes]: ...

    @property
    def name(self) -> str | None: ...


class RawStream:
    """The body is the file, and has no name."""

    name: str | None = None

    def __init__(self, request: Request) -> None:
        self._request = request

    async def read(self) -> AsyncIterator[bytes]:
        async for chunk in self._request.stream():
            yield chunk


class FormStream:
    """The file is a part of a form. `max_bytes` limits the form: what is not the file is counted nowhere else."""

    def __init__(self, request: Request, max_bytes: int) -> None:
        self._request = request
        self._max_bytes = max_bytes
        self._form = MultipartReader(request.headers["content-type"])

    @property
    def name(self) -> str | None:
        return self._form.fields.get("name") or self._form.filename

    async def read(self) -> AsyncIterator[bytes]:
        received_bytes = 0
        async for chunk in self._request.stream():
            received_bytes += len(chunk)
            if received_bytes > self._max_bytes:
                raise DatasetTooLarge(f"The form is larger than the limit of {self._max_bytes} bytes.")
            if chunk:
                yield self._form.feed(chunk)
        self._form.finish()


def is_form(request: Request) -> bool:
    """Whether the body is multipart/form-data; of any other type it is the file itself."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data"


async def in_pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join chunks to pieces of at least PIECE_BYTES, except the last: each piece costs a switch of threads."""
    pending = bytearray()
    async for chunk in chunks:
        pending += chunk
        if len(pending) >= PIECE_BYTES:
            yield bytes(pending)
            pending.clear()
    yield bytes(pending)


def refuse_encoding(request: Request) -> None:
    """Refuse a request with a Content-Encoding, with HTTPException 415: a compressed file is recognised without it."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise HTTPException(415, f"The body is compressed ({encoding[:20]}). Send the file without `Content-Encoding`.")


def open_stream(request: Request, settings: Settings) -> FileStream:
    """Open a request's file. Raises HTTPException 415 for a Content-Encoding, DatasetTooLarge by Content-Length."""
    refuse_encoding(request)
    lift_body_limit(request)
    max_bytes = settings.max_dataset_bytes + (MAX_FORM_EXTRA_BYTES if is_form(request) else 0)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(settings)
    return FormStream(request, max_bytes) if is_form(request) else RawStream(request)


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a file: its axes, and the mapping of its labels."""

    axes: Axes
    mapping: LabelMapping | None = None


@dataclass(frozen=True, slots=True)
class Intake:
    """Two files to write: the one that arrives, and the JSON Lines made of it if it has another format."""

    arriving: IncomingFile
    converted: IncomingFile


@contextmanager
def open_intake(storage: Storage) -> Iterator[Intake]:
    """Open the two files. A file that was not moved to its place by the end of the block is deleted."""
    with storage.receive() as arriving, storage.receive() as converted:
        yield Intake(arriving, converted)


async def take_in(
    stream: FileStream, intake: Intake, reading: Reading, settings: Settings, *, sha256: str | None = None
) -> tuple[DatasetReport, IncomingFile]:
    """Write and validate the file; return its report and the JSON Lines. `sha256` is the digest that should arrive.

    JSON Lines are validated while they arrive. A file of another format, recognized by its beginning, is converted once
    it is complete. Raises DatasetTooLarge, DatasetInvalid and DigestMismatch.
    """
    arriving = intake.arriving
    validator = _make_validator(reading.axes, settings)
    is_plain: bool | None = None

    def take(piece: bytes) -> None:
        nonlocal is_plain
        if is_plain is None:
            is_plain = reading.mapping is None and is_plain_json_lines(piece[:SNIFFED_BYTES], CHAT_COLUMNS)
        arriving.write(piece)
        if is_plain:
            validator.feed(piece)

    async for piece in in_pieces(stream.read()):
        if arriving.size_bytes + len(piece) > settings.max_dataset_bytes:
            raise _too_large(settings)
        await to_thread.run_sync(take, piece, limiter=_get_limiter())
    if sha256 is not None and arriving.sha256 != sha256:
        raise DigestMismatch(f"The file that arrived has the sha256 {arriving.sha256}, not {sha256}.", field="sha256")
    if is_plain:
        report = await to_thread.run_sync(validator.finish)
    else:
        report = await to_thread.run_sync(_convert, intake, validator, reading, settings)
    if not report.ok:
        raise DatasetInvalid(report.model_dump(mode="json"))
    return report, arriving if is_plain else intake.converted


def _get_limiter() -> CapacityLimiter:
    """Return the limiter of this event loop."""
    try:
        return _limiter.get()
    except LookupError:
        limiter = CapacityLimiter(TAKING_THREADS)
        _limiter.set(limiter)
        return limiter


_limiter: RunVar[CapacityLimiter] = RunVar("taking_pieces")


def _make_validator(axes: Axes, settings: Settings) -> DatasetValidator:
    return DatasetValidator(
        axes,
        max_line_bytes=settings.max_line_bytes,
        max_lines=settings.max_dataset_lines,
        max_problems=settings.max_problems,
    )


def _convert(intake: Intake, validator: DatasetValidator, reading: Reading, settings: Settings) -> DatasetReport:
    """Convert the file to JSON Lines. The report's line numbers are those of the file that arrived."""
    intake.arriving.stream.flush()
    limits = Limits(settings.max_dataset_bytes, settings.max_line_bytes)
    records = read_records(intake.arriving.path, make_row_reader(reading.mapping, reading.axes), limits)
    try:
        return check_records(
            records,
            validator,
            intake.converted.write,
            max_bytes=settings.max_dataset_bytes,
            max_problems=settings.max_problems,
        )
    except SourceTooLarge:
        raise _too_large(settings) from None


def _too_large(settings: Settings) -> DatasetTooLarge:
    return DatasetTooLarge(
        f"The dataset is larger than this installation's limit of {settings.max_dataset_bytes} bytes. "
        "Split it, or ask the operator to raise the limit."
    )
