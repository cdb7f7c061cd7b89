"""The errors of the job domain. None of them knows about HTTP; api/errors.py maps them to HTTP statuses.

EmotuneError
├── Unauthorized
│   ├── ApiKeyInvalid
│   ├── SessionInvalid
│   ├── LoginCodeInvalid
│   └── CsrfTokenInvalid
├── Forbidden
│   ├── OperatorNeeded
│   └── PriorityClassTooHigh
├── NotFound
│   ├── JobNotFound
│   ├── DatasetNotFound
│   ├── RunNotFound
│   ├── ArtifactNotFound
│   ├── UploadNotFound
│   ├── PartNotFound
│   ├── TeamNotFound
│   ├── SlotNotFound
│   └── ApiKeyNotFound
├── Gone
│   └── ArtifactGone
├── Conflict
│   ├── JobFinished
│   ├── JobNotRunning
│   ├── JobStopping
│   ├── DatasetInUse
│   ├── UploadCompleted
│   ├── UploadIncomplete
│   ├── UploadsTooMany
│   ├── TokenizerUnusable
│   ├── DatasetOutdated
│   ├── StatisticsFailed
│   ├── QuotaExceeded
│   ├── JobNotWaiting
│   ├── TeamNameTaken
│   └── IdempotencyKeyReused
├── Invalid
│   ├── BaseModelUnknown
│   ├── BaseModelMissing
│   ├── CursorInvalid
│   ├── DatasetInvalid
│   ├── DatasetTooLarge
│   ├── DigestMismatch
│   ├── NameEmpty
│   ├── NoSlotForConfig
│   ├── ValidationDatasetUnfit
│   └── WouldNotFit
├── DiskFull
├── StorageUnreachable
└── RunFenced
"""

from typing import ClassVar


class EmotuneError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "")
        self.field = field
        super().__init__(self.message)


class Unauthorized(EmotuneError):
    """This request needs a valid API key."""

    code = "unauthorized"


class ApiKeyInvalid(Unauthorized):
    """The API key is missing, unknown or revoked. Send `Authorization: Bearer KEY`; `emotune keys create` makes one."""

    code = "api_key_invalid"


class SessionInvalid(Unauthorized):
    """The session has ended. Log in again."""

    code = "session_invalid"


class LoginCodeInvalid(Unauthorized):
    """The login link is unknown, has expired, or was used before. `emotune dashboard` prints a new one."""

    code = "login_code_invalid"


class CsrfTokenInvalid(Unauthorized):
    """A change that is sent with a cookie needs the header `X-CSRF-Token` with the `csrf_token` of `GET /session`."""

    code = "csrf_token_invalid"


class Forbidden(EmotuneError):
    """Your API key doesn't allow this."""

    code = "forbidden"


class OperatorNeeded(Forbidden):
    """Only an operator may do this. `emotune keys create --operator` makes a key for operators."""

    code = "operator_needed"


class PriorityClassTooHigh(Forbidden):
    """Your team may not post jobs of this priority class."""

    code = "priority_class_too_high"


class NotFound(EmotuneError):
    """It was not found."""

    code = "not_found"


class JobNotFound(NotFound):
    """Your team has no job with this id. `GET /jobs` lists its jobs."""

    code = "job_not_found"


class DatasetNotFound(NotFound):
    """Your team has no dataset with this id. `GET /datasets` lists its datasets; `POST /datasets` uploads one."""

    code = "dataset_not_found"


class RunNotFound(NotFound):
    """The job has no such attempt. `GET /jobs/{job_id}` says how many there were."""

    code = "run_not_found"


class ArtifactNotFound(NotFound):
    """The job has no such artifact, or not yet. `GET /jobs/{job_id}/artifacts` lists its artifacts."""

    code = "artifact_not_found"


class UploadNotFound(NotFound):
    """Your team has no upload with this id, or it has expired. `POST /uploads` starts a new one."""

    code = "upload_not_found"


class PartNotFound(NotFound):
    """There is no such part. Parts are numbered from 1 to 10000."""

    code = "part_not_found"


class TeamNotFound(NotFound):
    """There is no team with this name."""

    code = "team_not_found"


class SlotNotFound(NotFound):
    """There is no slot with this name. `GET /slots` lists all slots."""

    code = "slot_not_found"


class ApiKeyNotFound(NotFound):
    """There is no API key with this id. `GET /keys` lists the keys."""

    code = "api_key_not_found"


class Gone(EmotuneError):
    """It has been deleted."""

    code = "gone"


class ArtifactGone(Gone):
    """The file has been deleted: such files are kept for a limited time. `GET /jobs/{job_id}/events` says when."""

    code = "artifact_gone"


class Conflict(EmotuneError):
    """The request conflicts with the current state."""

    code = "conflict"


class JobFinished(Conflict):
    """The job has already ended."""

    code = "job_finished"


class JobNotRunning(Conflict):
    """The job doesn't run."""

    code = "job_not_running"


class JobStopping(Conflict):
    """The job is being cancelled. Wait until it has ended, and post it again if you still need it."""

    code = "job_stopping"


class DatasetInUse(Conflict):
    """A job that has not ended uses this dataset. Cancel the job, or wait for its end."""

    code = "dataset_in_use"


class UploadCompleted(Conflict):
    """The upload is already complete. `GET /uploads/{upload_id}` names its dataset; `POST /uploads` starts another."""

    code = "upload_completed"


class UploadIncomplete(Conflict):
    """Parts of the upload are missing."""

    code = "upload_incomplete"


class UploadsTooMany(Conflict):
    """Your team has too many unfinished uploads. Complete or delete some, or wait until they expire."""

    code = "uploads_too_many"


class TokenizerUnusable(Conflict):
    """The base model's folder has no tokenizer that can be used without loading the model."""

    code = "tokenizer_unusable"


class DatasetOutdated(Conflict):
    """The dataset was accepted by an earlier release and has lines that this release rejects."""

    code = "dataset_outdated"


class StatisticsFailed(Conflict):
    """The statistics of this dataset could not be computed."""

    code = "statistics_failed"


class QuotaExceeded(Conflict):
    """Your team's quota doesn't allow it."""

    code = "quota_exceeded"


class JobNotWaiting(Conflict):
    """The job doesn't wait for a slot, so its place in the queue can't be changed."""

    code = "job_not_waiting"


class TeamNameTaken(Conflict):
    """A team with this name exists already."""

    code = "team_name_taken"


class IdempotencyKeyReused(Conflict):
    """This Idempotency-Key was used before with a different request. Use a new key for a new request."""

    code = "idempotency_key_reused"


class Invalid(EmotuneError):
    """The request is invalid."""

    code = "invalid"


class ValidationDatasetUnfit(Invalid):
    """The validation dataset doesn't go with the job."""

    code = "validation_dataset_unfit"


class BaseModelUnknown(Invalid):
    """The base model is not on the operator's list. `GET /models` shows the list."""

    code = "base_model_unknown"


class BaseModelMissing(Invalid):
    """The base model is on the operator's list, but its files are not there. The operator has to restore them."""

    code = "base_model_missing"


class CursorInvalid(Invalid):
    """The cursor was not returned by this API. Leave it out to start from the beginning."""

    code = "cursor_invalid"


class DatasetInvalid(Invalid):
    """The dataset has errors and was not stored. Fix the lines listed in `report` and upload it again."""

    code = "dataset_invalid"

    def __init__(self, report: dict[str, object], message: str | None = None) -> None:
        super().__init__(message)
        self.report = report


class DatasetTooLarge(Invalid):
    """The dataset is larger than this installation accepts. Split it, or ask the operator to raise the limit."""

    code = "dataset_too_large"


class DigestMismatch(Invalid):
    """The received content does not match its digest. Send it again."""

    code = "digest_mismatch"


class NameEmpty(Invalid):
    """The name is empty. Choose a name."""

    code = "name_empty"


class NoSlotForConfig(Invalid):
    """No slot of this installation can run this config."""

    code = "no_slot_for_config"


class WouldNotFit(Invalid):
    """No slot of this installation has enough memory for this training."""

    code = "would_not_fit"


class DiskFull(EmotuneError):
    """The disk is nearly full. Delete datasets or old jobs, or ask the operator for space."""

    code = "disk_full"


class StorageUnreachable(EmotuneError):
    """The object store can't be reached, or refused the request."""

    code = "storage_unreachable"


class RunFenced(EmotuneError):
    """The run no longer owns its job: its lease expired and the job was given to another run."""

    code = "run_fenced"
