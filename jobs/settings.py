"""Settings: all settings of the service, read from EMOTUNE_* variables. docs/configuration.md is generated from it."""

import difflib
import hashlib
import os
import re
import socket
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from jobs.errors import EmotuneError

MIB = 1024**2
GIB = 1024**3
DAY_SECONDS = 24 * 3600

# A unix socket's path has to fit sockaddr_un: 108 bytes with the closing zero.
MAX_SOCKET_PATH_BYTES = 107

SLOT_NAME_FORM = r"^[a-z0-9][a-z0-9-]{0,62}$"

# An index as nvidia-smi numbers GPUs, or a UUID.
GPU_FORM = r"\d+|(GPU|MIG)-[0-9A-Fa-f]+[0-9A-Fa-f-]*"

# One heartbeat may be late and one may fail before a run is considered dead.
MIN_HEARTBEATS_PER_LEASE = 3

Seconds = Annotated[float, Field(gt=0)]
Bytes = Annotated[int, Field(ge=0)]
Device = Literal["cpu", "cuda"]
LogFormat = Literal["text", "json"]
DEVICES: tuple[Device, ...] = get_args(Device)


PREFIX = "EMOTUNE_"

# How much of a host's name goes into the names of its slots; a longer name is cut and gets a digest.
MAX_SLOT_HOST_LENGTH = 40

# Of a password in a file. `make secrets` writes passwords of 43 characters; nobody has to type them.
MIN_PASSWORD_LENGTH = 20

# Words from examples and habits. A password that contains one of them was not generated at random.
PLACEHOLDERS = ("change", "example", "password", "secret", "placeholder", "postgres", "emotune", "12345")

# Read by the command line alone (cli/credentials.py).
CLIENT_VARIABLES = frozenset({"EMOTUNE_URL", "EMOTUNE_API_KEY"})


class SettingUnknown(EmotuneError):
    """An EMOTUNE_* variable does not name a setting."""

    code = "setting_unknown"


class SettingUnreadable(EmotuneError):
    """The value of an EMOTUNE_* variable is not valid JSON."""

    code = "setting_unreadable"


def _get_first_visible_gpu() -> str:
    """The first GPU in CUDA_VISIBLE_DEVICES, or "0" where the list is empty or negative."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0].strip()
    return first if re.fullmatch(GPU_FORM, first) else "0"


def _make_slot_name(data: dict[str, Any]) -> str:
    """A slot name made of host, device and GPU, so that no two slots of an installation have the same name."""
    host = re.sub(r"[^a-z0-9]+", "-", data["host_name"].lower()).strip("-") or "host"
    if len(host) > MAX_SLOT_HOST_LENGTH:
        digest = hashlib.sha256(data["host_name"].encode()).hexdigest()[:8]
        host = f"{host[: MAX_SLOT_HOST_LENGTH - len(digest) - 1].rstrip('-')}-{digest}"
    if data["slot_device"] == "cpu":
        return f"{host}-cpu"
    # The first group of a UUID such as GPU-3ab1... is enough to distinguish GPUs.
    gpu: str = data["slot_gpu"].lower()
    return f"{host}-cuda-{gpu if gpu.isdecimal() else gpu.split('-')[1]}"


def read_password(path: Path) -> str:
    """Read a password from the only line of a file. Raises ValueError when it is missing or easily guessed."""
    try:
        password = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ValueError(f"{path} can't be read ({reason}); `make secrets` makes the files with passwords") from error
    if len(password) < MIN_PASSWORD_LENGTH or re.search(r"\s", password):
        raise ValueError(f"{path} has no password of {MIN_PASSWORD_LENGTH} characters or more in one line")
    found = [word for word in PLACEHOLDERS if word in password.lower()]
    if found or len(set(password)) < MIN_PASSWORD_LENGTH // 2:
        why = f"has {found[0]!r} in it" if found else "repeats a few characters"
        raise ValueError(f"the password in {path} {why}; use a random one, as `make secrets` does")
    return password


def _add_password(url: str, file: Path | None) -> str:
    """The URL with the password from the file; unchanged without a file."""
    if file is None:
        return url
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user if at else ''}:{quote(read_password(file), safe='')}@{host}"))


class Settings(BaseSettings):
    """All settings. Built once by the entry point and passed on; no module keeps them as a global."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    # Where things are
    data_dir: Path = Field(Path("data"), description="Folder of database, datasets, runs, artifacts, logs and sockets.")
    database_url: str | None = Field(
        None, description="SQLAlchemy URL; default: SQLite in the data folder. PostgreSQL: `postgresql://...`."
    )
    database_password_file: Path | None = Field(
        None, description="File with the password of `EMOTUNE_DATABASE_URL`, which then has none itself."
    )
    redis_url: str | None = Field(
        None, description="Redis or Valkey URL; default: the unix socket of the embedded server in the data folder."
    )
    redis_password_file: Path | None = Field(
        None, description="File with the password of `EMOTUNE_REDIS_URL`, which then has none itself."
    )
    storage_url: str | None = Field(
        None,
        pattern=r"^s3://[^/?#@]+(/[^?#]*)?$",
        description="`s3://BUCKET/PREFIX` of an S3-compatible object store that keeps datasets, artifacts, checkpoints "
        "and logs; default: the data folder does.",
    )
    storage_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^/?#@]+/?$",
        description="Address of the object store; default: AWS, or `AWS_ENDPOINT_URL`.",
    )
    storage_region: str | None = Field(
        None, description="Region of the object store; default: `AWS_REGION`, else `us-east-1`."
    )
    storage_key_id: str | None = Field(
        None,
        description="Access key id for the object store; default: the `AWS_*` variables, or the role of the machine.",
    )
    storage_secret_file: Path | None = Field(
        None, description="File with the secret access key for `EMOTUNE_STORAGE_KEY_ID`."
    )
    storage_link_seconds: Seconds | None = Field(
        None,
        description="Downloads are redirected to links into the object store valid for this long; default: they go "
        "through the API, and clients need not reach the store.",
    )
    mirror_seconds: Seconds = Field(
        10,
        description="Interval between copies of a run's log and checkpoints to the object store, for other machines.",
    )
    cache_bytes: Bytes = Field(
        50 * GIB, description="Most disk space on a machine for copies of files from the object store."
    )
    base_models: dict[str, str] = Field(
        default_factory=dict,
        description='JSON object of the base models that jobs may use: `{"name": "folder or hub id"}`.',
    )

    # The API
    host: str = Field("127.0.0.1", description="Address that the API listens on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        8000, description="Port of the API; if it is in use, `emotune up` takes a free one."
    )
    api_processes: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="Processes of the API. Each uses one core at a time and 130 to 250 MB of memory."
    )
    max_body_bytes: Bytes = Field(MIB, description="Largest request body other than a dataset.")
    max_dataset_bytes: Bytes = Field(2 * GIB, description="Largest dataset file.")
    upload_seconds: Seconds = Field(
        DAY_SECONDS,
        description="An upload in parts is deleted this long after its start, whether it is complete or not.",
    )
    max_dataset_lines: Annotated[int, Field(ge=1)] = Field(
        5_000_000, description="Maximum number of lines of a dataset."
    )
    max_line_bytes: Bytes = Field(MIB, description="Longest line of a dataset.")
    max_problems: Annotated[int, Field(ge=1)] = Field(
        100, description="Maximum number of problems listed in a dataset's report."
    )
    min_free_disk_bytes: Bytes = Field(
        GIB,
        description="With less free disk space, uploads and jobs are refused, slots take none, `/health/ready` fails.",
    )
    session_seconds: Seconds = Field(
        14 * DAY_SECONDS, description="A browser stays logged in for this long, or until its key is revoked."
    )
    login_code_seconds: Seconds = Field(900, description="A login link is valid for this long, and can be used once.")
    worker_seen_seconds: Seconds = Field(30, description="A slot that was last seen longer ago counts as absent.")
    metrics_public: bool = Field(
        False,
        description="`GET /metrics` needs no operator's key. For networks where only Prometheus can reach it: it "
        "names all teams and slots.",
    )

    # The queue
    usage_half_life_seconds: Seconds = Field(
        DAY_SECONDS, description="After this time, slot seconds that a team has used count half (docs/decisions/0009)."
    )
    entry_penalty_seconds: Annotated[float, Field(ge=0)] = Field(
        60,
        description="Slot seconds charged to a team with a lead for a new job until the job's first run has ended.",
    )
    quota_window_seconds: Seconds = Field(
        7 * DAY_SECONDS, description="Length of the sliding window in which a team's quota of slot seconds applies."
    )
    low_wait_seconds: Seconds = Field(
        7 * DAY_SECONDS, description="A job of the class `low` that has waited this long is treated as `normal`."
    )

    # The worker
    host_name: str = Field(
        default_factory=socket.gethostname,
        validate_default=True,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$",
        description="Name of this machine; default: its host name. Set it in containers, whose host names change.",
    )
    slot_device: Device = Field("cpu", description="Device of the slot: `cpu` or `cuda`.")
    slot_gpu: str = Field(
        default_factory=_get_first_visible_gpu,
        pattern=f"^({GPU_FORM})$",
        description="The GPU of a `cuda` slot: its index in `nvidia-smi`, or its UUID; default: the first one in "
        "`CUDA_VISIBLE_DEVICES`, else 0.",
    )
    slot: str = Field(
        default_factory=_make_slot_name,
        pattern=SLOT_NAME_FORM,
        description="Name of the worker's slot; default: made from the host's name, the device and the GPU.",
    )
    slot_size: Annotated[float, Field(gt=0)] = Field(
        1.0, description="Weight of a second on the slot in a team's usage, relative to the other slots."
    )
    slot_max_used_bytes: Bytes = Field(
        3 * GIB // 2, description="The slot is blocked while more of the GPU's memory is in use before a job starts."
    )
    heartbeat_seconds: Seconds = Field(
        1, description="Interval between the heartbeats of a run; also how soon a stop request is noticed."
    )
    lease_seconds: Seconds = Field(30, description="A run without a heartbeat for this long is considered dead.")
    stop_grace_seconds: Seconds = Field(
        30, description="Time between asking a run to save and stop and SIGTERM; also when its worker shuts down."
    )
    kill_grace_seconds: Seconds = Field(10, description="Time between SIGTERM and SIGKILL for the run's process group.")
    max_crashes: Annotated[int, Field(ge=1)] = Field(
        3, description="A job fails after this many crashes of its runs; interruptions by the operator don't count."
    )
    silence_seconds: Seconds = Field(
        3600, description="A training process that reports nothing for this long is considered stuck and ended."
    )
    job_timeout_seconds: Seconds | None = Field(
        None,
        description="Time limit for all runs of a job together, unless it was posted with its own; default: none.",
    )
    checkpoints_kept: Annotated[int, Field(ge=1)] = Field(
        2, description="Number of newest checkpoints kept for a running job, besides the best one."
    )
    sweep_seconds: Seconds = Field(5, description="Interval between sweeps of the housekeeping worker.")
    trainer_threads: Annotated[int, Field(ge=1)] | None = Field(
        None, description="CPU threads of a training process; default: all cores."
    )

    spare_trainer: bool = Field(
        True,
        description="Each slot keeps a training process that has loaded its libraries, so that the next job starts at "
        "once; it holds some memory (docs/operations.md, Spare training process).",
    )

    # Live metrics
    metric_flush_seconds: Seconds = Field(
        2, description="Interval between the batches in which metrics are written to the database."
    )
    metric_stream_length: Annotated[int, Field(ge=1)] = Field(20_000, description="Metrics kept in Redis per job.")
    metric_stream_seconds: Seconds = Field(
        7 * DAY_SECONDS, description="How long Redis keeps the metrics of a job after the last one."
    )

    # What is kept, and for how long (jobs/runs/retention.py)
    keep_bundles_seconds: Seconds | None = Field(
        None, description="A job's bundle is deleted this long after the job has ended; default: never."
    )
    keep_logs_seconds: Seconds | None = Field(
        None,
        description="The other files of a job's runs (logs, metrics, loss curve, row report) are deleted this long "
        "after the job has ended; default: never.",
    )
    keep_metrics_seconds: Seconds | None = Field(
        None,
        description="The points of a job's curves in the database are deleted this long after the job has ended; a "
        "short form of the loss is kept. Default: never.",
    )
    keep_datasets_seconds: Seconds | None = Field(
        None, description="A dataset is deleted when no job has used it for this long since its upload; default: never."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Level of every process's own log."
    )
    log_format: LogFormat = Field(
        "text",
        description="Format of every process's own log: `text` for people, or `json`, an object a line, for programs.",
    )

    @model_validator(mode="after")
    def _lease_outlasts_heartbeats(self) -> Self:
        if self.lease_seconds < MIN_HEARTBEATS_PER_LEASE * self.heartbeat_seconds:
            raise ValueError(
                f"lease_seconds is {self.lease_seconds:g}; give at least {MIN_HEARTBEATS_PER_LEASE} times "
                f"heartbeat_seconds ({self.heartbeat_seconds:g}), or healthy runs are considered dead"
            )
        return self

    @field_validator("data_dir")
    @classmethod
    def _data_dir_is_absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("database_password_file", "redis_password_file", "storage_secret_file")
    @classmethod
    def _password_is_good(cls, value: Path | None) -> Path | None:
        if value is not None:
            read_password(value)
        return value

    @model_validator(mode="after")
    def _passwords_have_a_url(self) -> Self:
        for name, url, file in (
            ("DATABASE", self.database_url, self.database_password_file),
            ("REDIS", self.redis_url, self.redis_password_file),
        ):
            if file is None:
                continue
            if url is None or not urlsplit(url).hostname:
                raise ValueError(f"{PREFIX}{name}_PASSWORD_FILE needs an {PREFIX}{name}_URL with a host")
            if urlsplit(url).password is not None:
                raise ValueError(
                    f"{PREFIX}{name}_URL has a password and {PREFIX}{name}_PASSWORD_FILE another; keep only one"
                )
        return self

    @model_validator(mode="after")
    def _storage_is_whole(self) -> Self:
        if (self.storage_key_id is None) != (self.storage_secret_file is None):
            raise ValueError(
                f"{PREFIX}STORAGE_KEY_ID and {PREFIX}STORAGE_SECRET_FILE belong together; set both or none"
            )
        if self.storage_url is None:
            for name in ("storage_endpoint", "storage_region", "storage_key_id", "storage_link_seconds"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{PREFIX}{name.upper()} needs an {PREFIX}STORAGE_URL such as s3://bucket")
        return self

    @cached_property
    def storage_secret(self) -> str | None:
        return None if self.storage_secret_file is None else read_password(self.storage_secret_file)

    @cached_property
    def sqlalchemy_url(self) -> str:
        """The database's URL for SQLAlchemy, with the installed driver and the password."""
        if self.database_url is None:
            return f"sqlite:///{self.data_dir / 'emotune.db'}"
        url = _add_password(self.database_url, self.database_password_file)
        for bare in ("postgresql://", "postgres://"):
            if url.startswith(bare):
                return "postgresql+psycopg://" + url.removeprefix(bare)
        return url

    @cached_property
    def redis_socket(self) -> Path:
        """The embedded server's socket: in the data folder, or in the temporary folder if the path were too long."""
        socket = self.data_dir / "redis" / "redis.sock"
        if len(str(socket).encode()) <= MAX_SOCKET_PATH_BYTES:
            return socket
        digest = hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"emotune-{digest}" / "redis.sock"

    @cached_property
    def redis_client_url(self) -> str:
        """The URL of Redis for redis-py, with the password."""
        if self.redis_url is None:
            return f"unix://{self.redis_socket}?db=0"
        return _add_password(self.redis_url, self.redis_password_file)

    @cached_property
    def broker_url(self) -> str:
        """The URL of Redis for Celery, which writes unix sockets in its own way."""
        if self.redis_client_url.startswith("unix://"):
            path, _, query = self.redis_client_url.removeprefix("unix://").partition("?")
            return f"redis+socket://{path}?{query.replace('db=', 'virtual_host=')}"
        return self.redis_client_url


def load_settings() -> Settings:
    """Read the settings from the environment. Raises SettingUnknown, SettingUnreadable, pydantic.ValidationError."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | CLIENT_VARIABLES
    for name in os.environ:
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean {near[0]}?" if near else "docs/configuration.md lists them all."
            raise SettingUnknown(f"{name} is not a setting; {advice}")
    try:
        return Settings()
    except SettingsError as error:
        # The value is not valid JSON; the cause says where.
        raise SettingUnreadable(f"{error}: {error.__cause__}") from error
