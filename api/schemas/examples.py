"""Examples that the API's documentation shows."""

from pydantic.config import JsonDict

JOB_ID = "job_01k9v3m8r5x2j4c6b8d0f1g3h5"
DATASET_ID = "ds_01k9v3k2q7w4e6r8t0y1u3i5o7"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
REPORT: JsonDict = {"line_count": 240, "example_count": 240, "problem_count": 0, "problems": [], "warnings": []}
DATASET: JsonDict = {
    "id": DATASET_ID,
    "name": "support chats",
    "size_bytes": 48_213,
    "sha256": SHA256,
    "axes": ["SADNESS_JOY", "FEAR_COURAGE"],
    "example_count": 240,
    "created_at": "2026-11-22T15:04:05Z",
    "report": REPORT,
}
JOB: JsonDict = {
    "id": JOB_ID,
    "name": "warm replies",
    "posted_by": "laptop",
    "status": "running",
    "priority": 0,
    "priority_class": "normal",
    "timeout_seconds": None,
    "base_model": "gemma-3-270m",
    "dataset": {"id": DATASET_ID, "name": "support chats", "sha256": SHA256},
    "config": {"epochs": 4.0, "lora_rank": 32},
    "attempt": 1,
    "phase": "training",
    "step": 12,
    "total_steps": 80,
    "last_loss": 3.41,
    "tokens_per_second": 412.0,
    "queue_position": None,
    "queue_reason": None,
    "eta_seconds": 95.0,
    "error": None,
    "stop_requested": False,
    "created_at": "2026-11-22T15:05:00Z",
    "started_at": "2026-11-22T15:05:01Z",
    "finished_at": None,
}

JOB_REQUEST: JsonDict = {
    "dataset_id": DATASET_ID,
    "base_model": "gemma-3-270m",
    "name": "warm replies",
    "preset": "default",
    "config": {"epochs": 4, "lora_rank": 32},
}
SLOT: JsonDict = {
    "name": "box-cuda-0",
    "host": "box",
    "device": "cuda",
    "status": "running",
    "blocked_reason": None,
    "job": {"id": JOB_ID, "name": "warm replies", "is_own": True},
    "size": 1.0,
    "memory_bytes": 150_754_820_096,
    "memory_used_bytes": 21_474_836_480,
    "gpu_name": "NVIDIA H200",
    "gpu_uuid": "GPU-3ab1f7c2-8d5e-4f60-9c1b-7a2e6d4b0f93",
    "utilization_percent": 96.0,
    "temperature_celsius": 61.0,
    "power_watts": 412.5,
    "emotune_version": "0.1.0",
    "is_other_release": False,
    "drained_at": None,
    "seen_at": "2026-11-22T15:05:12Z",
}
