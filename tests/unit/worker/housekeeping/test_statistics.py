"""Statistics in the background: in this process, and in the process that the housekeeping starts."""

import json
from pathlib import Path

import pytest

from jobs.base_models.base_model import ListedModel
from jobs.data.insights import MAX_ATTEMPTS, SMALL_BYTES, StatisticsRequest, StatisticsStore, get_statistics
from jobs.doorbell import HOUSEKEEPING_QUEUE
from jobs.errors import StatisticsFailed
from jobs.files.keys import make_dataset_key
from jobs.files.storage import Storage
from jobs.models import Dataset
from jobs.settings import Settings
from tests.support.tiny_tokenizer import write_tiny_tokenizer
from worker.app import make_worker
from worker.housekeeping.statistics import STATISTICS_TASK, StatisticsProcess, compute_waiting

LINE = {"messages": [{"role": "user", "content": "How was it?"}, {"role": "assistant", "content": "Fine."}]}


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return Storage(settings.data_dir)


@pytest.fixture
def request_for(settings: Settings, storage: Storage) -> StatisticsRequest:
    """Return a waiting request for a dataset of one chat whose row says that it is large."""
    folder = write_tiny_tokenizer(Path(settings.base_models["tiny-gemma"]))
    dataset = Dataset(id="ds_" + "0" * 26, sha256="0" * 64, size_bytes=SMALL_BYTES + 1, axes=["A_B", "C_D"])
    path = storage.root / make_dataset_key(dataset.id)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(LINE) + "\n")
    request, report = get_statistics(storage, dataset, ListedModel("tiny-gemma", str(folder)), max_length=64)
    assert report is None
    return request


def test_what_waits_is_computed(settings: Settings, storage: Storage, request_for: StatisticsRequest) -> None:
    compute_waiting(settings, storage)
    store = StatisticsStore(storage)
    report = store.find(request_for)
    assert report is not None
    assert report.example_count == 1
    assert not store.has_waiting()


def test_a_deleted_dataset_is_a_failure(settings: Settings, storage: Storage, request_for: StatisticsRequest) -> None:
    (storage.root / make_dataset_key(request_for.dataset_id)).unlink()
    compute_waiting(settings, storage)
    with pytest.raises(StatisticsFailed, match="no dataset"):
        StatisticsStore(storage).find(request_for)


def test_a_tokenizer_that_changed_meanwhile_is_a_failure(
    settings: Settings, storage: Storage, request_for: StatisticsRequest
) -> None:
    template = Path(settings.base_models["tiny-gemma"]) / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    compute_waiting(settings, storage)
    with pytest.raises(StatisticsFailed, match="has changed"):
        StatisticsStore(storage).find(request_for)


def test_a_base_model_that_left_the_list_is_a_failure(
    settings: Settings, storage: Storage, request_for: StatisticsRequest
) -> None:
    compute_waiting(settings.model_copy(update={"base_models": {}}), storage)
    with pytest.raises(StatisticsFailed, match="not on the operator's list"):
        StatisticsStore(storage).find(request_for)


def test_a_computation_that_keeps_ending_its_process_is_given_up(
    settings: Settings, storage: Storage, request_for: StatisticsRequest
) -> None:
    store = StatisticsStore(storage)
    tried = request_for
    for _ in range(MAX_ATTEMPTS):
        tried = store.note_attempt(tried)
    compute_waiting(settings, storage)
    with pytest.raises(StatisticsFailed, match=f"interrupted {MAX_ATTEMPTS} times"):
        store.find(request_for)
    assert not store.has_waiting()


def test_an_unforeseen_error_is_reported_and_the_next_request_answered(
    settings: Settings, storage: Storage, request_for: StatisticsRequest
) -> None:
    store = StatisticsStore(storage)
    path = storage.root / make_dataset_key(request_for.dataset_id)
    path.unlink()
    path.mkdir()
    compute_waiting(settings, storage)
    with pytest.raises(StatisticsFailed, match="IsADirectoryError"):
        store.find(request_for)
    assert not store.has_waiting()


def test_the_housekeeping_starts_a_process_that_computes_and_ends(
    settings: Settings, storage: Storage, request_for: StatisticsRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOTUNE_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("EMOTUNE_BASE_MODELS", json.dumps(settings.base_models))
    process = StatisticsProcess()
    process.start_if_needed(storage)
    process.start_if_needed(storage)
    assert process.wait(60) == 0
    assert StatisticsStore(storage).find(request_for) is not None
    process.start_if_needed(storage)
    assert process.wait(60) is None


def test_the_schedule_looks_for_what_waits(settings: Settings) -> None:
    celery = make_worker(settings)
    entry = celery.conf.beat_schedule["compute_statistics"]
    assert entry["task"] == STATISTICS_TASK
    assert entry["options"]["queue"] == HOUSEKEEPING_QUEUE
    assert STATISTICS_TASK in celery.tasks
    assert {"sweep", "collect_garbage"} <= set(celery.conf.beat_schedule)
