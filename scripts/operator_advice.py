"""What an operator checks, and does, about each code that the service reports: for docs/errors.md.

None where only the caller can fix it. scripts/make_errors_doc.py puts these beside the meaning of the code itself.
"""

FAILURES: dict[str, str | None] = {
    "base_model_missing": (
        "`emotune doctor` on the slot's host: the folder has to be there, at the path that `EMOTUNE_BASE_MODELS` "
        "names. In containers: `docker compose exec worker-0 ls /models`."
    ),
    "base_model_unknown": (
        "If the model is still on the list, API and worker have different lists: compare `EMOTUNE_BASE_MODELS` in "
        "`emotune settings` of both."
    ),
    "bundle_invalid": (
        "The run's log, then the disk of the data folder: `df -h`, the kernel's log (`journalctl -k`). Worker and "
        "training process must be of one release."
    ),
    "config_invalid": "`emotune doctor`: is the worker of another release than the API? Update it.",
    "cuda_error": (
        "`journalctl -k | grep -i xid` names the fault, `nvidia-smi -q -d ECC` the memory's errors. Drain the "
        "slot; if it comes back, reboot the machine, then change the driver, then the GPU."
    ),
    "cuda_out_of_memory": (
        "`emotune slots` and `nvidia-smi`: does another process use the GPU? If not, the config is too large; "
        "[memory.md](memory.md) says what needs how much."
    ),
    "dataset_changed": (
        "`datasets/ID.jsonl` in the data folder was changed: check the disk, or restore "
        "the file from a backup ([operations.md](operations.md#backup-and-restore))."
    ),
    "dataset_invalid": None,
    "dataset_not_found": (
        "`datasets/ID.jsonl` is missing in the data folder or the bucket: restore it from a backup "
        "([operations.md](operations.md#backup-and-restore)). Hosts that share a queue need one storage."
    ),
    "disk_full": (
        "`df -h` on the slot's host, for the data folder and `/tmp`. What may be deleted: "
        "[operations.md](operations.md#retention-and-garbage)."
    ),
    "host_out_of_memory": (
        "`journalctl -k | grep -i oom`. In containers raise `INSTALL_WORKER_MEMORY`; otherwise run fewer slots, or "
        "nothing else, on the machine."
    ),
    "installation_restored": None,
    "loss_diverged": None,
    "machine_restarted": "If that was not intended: `last -x reboot`, `journalctl --boot=-1 -e`.",
    "model_load_failed": (
        "`emotune doctor` on the slot's host reads config, weights and tokenizer. A file of a few hundred bytes "
        "is a Git LFS pointer: fetch the model again."
    ),
    "no_targets": None,
    "output_exists": "It occurs only with `emotune train`; no job has it.",
    "several_processes": "A worker that such a launcher has started passes its variables on to the training "
    "(`WORLD_SIZE`, `RANK`): start `emotune worker` by itself, once for each GPU.",
    "request_invalid": "An update has changed the files under a running worker: restart the worker.",
    "timeout": (
        "If many jobs have it, slots have become slower: `emotune slots` (temperature, power, other processes), and "
        "the job's last event, which compares with the estimate."
    ),
    "trainer_crashed": (
        "The run's log: `GET /jobs/{job_id}/logs` has the traceback. If all jobs of one slot end like this, check its "
        "driver and its packages."
    ),
    "trainer_killed": (
        "`journalctl -k` on the slot's host, the limits of its container (`docker inspect`), and what else may kill "
        "processes there. A slot needs `pids` and memory for a training of its own."
    ),
    "trainer_stalled": (
        "`nvidia-smi` and `journalctl -k | grep -i xid` on the slot's host; a network disk that hangs shows as "
        "processes in state D (`ps -eo state,pid,cmd`). If steps take that long, raise `EMOTUNE_SILENCE_SECONDS`."
    ),
    "worker_error": (
        "`run_broke` in the worker's log has the traceback, by the job's id: the database, the data folder, or a "
        "fault of emotune; please report it."
    ),
    "worker_lost": (
        "Is the host up, and the worker (`emotune slots`, `docker compose ps`)? It was killed, cut off from the "
        "database, or overloaded; with different clocks every run looks lost (`emotune doctor`)."
    ),
}

API_ERRORS: dict[str, str | None] = {
    "api_key_invalid": (
        "`emotune keys create --team NAME` makes another key; `emotune keys list` shows which were revoked."
    ),
    "api_key_not_found": None,
    "artifact_gone": (
        "The `EMOTUNE_KEEP_*` settings say how long files are kept: "
        "[operations.md](operations.md#retention-and-garbage)."
    ),
    "artifact_not_found": None,
    "base_model_missing": (
        "`emotune doctor` on the API's machine: restore the folder, or remove it from `EMOTUNE_BASE_MODELS`."
    ),
    "base_model_unknown": "`EMOTUNE_BASE_MODELS` is the list; it has to be the same for the API and all workers.",
    "body_too_large": (
        "For JSON the limit is `EMOTUNE_MAX_BODY_BYTES`, for datasets `EMOTUNE_MAX_DATASET_BYTES`. A 413 without a "
        "`code` is the proxy's own: give it the same limit."
    ),
    "csrf_token_invalid": "If browsers get it at every change, the proxy removes `X-CSRF-Token` or the cookie.",
    "cursor_invalid": None,
    "database_unavailable": (
        "`docker compose ps postgres` and its log; `database_unavailable` in the API's log has the reason. "
        "If it lasts for seconds it is a restart, if for minutes it is not."
    ),
    "dataset_in_use": None,
    "dataset_invalid": None,
    "dataset_not_found": None,
    "dataset_outdated": None,
    "dataset_too_large": (
        "Raise `EMOTUNE_MAX_DATASET_BYTES` for the API and for the proxy (in containers once, in `.env`)."
    ),
    "digest_mismatch": "If it happens often, something between client and API changes bodies.",
    "disk_full": (
        "`df -h` of the data folder; less is free than `EMOTUNE_MIN_FREE_DISK_BYTES`. What may be deleted: "
        "[operations.md](operations.md#retention-and-garbage)."
    ),
    "encoding_not_supported": None,
    "idempotency_key_reused": None,
    "internal_error": (
        "A fault of emotune. The API's log has the traceback under the answer's `X-Request-ID`: `docker compose logs "
        "api | grep ID`. Please report it."
    ),
    "job_finished": None,
    "job_not_found": None,
    "job_not_running": None,
    "job_not_waiting": None,
    "job_stopping": "If a job stays like this for longer than a step and a minute, check its slot: `emotune slots`.",
    "login_code_invalid": (
        "`emotune dashboard` prints a new link; `EMOTUNE_LOGIN_CODE_SECONDS` is how long one is valid."
    ),
    "method_not_allowed": None,
    "name_empty": None,
    "no_slot_for_config": "No slot with CUDA was ever seen: start its worker (`emotune slots`).",
    "not_found": "If all calls get it, the proxy changes the paths.",
    "not_ready": "`GET /health/ready` names what is missing; `emotune doctor` says more.",
    "operator_needed": "`emotune keys create --operator` makes a key for these calls.",
    "part_not_found": None,
    "priority_class_too_high": "`emotune teams set NAME --max-priority-class urgent`.",
    "quota_exceeded": "`emotune teams list` shows the quotas, `emotune teams set NAME` changes them.",
    "range_not_satisfiable": None,
    "request_invalid": None,
    "request_unreadable": None,
    "run_not_found": None,
    "session_invalid": "If browsers log out at once: two installations share a host name, or the clock is wrong.",
    "slot_not_found": "`emotune slots` lists the names.",
    "statistics_failed": "The housekeeping's log has the reason; it needs the base model's folder as well.",
    "storage_unreachable": (
        "`emotune doctor`; check that the object store's server runs, and that bucket and key are right "
        "([operations.md](operations.md#storage))."
    ),
    "team_name_taken": None,
    "team_not_found": "`emotune teams list` lists the names.",
    "tokenizer_unusable": "`emotune doctor` says what the base model's folder lacks; it needs a `tokenizer.json`.",
    "upload_completed": None,
    "upload_incomplete": None,
    "upload_not_found": "Uploads expire after `EMOTUNE_UPLOAD_SECONDS`.",
    "uploads_too_many": None,
    "validation_dataset_unfit": None,
    "would_not_fit": (
        "`emotune slots` shows the memory of each slot; a slot that is away still counts with the memory that it had."
    ),
}

# The meaning, and what the operator can do.
WAITS: dict[str, tuple[str, str | None]] = {
    "held": (
        "The operator holds it; the message gives the reason.",
        "`emotune queue release JOB`",
    ),
    "no_slot": (
        "No worker was seen recently, or all slots are drained or blocked; the message says why one is blocked.",
        (
            "`emotune slots`: start the workers (`docker compose up --detach worker-0`), or `emotune slots resume "
            "SLOT`. A blocked slot has a reason: [operations.md](operations.md#what-blocks-a-slot)."
        ),
    ),
    "no_cuda_slot": (
        "Its config needs CUDA, and every open slot is a CPU.",
        "Start a worker with `EMOTUNE_SLOT_DEVICE=cuda`; if there is one, find out why it is away: `emotune slots`.",
    ),
    "no_memory": (
        "No open slot has the memory that it needs.",
        "Bring the larger slot back; otherwise its team has to cancel it and post a smaller config.",
    ),
    "quota_running": (
        "Its team has as many running jobs as the quota allows.",
        "`emotune teams set NAME --max-running N`",
    ),
    "quota_slot_seconds": (
        "Its team has used up its slot seconds within the quota's window.",
        "`emotune teams set NAME --max-slot-seconds N`; it is lifted by itself as the window moves.",
    ),
    "starting": (
        "A slot is free for it, and will take it within seconds.",
        "If that lasts, the slot is blocked, or its worker gets no messages (`emotune doctor`, `cuda workers`).",
    ),
    "behind_team": (
        "Jobs of its own team go first, by priority and age.",
        "`emotune queue move JOB --to 1`",
    ),
    "behind_pinned": (
        "The operator has put other jobs first.",
        "`emotune queue move JOB --unpin` returns one to the queue's own order.",
    ),
    "behind_class": (
        "Jobs of a higher priority class are waiting.",
        "`emotune teams set NAME --max-priority-class normal` for a team that uses `urgent` without need.",
    ),
    "over_share": (
        "Other teams have used less of their share.",
        "`emotune teams list` shows shares and usage; `--weight` changes the shares.",
    ),
    "no_free_slot": (
        "It is next, and all slots are busy.",
        "`emotune queue preempt JOB` frees one; more slots free more.",
    ),
}
