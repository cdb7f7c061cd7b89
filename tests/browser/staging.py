"""An installation that looks like a team's after a month, made in seconds: rows and files, no training.

    python -m tests.browser.staging --data-dir D --port P [--seconds N]

stages into an empty folder, then serves it until Ctrl-C, with an embedded Valkey for the live points, and with running
jobs that advance, obey stops and end (staged/life.py). A folder that is already staged is served as it is.
"""

import argparse
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn
from fastapi.testclient import TestClient
from sqlalchemy import update
from sqlalchemy.orm import Session

from api.main import create_app
from cli.migrate import migrate
from cli.processes import start_process, wait_until
from cli.valkey import answers, make_valkey_argv
from jobs.access import sessions
from jobs.access.teams import authenticate, create_key, get_or_create_team
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.files.storage import Storage
from jobs.models import ApiKey, Dataset, Team
from jobs.settings import Settings
from tests.browser.staged.chats import make_chats, make_own_axes_chats
from tests.browser.staged.files import make_model_folder
from tests.browser.staged.life import Life
from tests.browser.staged.rows import World, add_story
from tests.browser.staged.slots import add_slots
from tests.browser.staged.stories import ALL_STORIES, LARGE, MAIN_TEAM, MIDDLE, OPERATORS, SECOND_TEAM, SMALL

REPOSITORY = Path(__file__).parents[2]
STAGED_FILE = "staged.json"
LOGIN_SECONDS = 24 * 3600

# Sizes as in the folders that Google publishes; the estimates and the memory of slots are based on them.
_GEMMAS: dict[str, tuple[dict[str, object], int]] = {
    SMALL: ({"hidden_size": 640, "intermediate_size": 2048, "num_hidden_layers": 18}, 536_223_056),
    MIDDLE: ({"hidden_size": 1152, "intermediate_size": 6912, "num_hidden_layers": 26}, 1_999_811_208),
    LARGE: ({"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34}, 7_760_000_000),
}


@dataclass(frozen=True)
class Staged:
    """How to log in, and what can be looked at. The keys are valid in this installation only."""

    member_key: str
    operator_key: str
    dataset_ids: dict[str, str]
    job_ids: dict[str, str]


def make_settings(data_dir: Path, *, port: int = 8000) -> Settings:
    models = {name: str(data_dir / "models" / name) for name in _GEMMAS}
    return Settings(
        data_dir=data_dir,
        port=port,
        host_name="atlas",
        base_models=models,
        min_free_disk_bytes=0,
        login_code_seconds=LOGIN_SECONDS,
    )


def stage(settings: Settings, *, seed: int = 0) -> Staged:
    """Fill an empty installation. The same seed gives the same content, except for times, ids and keys."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    _make_models(settings)
    migrate(settings)
    database = Database(settings.sqlalchemy_url)
    try:
        with database.write() as session:
            keys = _add_teams(session)
        _upload_datasets(settings, keys, seed)
        with database.write() as session:
            job_ids = _add_jobs(session, Storage(settings.data_dir), seed)
            add_slots(session)
            _age_keys(session)
        with database.read() as session:
            dataset_ids = {dataset.name: dataset.id for dataset in session.query(Dataset)}
    finally:
        database.close()
    staged = Staged(keys["laptop"], keys["ops"], dataset_ids, job_ids)
    (settings.data_dir / STAGED_FILE).write_text(json.dumps(asdict(staged)))
    return staged


def find_staged(settings: Settings) -> Staged | None:
    path = settings.data_dir / STAGED_FILE
    return Staged(**json.loads(path.read_text())) if path.is_file() else None


def make_login_link(settings: Settings, secret: str) -> str:
    """Make the path of a login link, which is appended to the API's address."""
    database = Database(settings.sqlalchemy_url)
    with database.write() as session:
        caller = authenticate(session, secret=secret)
        _, code = sessions.create_login_code(session, key_id=caller.key_id, expire_seconds=settings.login_code_seconds)
    database.close()
    return f"/#/login?code={code}"


def _make_models(settings: Settings) -> None:
    """Make model folders with Gemma's sizes and the tests' tokenizer, which another process makes with torch."""
    tiny = settings.data_dir / "models" / "tiny"
    subprocess.run([sys.executable, str(REPOSITORY / "tests" / "support" / "tiny_gemma.py"), str(tiny)], check=True)
    for name, (sizes, weight_bytes) in _GEMMAS.items():
        config = {
            "model_type": "gemma3_text",
            "architectures": ["Gemma3ForCausalLM"],
            "vocab_size": 262_144,
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "head_dim": 256,
            "dtype": "bfloat16",
        } | sizes
        make_model_folder(settings.data_dir / "models" / name, tiny, config, weight_bytes)


def _add_teams(session: Session) -> dict[str, str]:
    """Add the teams and their keys; returns the secret of each key by its name."""
    secrets: dict[str, str] = {}
    for name, weight, keys in (
        (MAIN_TEAM, 2.0, ("laptop", "ci", "nightly", "workstation", "old laptop")),
        (SECOND_TEAM, 1.0, ("cluster",)),
        (OPERATORS, 1.0, ("ops",)),
    ):
        team = get_or_create_team(session, name=name)
        team.weight, team.created_at = weight, utc_now() - timedelta(days=41)
        for key in keys:
            _, secrets[key] = create_key(session, team=team, name=key, is_operator=key == "ops")
        if name == MAIN_TEAM:
            team.max_queued, team.max_slot_seconds = 40, 900_000.0
        if name == SECOND_TEAM:
            team.max_running = 1
    return secrets


def _age_keys(session: Session) -> None:
    """Set when each key was made and last used, in hours before now."""
    now = utc_now()
    for name, made, used in (
        ("laptop", 900, 0.05),
        ("ci", 880, 54),
        ("nightly", 700, 7.5),
        ("workstation", 500, 5.6),
        ("old laptop", 960, 620),
        ("cluster", 400, 2),
        ("ops", 980, 0.2),
    ):
        created_at, used_at = now - timedelta(hours=made), now - timedelta(hours=used)
        session.execute(update(ApiKey).where(ApiKey.name == name).values(created_at=created_at, last_used_at=used_at))
    session.execute(update(ApiKey).where(ApiKey.name == "old laptop").values(revoked_at=now - timedelta(hours=600)))


def _upload_datasets(settings: Settings, keys: Mapping[str, str], seed: int) -> None:
    """Upload the datasets through the API, as teams do, the oldest first."""
    uploads: tuple[tuple[str, str, bytes, dict[str, Any], float], ...] = (
        ("sample chats", "laptop", (REPOSITORY / "samples" / "chats.jsonl").read_bytes(), {}, 700),
        ("calm support", "laptop", make_chats(seed + 1, 480), {}, 420),
        (
            "companion stories",
            "workstation",
            # Only three emotions, and some lines twice, so that its report has warnings.
            make_chats(seed + 2, 1200, emotions=("joy", "trust", "interest"), repeats=14),
            {},
            160,
        ),
        ("brand voice", "laptop", make_own_axes_chats(seed + 3, 96), {"axes": "COLD_WARM,SHY_BOLD"}, 12),
        ("ablation chats", "cluster", make_chats(seed + 4, 300), {}, 300),
    )
    with TestClient(create_app(settings)) as client:
        ids: dict[str, float] = {}
        for name, key, body, parameters, hours_ago in uploads:
            answer = client.post(
                "/datasets",
                content=body,
                params={"name": name, **parameters},
                headers={"Authorization": f"Bearer {keys[key]}"},
            )
            assert answer.status_code == 201, answer.text
            ids[answer.json()["id"]] = hours_ago
    database = Database(settings.sqlalchemy_url)
    with database.write() as session:
        for dataset_id, hours_ago in ids.items():
            created_at = utc_now() - timedelta(hours=hours_ago)
            session.execute(update(Dataset).where(Dataset.id == dataset_id).values(created_at=created_at))
    database.close()


def _add_jobs(session: Session, storage: Storage, seed: int) -> dict[str, str]:
    datasets = {dataset.name: dataset for dataset in session.query(Dataset)}
    teams = {team.name: team for team in session.query(Team)}
    world = World(session, storage, utc_now(), seed, teams, datasets)
    stories = sorted(ALL_STORIES, key=lambda story: -story.hours_ago)
    return {story.name: add_story(world, story).id for story in stories}


def serve(settings: Settings, staged: Staged, *, seconds: float | None, seed: int) -> None:
    """Serve the API of the staged installation, while Life simulates its workers."""
    with ExitStack() as stack:
        _start_valkey(settings, stack)
        stack.enter_context(Life(settings, seed=seed))
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(settings),
                host=settings.host,
                port=settings.port,
                log_level="warning",
                # Live feeds stay open forever.
                timeout_graceful_shutdown=1,
            )
        )
        url = f"http://{settings.host}:{settings.port}"
        print(f"{url}  (a member's key: {staged.member_key}, the operator's: {staged.operator_key})")
        print(f"member:   {url}{make_login_link(settings, staged.member_key)}")
        print(f"operator: {url}{make_login_link(settings, staged.operator_key)}", flush=True)
        if seconds is not None:
            _end_after(server, seconds)
        server.run()


def _start_valkey(settings: Settings, stack: ExitStack) -> None:
    folder = settings.data_dir / "redis"
    for each in (folder, settings.redis_socket.parent):
        each.mkdir(parents=True, exist_ok=True, mode=0o700)
    valkey = start_process(
        "valkey",
        make_valkey_argv(settings.redis_socket, folder),
        log_path=settings.data_dir / "logs" / "valkey.log",
        environment={},
        stop_seconds=5,
    )
    stack.callback(valkey.stop)
    assert wait_until(lambda: answers(settings.redis_client_url), seconds=10), valkey.read_log_tail()


def _end_after(server: uvicorn.Server, seconds: float) -> None:
    def end() -> None:
        time.sleep(seconds)
        server.should_exit = True

    threading.Thread(target=end, daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # After its stop uvicorn raises the signal again; without this handler Valkey would be left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    settings = make_settings(options.data_dir, port=options.port)
    staged = find_staged(settings) or stage(settings, seed=options.seed)
    serve(settings, staged, seconds=options.seconds, seed=options.seed)


if __name__ == "__main__":
    main()
