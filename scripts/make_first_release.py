"""Write tests/integration/data/first_release.json: a database as the first release left it, and the files beside it.

The first migration makes the tables; their rows are what that release wrote: a team with two keys, a
dataset, jobs of every status with runs, events, metrics and artifacts. The file is portable: rows by table, times in
ISO 8601. It needs no making again unless a row is wanted that isn't there.

python -m scripts.make_first_release
"""

import base64
import hashlib
import io
import json
import tempfile
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import insert

from jobs.database.engine import Database
from jobs.database.schema import make_alembic_config
from scripts.made_rows import reflect, take_all

FILE = Path(__file__).resolve().parent.parent / "tests" / "integration" / "data" / "first_release.json"
REVISION = "439641e491cb"
SECRET = "emo_first-release-secret"  # noqa: S105 - of nobody
START = datetime(2026, 11, 22, 16, 0, 0, 123456, tzinfo=UTC)
AXES = [
    "SADNESS_JOY",
    "FEAR_COURAGE",
    "DISGUST_ACCEPTANCE",
    "ANGER_CALMNESS",
    "SURPRISE_EXPECTATION",
    "DISTRUST_TRUST",
    "BOREDOM_INTEREST",
    "INDIFFERENCE_EMPATHY",
]
# All fields of that release's config.
CONFIG: dict[str, Any] = {
    "epochs": 4.0,
    "max_steps": None,
    "batch_size": 12,
    "gradient_accumulation": 1,
    "max_length": 256,
    "batching": "dynamic",
    "group_by_length": True,
    "lora_learning_rate": 0.0002,
    "emotion_learning_rate": 0.002,
    "weight_decay": 0.01,
    "warmup_ratio": 0.05,
    "schedule": "linear",
    "max_grad_norm": 1.0,
    "lora_rank": 32,
    "lora_alpha": 32.0,
    "lora_dropout": 0.0,
    "lora_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "emotion_init": "zero_last",
    "emotion_centered": True,
    "emotion_scale": 1.0,
    "emotion_span": "lead",
    "backend": "auto",
    "load_in_4bit": None,
    "dtype": "auto",
    "gradient_checkpointing": False,
    "seed": 42,
    "log_every": 1,
}
OTHER_CONFIG = CONFIG | {
    "epochs": 0.5,
    "max_steps": 12,
    "batching": "fixed",
    "group_by_length": False,
    "schedule": "cosine",
    "lora_modules": ["q_proj", "v_proj"],
    "emotion_init": "default",
    "emotion_span": "token",
    "backend": "transformers",
    "load_in_4bit": False,
    "dtype": "float32",
    "gradient_checkpointing": True,
    "log_every": 5,
}
DATASET = (
    '{"messages": [{"role": "user", "content": "I lost my keys."}, '
    '{"role": "assistant", "content": "<emotion joy=0.5>We will find them.</emotion>"}]}\n'
) * 3


def make_id(kind: str, number: int) -> str:
    return f"{kind}_01kas0000000000000000000{number:02d}"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


TEAM_ID = make_id("team", 1)
DATASET_ID = make_id("ds", 1)


def make_job(number: int, status: str, **values: Any) -> dict[str, Any]:
    created = START + timedelta(minutes=number)
    bare = {
        "id": make_id("job", number),
        "team_id": TEAM_ID,
        "name": f"{status} of then",
        "status": status,
        "priority": 0,
        "base_model": "tiny-gemma",
        "config": CONFIG,
        "needs_cuda": False,
        "dataset_id": DATASET_ID,
        "dataset_name": "chats",
        "dataset_sha256": sha256(DATASET.encode()),
        "axes": AXES,
        "idempotency_key": f"post-{number}",
        "request_sha256": sha256(str(number).encode()),
        "created_at": created,
        "attempt": 0,
        "step": 0,
    }
    return bare | values


def make_running(number: int, **values: Any) -> dict[str, Any]:
    began = START + timedelta(minutes=number, seconds=30)
    return {
        "started_at": began,
        "attempt": 1,
        "heartbeat_at": began + timedelta(seconds=20),
        "step": 3,
        "total_steps": 5,
        "last_loss": 1.25,
        "tokens_per_second": 812.5,
        "eta_seconds": 4.0,
    } | values


def make_jobs() -> list[dict[str, Any]]:
    done = START + timedelta(minutes=30)
    leased = {"lease_expires_at": START + timedelta(minutes=5), "phase": "training"}
    return [
        make_job(1, "succeeded", **make_running(1, finished_at=done, step=5, eta_seconds=0.0)),
        make_job(
            2,
            "failed",
            **make_running(2, finished_at=done, attempt=3),
            error_code="trainer_crashed",
            error_message="The training process ended with exit code 1. Its log:\nRuntimeError: on fire",
            config=OTHER_CONFIG,
        ),
        make_job(3, "cancelled", finished_at=done, idempotency_key=None),
        make_job(4, "running", **make_running(4), **leased, slot="slot-0"),
        make_job(5, "running", **make_running(5, stop_requested_at=done), **leased, slot="slot-1"),
        make_job(6, "queued", config=OTHER_CONFIG, priority=5),
        make_job(8, "paused", config=OTHER_CONFIG),
        # It was requeued after its worker had died.
        make_job(7, "queued", **make_running(7, step=0, last_loss=None, tokens_per_second=None, eta_seconds=None)),
    ]


def make_run(number: int, attempt: int, outcome: str | None, error_code: str | None = None) -> dict[str, Any]:
    began = START + timedelta(minutes=number, seconds=30 * attempt)
    return {
        "job_id": make_id("job", number),
        "attempt": attempt,
        "team_id": TEAM_ID,
        "slot": f"slot-{number % 2}",
        "started_at": began,
        "ended_at": None if outcome is None else began + timedelta(seconds=25),
        "outcome": outcome,
        "exit_code": {"succeeded": 0, "failed": 1}.get(outcome or ""),
        "error_code": error_code,
    }


def make_metric(number: int, seq: int) -> dict[str, Any]:
    values = {
        "step": seq,
        "total_steps": 5,
        "epoch": seq / 5,
        "loss": 4.0 / seq,
        "lora_learning_rate": 0.0002,
        "emotion_learning_rate": 0.002,
        "grad_norm": 1.0,
        "tokens_per_second": 812.5,
        "token_count": 10 * seq,
        "elapsed_seconds": 0.1 * seq,
        "eta_seconds": 0.1 * (5 - seq),
        "memory_bytes": 1000,
    }
    return {"job_id": make_id("job", number), "attempt": 1, "seq": seq, "values": values}


def make_events() -> list[dict[str, Any]]:
    events = [
        (1, 0, "queued", "The job waits for a slot."),
        (1, 1, "running", "Attempt 1 starts on slot-0."),
        (1, 1, "phase", "The training begins."),
        (1, 1, "succeeded", "5 steps in 2 s; last loss 0.8000."),
        (2, 0, "queued", "The job waits for a slot."),
        (2, 3, "failed", "The training process ended with exit code 1."),
        (3, 0, "cancelled", "Cancelled while it waited."),
        (6, 0, "queued", "The job waits for a slot."),
        (7, 1, "requeued", "The worker gave no sign of life; the job is queued again."),
    ]
    return [
        {
            "id": number,
            "job_id": make_id("job", job),
            "attempt": attempt,
            "at": START + timedelta(minutes=job, seconds=number),
            "kind": kind,
            "message": message,
        }
        for number, (job, attempt, kind, message) in enumerate(events, start=1)
    ]


def make_bundle() -> bytes:
    """Make a zip like that release's, good enough for a download."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as bundle:
        entry = zipfile.ZipInfo("bundle.json", date_time=(2026, 11, 22, 16, 0, 0))
        bundle.writestr(entry, json.dumps({"format_version": 1, "base_model": "tiny-gemma", "axes": AXES}))
    return stream.getvalue()


def make_files() -> dict[str, bytes]:
    job_id = make_id("job", 1)
    metrics = "".join(json.dumps(make_metric(1, seq)["values"]) + "\n" for seq in range(1, 6)).encode()
    return {
        f"datasets/{DATASET_ID}.jsonl": DATASET.encode(),
        f"artifacts/{job_id}/bundle-1.zip": make_bundle(),
        f"artifacts/{job_id}/metrics-1.jsonl": metrics,
        f"artifacts/{job_id}/log-1.txt": b"loading\ntraining\n",
        f"runs/{job_id}/1/log.txt": b"loading\ntraining\n",
        f"runs/{job_id}/1/metrics.jsonl": metrics,
    }


def make_artifacts() -> list[dict[str, Any]]:
    files, job_id = make_files(), make_id("job", 1)
    kinds = {
        "bundle": ("bundle-1.zip", "application/zip"),
        "metrics": ("metrics-1.jsonl", "application/x-ndjson"),
        "log": ("log-1.txt", "text/plain; charset=utf-8"),
    }
    return [
        {
            "job_id": job_id,
            "kind": kind,
            "filename": filename,
            "media_type": media_type,
            "size_bytes": len(files[f"artifacts/{job_id}/{filename}"]),
            "sha256": sha256(files[f"artifacts/{job_id}/{filename}"]),
            "created_at": START + timedelta(minutes=30),
        }
        for kind, (filename, media_type) in kinds.items()
    ]


def make_key(number: int, **values: Any) -> dict[str, Any]:
    secret = SECRET if number == 1 else f"{SECRET}-{number}"
    return {
        "id": make_id("key", number),
        "team_id": TEAM_ID,
        "name": f"laptop {number}",
        "prefix": secret[:12],
        "sha256": sha256(secret.encode()),
        "created_at": START,
    } | values


def make_tables() -> dict[str, list[dict[str, Any]]]:
    report = {
        "line_count": 3,
        "example_count": 3,
        "turn_count": 6,
        "target_count": 3,
        "character_count": 159,
        "problems": [],
        "problem_count": 0,
        "problem_counts": {},
        "warnings": [
            {
                "code": "duplicate_line",
                "message": "2 lines repeat",
                "advice": "Take them out.",
                "count": 2,
                "lines": [2, 3],
            }
        ],
        "ignored_keys": {},
        "emotions": {
            "segment_count": 3,
            "neutral_count": 0,
            "poles": {"joy": {"segment_count": 3, "mean_intensity": 0.5}},
        },
    }
    return {
        "slot": [{"name": "slot-0", "device": "cpu", "host": "box", "seen_at": START}],
        "team": [{"id": TEAM_ID, "name": "reds", "created_at": START}],
        "api_key": [make_key(1, last_used_at=START), make_key(2, revoked_at=START)],
        "dataset": [
            {
                "id": DATASET_ID,
                "team_id": TEAM_ID,
                "name": "chats",
                "size_bytes": len(DATASET.encode()),
                "sha256": sha256(DATASET.encode()),
                "axes": AXES,
                "example_count": 3,
                "report": report,
                "created_at": START,
            }
        ],
        "job": make_jobs(),
        "run": [
            make_run(1, 1, "succeeded"),
            make_run(2, 1, "requeued", "worker_lost"),
            make_run(2, 2, "requeued", "interrupted"),
            make_run(2, 3, "failed", "trainer_crashed"),
            make_run(4, 1, None),
            make_run(5, 1, None),
            make_run(7, 1, "requeued", "worker_lost"),
        ],
        "event": make_events(),
        "metric": [make_metric(1, seq) for seq in range(1, 6)] + [make_metric(2, 1)],
        "artifact": make_artifacts(),
    }


def main() -> None:
    config, tables = make_alembic_config(), make_tables()
    with tempfile.TemporaryDirectory(prefix="emotune-first-") as folder:
        database = Database(f"sqlite:///{Path(folder) / 'emotune.db'}")
        with database.alter() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, REVISION)
            schema = reflect(connection)
            for table in schema.sorted_tables:
                for row in tables[table.name]:
                    connection.execute(insert(table).values(row))
            rows = {name: list(found.values()) for name, found in take_all(connection, schema).items()}
        database.close()
    files = {name: base64.b64encode(content).decode() for name, content in make_files().items()}
    release = {"revision": REVISION, "secret": SECRET, "tables": rows, "files_base64": files}
    FILE.parent.mkdir(exist_ok=True)
    text = json.dumps(release, indent=1, default=lambda moment: moment.replace(tzinfo=UTC).isoformat())
    FILE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
