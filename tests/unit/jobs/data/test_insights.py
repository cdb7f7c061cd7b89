"""Statistics of datasets that are stored, still waiting, or have failed."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from emomodel.insights.token_report import TokenReport
from jobs.base_models.base_model import ListedModel
from jobs.data import insights
from jobs.data.insights import (
    FAILURE_SECONDS,
    SMALL_BYTES,
    StatisticsRequest,
    StatisticsStore,
    get_preview,
    get_statistics,
    load_tokenizer,
)
from jobs.errors import DatasetNotFound, DatasetOutdated, StatisticsFailed, TokenizerUnusable
from jobs.files.keys import make_dataset_key
from jobs.files.storage import Storage
from jobs.models import Dataset
from jobs.settings import Settings
from tests.support.tiny_tokenizer import write_tiny_tokenizer

LINE = {"messages": [{"role": "user", "content": "How was it?"}, {"role": "assistant", "content": "Fine."}]}


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return Storage(settings.data_dir)


@pytest.fixture
def model(settings: Settings) -> ListedModel:
    folder = Path(settings.base_models["tiny-gemma"])
    write_tiny_tokenizer(folder)
    return ListedModel("tiny-gemma", str(folder))


def make_dataset(storage: Storage, dataset_id: str = "ds_" + "0" * 26, *, size_bytes: int = 100) -> Dataset:
    """Write a file of one chat, and return a dataset for it that claims the given size."""
    path = storage.root / make_dataset_key(dataset_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(LINE) + "\n")
    axes = ["SADNESS_JOY", "FEAR_COURAGE"]
    return Dataset(id=dataset_id, sha256="0" * 64, size_bytes=size_bytes, axes=axes)


@pytest.fixture
def dataset(storage: Storage) -> Dataset:
    return make_dataset(storage)


def ask(storage: Storage, dataset: Dataset, model: ListedModel, max_length: int = 64) -> TokenReport | None:
    return get_statistics(storage, dataset, model, max_length=max_length)[1]


def test_a_small_dataset_is_answered_at_once_and_read_once(
    storage: Storage, dataset: Dataset, model: ListedModel
) -> None:
    first = ask(storage, dataset, model)
    assert first is not None
    assert first.example_count == 1
    (storage.root / make_dataset_key(dataset.id)).unlink()
    assert ask(storage, dataset, model) == first
    # Another maximum length needs the file again, which is missing now.
    with pytest.raises(DatasetNotFound):
        ask(storage, dataset, model, max_length=65)


def test_the_same_content_of_another_team_is_answered_from_the_same_report(
    storage: Storage, dataset: Dataset, model: ListedModel
) -> None:
    first = ask(storage, dataset, model)
    twin = make_dataset(storage, "ds_" + "1" * 26)
    (storage.root / make_dataset_key(twin.id)).unlink()
    assert ask(storage, twin, model) == first
    twin.axes = ["COLD_WARM", "SHY_BOLD"]
    with pytest.raises(DatasetNotFound):
        ask(storage, twin, model)


def test_a_changed_tokenizer_is_another_question(storage: Storage, dataset: Dataset, model: ListedModel) -> None:
    before = ask(storage, dataset, model)
    template = Path(model.path) / "chat_template.jinja"
    template.write_text(template.read_text().replace("'<end_of_turn>", "' and so on<end_of_turn>"))
    after = ask(storage, dataset, model)
    assert before is not None
    assert after is not None
    assert after.token_count_by_example.total > before.token_count_by_example.total


def test_a_large_dataset_waits_until_it_is_computed(storage: Storage, model: ListedModel) -> None:
    large = make_dataset(storage, size_bytes=SMALL_BYTES + 1)
    store = StatisticsStore(storage)
    assert not store.has_waiting()
    assert ask(storage, large, model) is None
    assert ask(storage, large, model) is None
    waiting = list(store.list_waiting())
    assert len(waiting) == 1
    assert waiting[0].dataset_id == large.id
    store.put(waiting[0], insights.compute_report(storage, waiting[0], load_tokenizer(model).chat_format))
    assert not store.has_waiting()
    report = ask(storage, large, model)
    assert report is not None
    assert report.max_length == 64


def test_a_failure_is_reported_for_a_while_and_then_tried_again(storage: Storage, model: ListedModel) -> None:
    large = make_dataset(storage, size_bytes=SMALL_BYTES + 1)
    store = StatisticsStore(storage)
    ask(storage, large, model)
    request = next(store.list_waiting())
    store.fail(request, "Out of luck.")
    for _ in range(2):
        with pytest.raises(StatisticsFailed, match="Out of luck"):
            ask(storage, large, model)
    assert not store.has_waiting()
    path = storage.root / "statistics" / f"{request.key}.json"
    old = time.time() - FAILURE_SECONDS - 1
    os.utime(path, (old, old))
    assert ask(storage, large, model) is None
    assert store.has_waiting()


def test_those_that_wait_longest_come_first_and_tries_are_counted(storage: Storage, model: ListedModel) -> None:
    store = StatisticsStore(storage)
    large = make_dataset(storage, size_bytes=SMALL_BYTES + 1)
    for age, max_length in enumerate((64, 65, 66)):
        request, _ = get_statistics(storage, large, model, max_length=max_length)
        path = storage.root / "statistics" / "waiting" / f"{request.key}.json"
        os.utime(path, (1000 - age, 1000 - age))
    waiting = list(store.list_waiting())
    assert [request.max_length for request in waiting] == [66, 65, 64]
    assert store.note_attempt(waiting[0]).attempt_count == 1
    assert {request.max_length: request.attempt_count for request in store.list_waiting()} == {64: 0, 65: 0, 66: 1}


def test_files_of_another_release_are_computed_again(storage: Storage, dataset: Dataset, model: ListedModel) -> None:
    request, report = get_statistics(storage, dataset, model, max_length=64)
    (storage.root / "statistics" / f"{request.key}.json").write_text('{"report": {"old": 1}}')
    assert ask(storage, dataset, model) == report
    waiting = storage.root / "statistics" / "waiting"
    waiting.mkdir(parents=True)
    (waiting / "old.json").write_text("{}")
    assert list(StatisticsStore(storage).list_waiting()) == []
    assert not StatisticsStore(storage).has_waiting()


def test_a_dataset_with_lines_that_are_errors_by_now_has_to_be_uploaded_again(
    storage: Storage, dataset: Dataset, model: ListedModel
) -> None:
    (storage.root / make_dataset_key(dataset.id)).write_text('{"messages": []}\n')
    with pytest.raises(DatasetOutdated, match="line 1"):
        ask(storage, dataset, model)
    with pytest.raises(DatasetOutdated, match="line 1"):
        get_preview(storage, dataset, model, offset=0, limit=1, max_length=64, rule="lead")


def test_a_base_model_from_a_hub_or_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TokenizerUnusable, match="from a model hub"):
        load_tokenizer(ListedModel("gemma", "google/gemma-3-270m-it"))
    with pytest.raises(TokenizerUnusable, match=r"holds no tokenizer\.json"):
        load_tokenizer(ListedModel("gemma", str(tmp_path)))
    folder = write_tiny_tokenizer(tmp_path / "without-template")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(TokenizerUnusable, match="no chat template"):
        load_tokenizer(ListedModel("gemma", str(folder)))


def test_a_tokenizer_is_loaded_once(model: ListedModel) -> None:
    loaded = load_tokenizer(model)
    assert load_tokenizer(model) is loaded
    shutil.copy(Path(model.path) / "chat_template.jinja", Path(model.path) / "other.jinja")
    assert load_tokenizer(model) is loaded


def test_the_key_is_of_what_the_report_depends_on() -> None:
    request = StatisticsRequest(
        dataset_id="ds_" + "0" * 26,
        dataset_sha256="1",
        axes=("A_B", "C_D"),
        base_model="gemma",
        tokenizer_sha256="2",
        max_length=64,
    )
    same = {"dataset_id": "ds_" + "1" * 26, "base_model": "gemma-too", "attempt_count": 2}
    assert request.model_copy(update=same).key == request.key
    for change in ({"dataset_sha256": "3"}, {"axes": ("A_B",)}, {"tokenizer_sha256": "3"}, {"max_length": 65}):
        assert request.model_copy(update=change).key != request.key
