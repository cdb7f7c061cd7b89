"""A dataset in a base model's tokens: statistics, and a preview of examples."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from api.access import CallerDep
from api.deps import DatabaseDep, DatasetIdPath, ModelLibraryDep, StorageDep
from api.errors import error_responses
from api.schemas.datasets import PreviewRead, StatisticsPending, StatisticsRead
from emomodel.config import EmotionSpan, TrainConfig
from jobs.data import insights
from jobs.data.datasets import get_dataset

# More than the lines that a dataset may have.
MAX_OFFSET = 1_000_000_000

router = APIRouter(tags=["datasets"], responses=error_responses(401, 404, 409))

MAX_PREVIEW = 50
DEFAULT_PREVIEW = 10
# A file just above the limit for answering at once takes a second or two; housekeeping looks every few seconds.
RETRY_SECONDS = 5

_DEFAULTS = TrainConfig()
BaseModelName = Annotated[
    str, Query(min_length=1, max_length=200, description="A name from `GET /models`, whose tokenizer is used.")
]
MaxLength = Annotated[
    int, Query(ge=8, le=131_072, description="Tokens per example, as in a job's config; longer ones are cut there.")
]


@router.get(
    "/datasets/{dataset_id}/statistics",
    response_model=StatisticsRead,
    responses={
        202: {
            "model": StatisticsPending,
            "description": "The statistics of a large dataset are being computed: ask again",
            "headers": {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}},
        }
    },
)
def get_dataset_statistics(
    dataset_id: DatasetIdPath,
    base_model: BaseModelName,
    caller: CallerDep,
    database: DatabaseDep,
    storage: StorageDep,
    library: ModelLibraryDep,
    max_length: MaxLength = _DEFAULTS.max_length,
) -> StatisticsRead | JSONResponse:
    """Return lengths, padding, duplicates, scripts and emotions in a base model's tokens, with warnings and advice.

    The statistics of a large dataset are computed in the background: 202 until they are ready. They are stored.
    """
    with database.read() as session:
        dataset = get_dataset(session, team_id=caller.team_id, dataset_id=dataset_id)
    model = library.get(base_model)
    request, report = insights.get_statistics(storage, dataset, model, max_length=max_length)
    if report is None:
        pending = StatisticsPending(message=f"The statistics are being computed; ask again in {RETRY_SECONDS} seconds.")
        headers = {"Retry-After": str(RETRY_SECONDS)}
        return JSONResponse(pending.model_dump(mode="json"), status_code=202, headers=headers)
    return StatisticsRead(
        dataset_id=dataset_id, base_model=base_model, tokenizer_sha256=request.tokenizer_sha256, statistics=report
    )


@router.get("/datasets/{dataset_id}/preview")
def get_dataset_preview(
    dataset_id: DatasetIdPath,
    base_model: BaseModelName,
    caller: CallerDep,
    database: DatabaseDep,
    storage: StorageDep,
    library: ModelLibraryDep,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET, description="Number of examples to skip.")] = 0,
    limit: Annotated[
        int, Query(ge=1, le=MAX_PREVIEW, description="Maximum number of examples on the page.")
    ] = DEFAULT_PREVIEW,
    max_length: MaxLength = _DEFAULTS.max_length,
    emotion_span: Annotated[
        EmotionSpan, Query(description="As in a job's config: which position carries which emotion.")
    ] = _DEFAULTS.emotion_span,
) -> PreviewRead:
    """Return examples token by token as the training sees them: with emotions, targets marked, cut to length.

    A page of very long examples may end before `limit`.
    """
    with database.read() as session:
        dataset = get_dataset(session, team_id=caller.team_id, dataset_id=dataset_id)
    model = library.get(base_model)
    page = insights.get_preview(
        storage, dataset, model, offset=offset, limit=limit, max_length=max_length, rule=emotion_span
    )
    return PreviewRead(
        dataset_id=dataset_id,
        base_model=base_model,
        axes=dataset.axes,
        max_length=max_length,
        emotion_span=emotion_span,
        items=page.examples,
        next_offset=page.next_offset,
    )
