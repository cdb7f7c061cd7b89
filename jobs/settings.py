"""Settings: every knob, one class, EMOTUNE_* variables. docs/configuration.md is checked against it."""

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

# An index as nvidia-smi counts, or a UUID.
GPU_FORM = r"\d+|(GPU|MIG)-[0-9A-Fa-f]+[0-9A-Fa-f-]*"

# One heartbeat may be late, and one may fail, without a run being taken for dead.
MIN_HEARTBEATS_PER_LEASE = 3

Seconds = Annotated[float, Field(gt=0)]
Bytes = Annotated[int, Field(ge=0)]
Device = Literal["cpu", "cuda"]
LogFormat = Literal["text", "json"]
DEVICES: tuple[Device, ...] = get_args(Device)


PREFIX = "EMOTUNE_"

# What a host gives to the names of its slots; a longer one is cut and gets a digest of the whole.
MAX_SLOT_HOST_LENGTH = 40

# Of a password in a file. `make secrets` writes ones of 43 characters; nobody has to type them.
MIN_PASSWORD_LENGTH = 20

# Words of examples and habits. A password that has one of them was not drawn at random.
PLACEHOLDERS = ("change", "example", "password", "secret", "placeholder", "postgres", "emotune", "12345")

# Read by the command line alone (cli/credentials.py).
CLIENT_VARIABLES = frozenset({"EMOTUNE_URL", "EMOTUNE_API_KEY"})


class SettingUnknown(EmotuneError):
    """An EMOTUNE_* variable names no setting."""

    code = "setting_unknown"


class SettingUnreadable(EmotuneError):
    """The value of an EMOTUNE_* variable is not the JSON that it has to be."""

    code = "setting_unreadable"


def _get_first_visible_gpu() -> str:
    """What CUDA_VISIBLE_DEVICES names first; an empty or negative list names nothing."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0].strip()
    return first if re.fullmatch(GPU_FORM, first) else "0"


def _make_slot_name(data: dict[str, Any]) -> str:
    """Of the fields before it, so that the slots of two hosts, or of two GPUs of one, are never called alike."""
    host = re.sub(r"[^a-z0-9]+", "-", data["host_name"].lower()).strip("-") or "host"
    if len(host) > MAX_SLOT_HOST_LENGTH:
        digest = hashlib.sha256(data["host_name"].encode()).hexdigest()[:8]
        host = f"{host[: MAX_SLOT_HOST_LENGTH - len(digest) - 1].rstrip('-')}-{digest}"
    if data["slot_device"] == "cpu":
        return f"{host}-cpu"
    # Of a UUID such as GPU-3ab1..., the first group tells GPUs apart.
    gpu: str = data["slot_gpu"].lower()
    return f"{host}-cuda-{gpu if gpu.isdecimal() else gpu.split('-')[1]}"


def read_password(path: Path) -> str:
    """A password's file has it in its only line. Raises ValueError for one that is missing, or easily guessed."""
    try:
        password = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ValueError(f"{path} can't be read ({reason}); `make secrets` makes the files with passwords") from error
    if len(password) < MIN_PASSWORD_LENGTH or re.search(r"\s", password):
        raise ValueError(f"{path} has no password of {MIN_PASSWORD_LENGTH} characters or more in one line")
    found = [word for word in PLACEHOLDERS if word in password.lower()]
    if found or len(set(password)) < MIN_PASSWORD_LENGTH // 2:
        why = f"has {found[0]!r} in it" if found else "repeats a few characters"
        raise ValueError(f"the password in {path} {why}; take one at random, as `make secrets` does")
    return password


def _add_password(url: str, file: Path | None) -> str:
    """A URL without a password, with the one in the file."""
    if file is None:
        return url
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user if at else ''}:{quote(read_password(file), safe='')}@{host}"))


class Settings(BaseSettings):
    """Built once by the entry point and passed in; nothing imports it as a global."""

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
        description="Where that store answers; default: AWS, or `AWS_ENDPOINT_URL`.",
    )
    storage_region: str | None = Field(None, description="Its region; default: `AWS_REGION`, else `us-east-1`.")
    storage_key_id: str | None = Field(
        None, description="Its access key id; default: the `AWS_*` variables, or the role of the machine."
    )
    storage_secret_file: Path | None = Field(None, description="File with the secret access key that belongs to it.")
    storage_link_seconds: Seconds | None = Field(
        None,
        description="Downloads are redirected to links into the store, good for so long; default: they go through the "
        "API, and the store need not be reached by anybody else.",
    )
    mirror_seconds: Seconds = Field(
        10, description="Between two copies of a run's log and checkpoints to the object store, for other machines."
    )
    cache_bytes: Bytes = Field(
        50 * GIB, description="Most that a machine keeps of what it has fetched from the object store."
    )
    base_models: dict[str, str] = Field(
        default_factory=dict,
        description='JSON object of the base models that jobs may name: `{"name": "folder or hub id"}`.',
    )

    # The API
    host: str = Field("127.0.0.1", description="Address that the API listens on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        8000, description="Its port; `emotune up` takes any free one where it is taken."
    )
    api_processes: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="Processes that answer there. Each computes on one core at a time, and takes 130 to 250 MB."
    )
    max_body_bytes: Bytes = Field(MIB, description="Largest request body other than a dataset.")
    max_dataset_bytes: Bytes = Field(2 * GIB, description="Largest dataset file.")
    upload_seconds: Seconds = Field(
        DAY_SECONDS, description="An upload in parts is deleted so long after its beginning, complete or not."
    )
    max_dataset_lines: Annotated[int, Field(ge=1)] = Field(5_000_000, description="Most lines of a dataset.")
    max_line_bytes: Bytes = Field(MIB, description="Longest line of a dataset.")
    max_problems: Annotated[int, Field(ge=1)] = Field(100, description="Most problems listed in a dataset's report.")
    min_free_disk_bytes: Bytes = Field(
        GIB,
        description="Below this much free disk uploads and jobs are refused, slots take none, `/health/ready` fails.",
    )
    session_seconds: Seconds = Field(
        14 * DAY_SECONDS, description="A browser stays logged in for so long, or until its key is revoked."
    )
    login_code_seconds: Seconds = Field(900, description="A login link is good for so long, and once.")
    worker_seen_seconds: Seconds = Field(30, description="A slot not heard of for longer counts as absent.")
    metrics_public: bool = Field(
        False,
        description="`GET /metrics` needs no operator's key. For a network where only Prometheus reaches it: it names "
        "all teams and slots.",
    )

    # The queue
    usage_half_life_seconds: Seconds = Field(
        DAY_SECONDS, description="What a team has used of the slots counts half after so long (docs/decisions/0009)."
    )
    entry_penalty_seconds: Annotated[float, Field(ge=0)] = Field(
        60,
        description="Slot seconds that a new job of a team with a lead counts until its first run has ended.",
    )
    quota_window_seconds: Seconds = Field(
        7 * DAY_SECONDS, description="A team's quota of slot seconds is for so long a time, which goes along."
    )
    low_wait_seconds: Seconds = Field(
        7 * DAY_SECONDS, description="A job of the class `low` that has waited so long goes among the `normal` ones."
    )

    # The worker
    host_name: str = Field(
        default_factory=socket.gethostname,
        validate_default=True,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$",
        description="What this machine is called; default: its host name. Set it in containers, whose names change.",
    )
    slot_device: Device = Field("cpu", description="What the slot is: `cpu` or `cuda`.")
    slot_gpu: str = Field(
        default_factory=_get_first_visible_gpu,
        pattern=f"^({GPU_FORM})$",
        description="The GPU of a `cuda` slot: its index as `nvidia-smi` counts, or its UUID; default: the first of "
        "`CUDA_VISIBLE_DEVICES`, else 0.",
    )
    slot: str = Field(
        default_factory=_make_slot_name,
        pattern=SLOT_NAME_FORM,
        description="Name of the slot that a worker runs; default: made of the host's name, the device and the GPU.",
    )
    slot_size: Annotated[float, Field(gt=0)] = Field(
        1.0, description="What a second on the slot counts in a team's usage, relative to the other slots."
    )
    slot_max_used_bytes: Bytes = Field(
        3 * GIB // 2, description="With more of the GPU's memory in use before a job the slot is blocked."
    )
    heartbeat_seconds: Seconds = Field(
        1, description="Between two signs of life of a run; also how soon a stop is seen."
    )
    lease_seconds: Seconds = Field(30, description="A run without a heartbeat for this long is taken for dead.")
    stop_grace_seconds: Seconds = Field(
        30, description="From asking a run to save and stop until SIGTERM; also when its worker is to leave."
    )
    kill_grace_seconds: Seconds = Field(10, description="From SIGTERM until SIGKILL of the run's process group.")
    max_crashes: Annotated[int, Field(ge=1)] = Field(
        3, description="A job whose runs crash so often fails; interruptions by the operator don't count."
    )
    silence_seconds: Seconds = Field(
        3600, description="A training process that reports nothing for so long is taken for stuck, and ended."
    )
    job_timeout_seconds: Seconds | None = Field(
        None, description="All runs of a job together may take so long, unless it was posted with a time of its own."
    )
    checkpoints_kept: Annotated[int, Field(ge=1)] = Field(
        2, description="So many of a running job's last checkpoints are kept, and the best one beside them."
    )
    sweep_seconds: Seconds = Field(5, description="Between two sweeps of the housekeeping worker.")
    trainer_threads: Annotated[int, Field(ge=1)] | None = Field(
        None, description="CPU threads of a training process; default: all cores."
    )

    # Live metrics
    metric_flush_seconds: Seconds = Field(2, description="Metrics go to the database in batches, this far apart.")
    metric_stream_length: Annotated[int, Field(ge=1)] = Field(20_000, description="Metrics kept in Redis per job.")
    metric_stream_seconds: Seconds = Field(7 * DAY_SECONDS, description="How long Redis keeps them after the last one.")

    # What is kept, and for how long (jobs/runs/retention.py)
    keep_bundles_seconds: Seconds | None = Field(
        None, description="A job's bundle is deleted so long after the job's end; default: never."
    )
    keep_logs_seconds: Seconds | None = Field(
        None, description="So are the other files of its runs: logs, metrics, loss curve, row report; default: never."
    )
    keep_metrics_seconds: Seconds | None = Field(
        None, description="And the points of its curves in the database; the loss in short stays. Default: never."
    )
    keep_datasets_seconds: Seconds | None = Field(
        None, description="A dataset is deleted when no job has used it for so long since its upload; default: never."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Of every process's own log.")
    log_format: LogFormat = Field(
        "text", description="Of the same: `text` for people, or `json`, an object a line, for programs."
    )

    @model_validator(mode="after")
    def _lease_outlasts_heartbeats(self) -> Self:
        if self.lease_seconds < MIN_HEARTBEATS_PER_LEASE * self.heartbeat_seconds:
            raise ValueError(
                f"lease_seconds is {self.lease_seconds:g}; give at least {MIN_HEARTBEATS_PER_LEASE} times "
                f"heartbeat_seconds ({self.heartbeat_seconds:g}), or healthy runs are taken for dead"
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
                    f"{PREFIX}{name}_URL has a password, and {PREFIX}{name}_PASSWORD_FILE another; keep one"
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
        """The database's URL with the driver that is installed, and with its password."""
        if self.database_url is None:
            return f"sqlite:///{self.data_dir / 'emotune.db'}"
        url = _add_password(self.database_url, self.database_password_file)
        for bare in ("postgresql://", "postgres://"):
            if url.startswith(bare):
                return "postgresql+psycopg://" + url.removeprefix(bare)
        return url

    @cached_property
    def redis_socket(self) -> Path:
        """The embedded server's socket: in the data folder, or in the temporary one if that path would be too long."""
        socket = self.data_dir / "redis" / "redis.sock"
        if len(str(socket).encode()) <= MAX_SOCKET_PATH_BYTES:
            return socket
        digest = hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"emotune-{digest}" / "redis.sock"

    @cached_property
    def redis_client_url(self) -> str:
        """For redis-py, with its password."""
        if self.redis_url is None:
            return f"unix://{self.redis_socket}?db=0"
        return _add_password(self.redis_url, self.redis_password_file)

    @cached_property
    def broker_url(self) -> str:
        """For Celery, which spells a unix socket its own way."""
        if self.redis_client_url.startswith("unix://"):
            path, _, query = self.redis_client_url.removeprefix("unix://").partition("?")
            return f"redis+socket://{path}?{query.replace('db=', 'virtual_host=')}"
        return self.redis_client_url


def load_settings() -> Settings:
    """From the environment. Raises SettingUnknown, SettingUnreadable, pydantic.ValidationError."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | CLIENT_VARIABLES
    for name in os.environ:
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean {near[0]}?" if near else "docs/configuration.md lists them all."
            raise SettingUnknown(f"{name} is no setting; {advice}")
    try:
        return Settings()
    except SettingsError as error:
        # What should be JSON is none; the cause says where.
        raise SettingUnreadable(f"{error}: {error.__cause__}") from error
