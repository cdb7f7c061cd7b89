"""A dataset on its way in: streamed to disk, measured and validated as it comes, kept only if it is in order."""

from collections.abc import AsyncIterator
from typing import Protocol

from anyio import to_thread
from fastapi import Request
from starlette.exceptions import HTTPException

from api.middleware import lift_body_limit
from api.multipart import MultipartReader
from emomodel.dataset_report import DatasetReport
from emomodel.emotions import Axes
from emomodel.validation import DatasetValidator
from jobs.errors import DatasetInvalid, DatasetTooLarge
from jobs.settings import MIB, Settings
from jobs.storage import IncomingFile

# What a worker thread takes at a time. Less costs more switches between threads, more costs memory per upload.
PIECE_BYTES = MIB
# Of a form: its fields, headers and boundaries, and what may stand before and after them.
MAX_FORM_EXTRA_BYTES = MIB


class FileStream(Protocol):
    """The file of a request: its bytes, and once they are through, the name that came with it."""

    def read(self) -> AsyncIterator[bytes]: ...

    @property
    def name(self) -> str | None: ...


class RawStream:
    """The body is the file, and brings no name."""

    name: str | None = None

    def __init__(self, request: Request) -> None:
        self._request = request

    async def read(self) -> AsyncIterator[bytes]:
        async for chunk in self._request.stream():
            yield chunk


class FormStream:
    """The file is a part of a form. `max_bytes` bounds the whole: what is not the file counts nowhere else."""

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
                raise DatasetTooLarge(f"The form is larger than the {self._max_bytes} bytes that a form may have.")
            if chunk:
                yield self._form.feed(chunk)
        self._form.finish()


def is_form(request: Request) -> bool:
    """Whether the body is multipart/form-data; of any other type it is the file itself."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data"


def open_stream(request: Request, settings: Settings) -> FileStream:
    """Raises HTTPException 415 for a compressed body, and DatasetTooLarge when the size it declares is too large."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise HTTPException(415, f"The body is compressed ({encoding[:20]}). Send the file as it is.")
    lift_body_limit(request)
    max_bytes = settings.max_dataset_bytes + (MAX_FORM_EXTRA_BYTES if is_form(request) else 0)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(settings)
    return FormStream(request, max_bytes) if is_form(request) else RawStream(request)


async def take_in(stream: FileStream, incoming: IncomingFile, axes: Axes, settings: Settings) -> DatasetReport:
    """Write and validate the whole file; returns its report. Raises DatasetTooLarge and DatasetInvalid."""
    validator = DatasetValidator(
        axes,
        max_line_bytes=settings.max_line_bytes,
        max_lines=settings.max_dataset_lines,
        max_problems=settings.max_problems,
    )

    def take(piece: bytes) -> None:
        incoming.write(piece)
        validator.feed(piece)

    pending = bytearray()
    async for chunk in stream.read():
        pending += chunk
        if incoming.size_bytes + len(pending) > settings.max_dataset_bytes:
            raise _too_large(settings)
        if len(pending) >= PIECE_BYTES:
            piece = bytes(pending)
            pending.clear()
            await to_thread.run_sync(take, piece)
    await to_thread.run_sync(take, bytes(pending))
    report = await to_thread.run_sync(validator.finish)
    if not report.ok:
        raise DatasetInvalid(report.model_dump(mode="json"))
    return report


def _too_large(settings: Settings) -> DatasetTooLarge:
    return DatasetTooLarge(
        f"The dataset is larger than the {settings.max_dataset_bytes} bytes that this installation takes. "
        "Split it, or ask the operator to raise the limit."
    )
