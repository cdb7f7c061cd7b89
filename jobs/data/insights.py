"""How a base model sees a dataset: a preview, and token statistics, which are stored.

statistics/KEY.json             a report, or why there is none
statistics/waiting/KEY.json     what the housekeeping is still to compute (worker/housekeeping/statistics.py)

KEY is the hash of all that a report depends on: content and axes of the dataset, tokenizer, max_length. So teams with
the same file share what was computed of it. [no torch: only the tokenizer]
"""

import functools
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from emomodel.config import EmotionSpan
from emomodel.data.problems import ExampleError
from emomodel.emotions import Axes
from emomodel.insights.preview import PreviewPage, preview_page
from emomodel.insights.token_report import TokenReport
from emomodel.insights.token_statistics import compute_statistics
from emomodel.samples.chat import ChatFormat
from emomodel.samples.chat_text import ChatError
from emomodel.samples.light_tokenizer import hash_tokenizer, load_light_tokenizer, stat_tokenizer
from jobs.base_models.base_model import ListedModel
from jobs.errors import DatasetNotFound, DatasetOutdated, StatisticsFailed, TokenizerUnusable
from jobs.files.storage import Storage
from jobs.models import Dataset

# Statistics of a file of this size take about a second; those of larger ones are computed in the background.
SMALL_BYTES = 2 * 1024**2
# Part of every key. Increase it whenever the content of a report changes.
REPORT_FORMAT = 2
# How long a failure is reported before the same request is tried again.
FAILURE_SECONDS = 3600
# A computation that dies takes its process with it, so that it can't report the reason.
MAX_ATTEMPTS = 3
WAITING_PREFIX = "statistics/waiting/"
# A large vocabulary takes about 350 MiB.
_LOADED_TOKENIZERS = 2


@dataclass(frozen=True)
class LoadedTokenizer:
    """A base model's chat format, and the hash of the files that it was made from."""

    chat_format: ChatFormat
    sha256: str


class StatisticsRequest(BaseModel):
    """A request for the statistics of a dataset; `attempt_count` is the number of tries so far."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset_id: str
    dataset_sha256: str
    axes: tuple[str, ...]
    base_model: str
    tokenizer_sha256: str
    max_length: int
    attempt_count: int = 0

    @property
    def key(self) -> str:
        parts = [REPORT_FORMAT, self.dataset_sha256, self.axes, self.tokenizer_sha256, self.max_length]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class _Outcome(BaseModel):
    """The content of KEY.json: a report or a failure."""

    report: TokenReport | None = None
    failure: str | None = None


class StatisticsStore:
    """The stored reports, and the requests that wait to be computed."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def find(self, request: StatisticsRequest) -> TokenReport | None:
        """The report, or None when it is not computed yet. Raises StatisticsFailed."""
        try:
            content, written_at = self._storage.read_note(_make_key(request))
            outcome = _Outcome.model_validate_json(content)
        except (FileNotFoundError, ValidationError):
            return None
        if outcome.failure is not None and time.time() - written_at < FAILURE_SECONDS:
            raise StatisticsFailed(outcome.failure)
        return outcome.report

    def put(self, request: StatisticsRequest, report: TokenReport) -> None:
        self._write(_make_key(request), _Outcome(report=report))
        self.forget(request)

    def fail(self, request: StatisticsRequest, message: str) -> None:
        """Record a failure; `find` raises it for FAILURE_SECONDS."""
        self._write(_make_key(request), _Outcome(failure=message))
        self.forget(request)

    def wait(self, request: StatisticsRequest) -> None:
        """Leave the request to the housekeeping worker, unless it waits there already."""
        key = _make_waiting_key(request)
        if self._storage.store.find(key) is None:
            self._write(key, request)

    def note_attempt(self, request: StatisticsRequest) -> StatisticsRequest:
        """Count a try. Call it before the computation, so that a try that kills the process is counted."""
        tried = request.model_copy(update={"attempt_count": request.attempt_count + 1})
        self._write(_make_waiting_key(request), tried)
        return tried

    def forget(self, request: StatisticsRequest) -> None:
        self._storage.store.delete(_make_waiting_key(request))

    def has_waiting(self) -> bool:
        return bool(self._storage.store.list_names(WAITING_PREFIX))

    def list_waiting(self) -> Iterator[StatisticsRequest]:
        """The waiting requests, oldest first."""
        for file in sorted(self._storage.store.list(WAITING_PREFIX), key=lambda file: file.modified_at):
            try:
                yield StatisticsRequest.model_validate_json(self._storage.read_note(file.key)[0])
            except FileNotFoundError:
                continue
            except ValidationError:
                # Written by an earlier release; the client will request it again.
                self._storage.store.delete(file.key)

    def _write(self, key: str, content: BaseModel) -> None:
        self._storage.put_note(key, content.model_dump_json().encode())


def _make_key(request: StatisticsRequest) -> str:
    return f"statistics/{request.key}.json"


def _make_waiting_key(request: StatisticsRequest) -> str:
    return f"{WAITING_PREFIX}{request.key}.json"


def load_tokenizer(model: ListedModel) -> LoadedTokenizer:
    """The tokenizer of a base model in a folder. Raises TokenizerUnusable."""
    if not model.is_folder:
        raise TokenizerUnusable(
            f"The base model {model.name!r} is loaded from a model hub, so its tokenizer is not available here. "
            "The operator can list a folder with the downloaded model instead.",
            field="base_model",
        )
    folder = Path(model.path).expanduser()
    try:
        return _load_tokenizer(folder, stat_tokenizer(folder))
    except ChatError as error:
        message = f"The tokenizer of the base model {model.name!r} can't be used: {error}."
        raise TokenizerUnusable(message, field="base_model") from error


def get_statistics(
    storage: Storage, dataset: Dataset, model: ListedModel, *, max_length: int
) -> tuple[StatisticsRequest, TokenReport | None]:
    """The request and its report, which is None while it is being computed.

    Raises TokenizerUnusable, StatisticsFailed, DatasetNotFound and DatasetOutdated.
    """
    tokenizer = load_tokenizer(model)
    request = StatisticsRequest(
        dataset_id=dataset.id,
        dataset_sha256=dataset.sha256,
        axes=tuple(dataset.axes),
        base_model=model.name,
        tokenizer_sha256=tokenizer.sha256,
        max_length=max_length,
    )
    store = StatisticsStore(storage)
    report = store.find(request)
    if report is not None:
        return request, report
    if dataset.size_bytes > SMALL_BYTES:
        store.wait(request)
        return request, None
    report = compute_report(storage, request, tokenizer.chat_format)
    store.put(request, report)
    return request, report


def compute_report(storage: Storage, request: StatisticsRequest, chat_format: ChatFormat) -> TokenReport:
    """Compute the statistics. Raises DatasetNotFound when the dataset is deleted meanwhile, and DatasetOutdated."""
    with _reading():
        path = storage.fetch_dataset(request.dataset_id)
        return compute_statistics(path, Axes(request.axes), chat_format, request.max_length)


def get_preview(
    storage: Storage,
    dataset: Dataset,
    model: ListedModel,
    *,
    offset: int,
    limit: int,
    max_length: int,
    rule: EmotionSpan,
) -> PreviewPage:
    """Return examples from `offset` on, as the model sees them.

    Raises TokenizerUnusable, DatasetNotFound and DatasetOutdated.
    """
    chat_format = load_tokenizer(model).chat_format
    axes = Axes(tuple(dataset.axes))
    with _reading():
        path = storage.fetch_dataset(dataset.id)
        return preview_page(path, axes, chat_format, offset=offset, limit=limit, max_length=max_length, rule=rule)


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DatasetNotFound(field="dataset_id") from error
    except ExampleError as error:
        raise DatasetOutdated(f"The dataset has to be uploaded again: {error}", field="dataset_id") from error


@functools.lru_cache(maxsize=_LOADED_TOKENIZERS)
def _load_tokenizer(folder: Path, _stamp: tuple[tuple[int, int], ...]) -> LoadedTokenizer:
    """Load a tokenizer, cached. `_stamp` changes whenever one of its files does."""
    return LoadedTokenizer(ChatFormat(load_light_tokenizer(folder)), hash_tokenizer(folder))
