"""A job's dataset -> samples, with what its owner should know of them."""

import hashlib

from emomodel.chat import ChatError, ChatFormat
from emomodel.dataset import Samples, make_samples
from emomodel.emotions import Axes
from emomodel.errors import DatasetRefused, ModelLoadFailed, NoTargets
from emomodel.examples import read_examples
from emomodel.loading import BaseModel
from emomodel.problems import DatasetInvalid
from emomodel.progress import Notice, Reporter
from emomodel.request import TrainRequest

_LISTED_LINES = 10


def load_samples(request: TrainRequest, base: BaseModel, axes: Axes, reporter: Reporter) -> Samples:
    """The dataset as samples; what was cut is reported. Raises DatasetRefused, NoTargets, ModelLoadFailed."""
    config = request.config
    _check_dataset_file(request)
    try:
        chat_format = ChatFormat(base.tokenizer)
        samples = make_samples(
            read_examples(request.dataset_path, axes),
            chat_format,
            neutral=axes.neutral,
            rule=config.emotion_span,
            max_length=config.max_length,
            fixed_pad_id=base.tokenizer.pad_token_id if config.batching == "fixed" else None,
        )
    except DatasetInvalid as error:
        raise DatasetRefused(str(error)) from error
    except ChatError as error:
        raise ModelLoadFailed(str(error)) from error
    _check_ids(samples, base)
    for notice in _make_notices(samples, config.max_length):
        reporter.report(notice)
    if not samples.samples:
        raise NoTargets(
            f"no example has a reply within its first {config.max_length} tokens; raise max_length or shorten prompts"
        )
    return samples


def _check_ids(samples: Samples, base: BaseModel) -> None:
    """Raises ModelLoadFailed: on a GPU an id without an embedding would end the process, with no word of why."""
    row_count = base.model.get_input_embeddings().weight.shape[0]  # type: ignore[operator]  # untyped
    largest = max((max(sample["input_ids"]) for sample in samples.samples), default=0)
    if largest >= row_count:
        raise ModelLoadFailed(
            f"the base model's tokenizer makes token {largest}, but the model has only {row_count} embeddings; "
            "the folder's tokenizer belongs to another model"
        )


def _make_notices(samples: Samples, max_length: int) -> list[Notice]:
    notices = []
    if samples.truncated_count:
        message = f"{samples.truncated_count} examples are longer than max_length={max_length} tokens and were cut"
        notices.append(Notice(code="examples_truncated", message=message))
    if samples.dropped_lines:
        lines = ", ".join(map(str, samples.dropped_lines[:_LISTED_LINES]))
        more = ", ..." if len(samples.dropped_lines) > _LISTED_LINES else ""
        message = (
            f"{len(samples.dropped_lines)} examples have no reply within max_length={max_length} tokens "
            f"and were left out: lines {lines}{more}"
        )
        notices.append(Notice(code="examples_dropped", message=message))
    return notices


def _check_dataset_file(request: TrainRequest) -> None:
    """Raises DatasetRefused when the file is missing, or is not the one that the manifest will name."""
    if not request.dataset_path.is_file():
        raise DatasetRefused(f"the dataset file {request.dataset_path} does not exist; upload the dataset again")
    with request.dataset_path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != request.dataset_sha256:
            raise DatasetRefused("the dataset file has changed since the job was made; upload the dataset again")
