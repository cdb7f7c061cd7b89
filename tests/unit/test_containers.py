"""The containers of an installation, checked by their files alone, without a container engine."""

import os
import re
import stat
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.health import Process
from cli.main import app
from jobs.settings import PREFIX, Settings, load_settings, read_password
from scripts.check_docker_steps import is_ignored, list_steps, parse_dockerfile, read_patterns
from scripts.make_readme_tree import list_tracked
from scripts.make_secrets import NAMES, make_secrets, parse_owner
from tests.support.containers import (
    COMPOSE_FILE,
    ENV_EXAMPLE,
    FILLED,
    GPU_0,
    GPU_1,
    ROOT,
    VariableMissing,
    find_compose,
    find_tool,
    list_variables,
    load_compose,
    read_env,
)

COMPOSE = load_compose()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOTS = {"check", "migrate"}
DOCKERFILES = ("Dockerfile", "Dockerfile.gpu")
OWN_IMAGES = {name: service for name, service in SERVICES.items() if "build" in service}

# torch for CUDA is older than torch for the CPU. It and Unsloth need older or newer versions of these packages.
OWN_VERSIONS_OF_GPU = re.compile(r"torch|triton|setuptools|certifi|fsspec|nvidia-.*|cuda-.*")
# These versions were measured together on GPUs (docs/performance.md, docs/decisions/0014-containers.md).
MEASURED = {
    "accelerate": "1.15.0",
    "bitsandbytes": "0.50.2",
    "datasets": "4.8.5",
    "peft": "0.21.2",
    "tokenizers": "0.23.3",
    "torch": "2.11.0",
    "transformers": "5.17.0",
    "triton": "3.6.0",
    "trl": "1.15.0",
    "unsloth": "2026.10.9",
    "unsloth-zoo": "2026.10.9",
}


def test_the_compose_file_follows_the_specification() -> None:
    PyCompose = pytest.importorskip("compose_spec").PyCompose  # noqa: N806  # the class' own name
    parsed = PyCompose.from_yaml(yaml.safe_dump(COMPOSE))
    assert set(parsed.service_names()) == set(SERVICES)
    broken = yaml.safe_load(yaml.safe_dump(COMPOSE))
    broken["services"]["api"]["healthchek"] = {}
    with pytest.raises(ValueError, match="healthchek"):
        PyCompose.from_yaml(yaml.safe_dump(broken))


def get_compose() -> list[str]:
    argv = find_compose()
    assert argv is not None
    return argv


@pytest.mark.compose
def test_docker_compose_reads_the_file_as_we_do(tmp_path: Path) -> None:
    env = tmp_path / "env"
    env.write_text("".join(f"{name}={value}\n" for name, value in FILLED.items()))
    argv = [
        *get_compose(),
        "--project-directory",
        str(ROOT),
        "-f",
        str(COMPOSE_FILE),
        "--env-file",
        str(env),
        "config",
    ]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    read = yaml.safe_load(done.stdout)
    assert set(read["services"]) == set(SERVICES)
    for name, service in SERVICES.items():
        ours = {key: str(value) for key, value in service.get("environment", {}).items()}
        assert {key: str(value) for key, value in read["services"][name].get("environment", {}).items()} == ours
        assert read["services"][name]["user"] == "1500:1500"
        assert read["services"][name]["read_only"] is True


@pytest.mark.compose
def test_docker_compose_refuses_the_example() -> None:
    argv = [*get_compose(), "-f", str(COMPOSE_FILE), "--env-file", str(ENV_EXAMPLE), "config", "--quiet"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "is missing a value" in done.stderr


@pytest.mark.parametrize(
    "missing", sorted(name for name, mark in list_variables(COMPOSE_FILE.read_text()).items() if mark == ":?")
)
def test_what_has_no_default_has_to_be_filled_in(missing: str) -> None:
    assert missing in read_env(ENV_EXAMPLE.read_text())
    with pytest.raises(VariableMissing, match=missing):
        load_compose({name: value for name, value in FILLED.items() if name != missing})


def test_the_example_has_only_what_is_used_and_no_password() -> None:
    example = read_env(ENV_EXAMPLE.read_text())
    assert set(example) - {"COMPOSE_PROFILES"} <= set(list_variables(COMPOSE_FILE.read_text()))
    assert [name for name in example if "PASSWORD" in name] == []
    with pytest.raises(VariableMissing):
        load_compose(example)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_shut_in(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] == "1500:1500"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"].keys() >= {"max-size", "max-file"}
    assert service["deploy"]["resources"]["limits"].keys() >= {"cpus", "memory", "pids"}
    assert all("size=" in each for each in service["tmpfs"])
    assert [volume for volume in service.get("volumes", []) if "docker.sock" in str(volume)] == []


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_health_check_or_ends(name: str) -> None:
    service = SERVICES[name]
    if name in ONE_SHOTS:
        assert service["restart"] == "no"
        assert service["healthcheck"] == {"disable": True}
        return
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"].keys() >= {"test", "interval", "timeout", "retries", "start_period"}
    test = service["healthcheck"]["test"]
    if test[1] == "emotune":
        assert test[2] == "health"
        assert test[3] in set(Process)
        assert service in OWN_IMAGES.values()


def test_services_wait_for_what_they_need() -> None:
    for name, service in SERVICES.items():
        for other, wait in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if other in ONE_SHOTS else "service_healthy"
            assert wait["condition"] == expected, (name, other)
    for name in ("postgres", "valkey"):
        assert set(SERVICES[name]["depends_on"]) == {"check"}
    for name in ("api", "housekeeping", "worker-0", "worker-1"):
        assert set(SERVICES[name]["depends_on"]) == {"migrate", "valkey"}


def test_images_are_pinned() -> None:
    images = [service["image"] for service in SERVICES.values()]
    images += [each.value.split()[0] for name in DOCKERFILES for each in read_dockerfile(name) if each.name == "FROM"]
    stages = {"base", "wheel", "install", "build"}
    for image in set(images) - stages:
        assert re.fullmatch(r"[a-z0-9/-]+:v?\d+\.\d+\.?\d*[a-z0-9.-]*", image), image


def test_passwords_are_files_and_nothing_else() -> None:
    text = COMPOSE_FILE.read_text()
    assert re.findall(r"://[^/\s@]*:[^/\s@]+@", text) == []
    for service in SERVICES.values():
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        for variable, value in service.get("environment", {}).items():
            if "PASSWORD" in variable:
                assert variable.endswith("_FILE")
                assert value.removeprefix("/run/secrets/") in service["secrets"]
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())


@pytest.mark.parametrize("name", OWN_IMAGES)
def test_the_processes_take_their_settings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [variable for variable in os.environ if variable.startswith(PREFIX)]:
        monkeypatch.delenv(variable)
    make_secrets(tmp_path, (os.getuid(), os.getgid()))
    for variable, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(variable, value.replace("/run/secrets", str(tmp_path / "secrets")))
    settings = load_settings()
    password = read_password(tmp_path / "secrets" / "database_password")
    assert settings.sqlalchemy_url == f"postgresql+psycopg://emotune:{password}@postgres:5432/emotune"
    assert settings.data_dir == Path("/data")
    assert SERVICES[name]["command"][0] in {
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    }


def test_slots_have_a_gpu_each_and_are_named_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, gpu in (("worker-0", GPU_0), ("worker-1", GPU_1)):
        worker = SERVICES[name]
        (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "device_ids": [gpu], "capabilities": ["gpu"]}
        environment = worker["environment"]
        assert environment["EMOTUNE_SLOT_DEVICE"] == "cuda"
        slot = Settings(
            host_name=environment["EMOTUNE_HOST_NAME"], slot_device="cuda", slot_gpu=environment["EMOTUNE_SLOT_GPU"]
        )
        assert slot.slot == f"box-cuda-{gpu.split('-')[1].lower()}"


def test_a_worker_has_the_time_to_save_a_checkpoint() -> None:
    settings = Settings()
    needed = settings.stop_grace_seconds + settings.kill_grace_seconds
    for name in ("worker-0", "worker-1"):
        assert "EMOTUNE_STOP_GRACE_SECONDS" not in SERVICES[name]["environment"]
        assert float(SERVICES[name]["stop_grace_period"].removesuffix("s")) > needed


def test_only_the_proxy_is_believed_and_the_database_is_not_reached_from_outside() -> None:
    address = SERVICES["proxy"]["networks"]["frontend"]["ipv4_address"]
    assert SERVICES["api"]["environment"]["FORWARDED_ALLOW_IPS"] == address
    assert COMPOSE["networks"]["backend"]["internal"] is True
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"api", "grafana", "proxy"}
    assert SERVICES["api"]["ports"] == ["127.0.0.1:8000:8000"]
    assert SERVICES["grafana"]["ports"] == ["127.0.0.1:3000:3000"]
    assert [name for name, service in SERVICES.items() if "monitoring" in service["networks"]] == [
        "api",
        "prometheus",
        "grafana",
    ]
    assert {name for name in SERVICES if SERVICES[name]["networks"] == ["monitoring"]} == {"prometheus", "grafana"}
    assert [name for name, service in SERVICES.items() if "frontend" in service["networks"]] == ["api", "proxy"]


def test_api_and_proxy_have_the_same_bound_for_datasets() -> None:
    bound = SERVICES["proxy"]["environment"]["PROXY_MAX_BODY_BYTES"]
    assert SERVICES["api"]["environment"]["EMOTUNE_MAX_DATASET_BYTES"] == bound
    assert int(bound) == Settings().max_dataset_bytes


@pytest.mark.parametrize("name", DOCKERFILES)
def test_hadolint_finds_nothing(name: str) -> None:
    done = subprocess.run(
        [find_tool("hadolint"), "--no-color", name], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_runs_as_nobody_in_particular_and_installs_nothing_at_last(name: str) -> None:
    instructions = read_dockerfile(name)
    last = [each for each in instructions if each.stage == instructions[-1].stage]
    assert [each.value for each in last if each.name == "RUN"] == []
    assert [each.value for each in last if each.name == "USER"] == ["10001:10001"]
    assert [each.name for each in last if each.name == "HEALTHCHECK"] == ["HEALTHCHECK"]
    assert [each.value for each in last if each.name == "ENTRYPOINT"] == ['["emotune"]']


@pytest.mark.parametrize("name", [*DOCKERFILES, "docker-compose.yml", ".env.example", "constraints-gpu.txt"])
def test_no_file_names_a_registry(name: str) -> None:
    urls = re.findall(r"https?://[^\s\"]+", (ROOT / name).read_text())
    assert [url for url in urls if not re.match(r"https?://127\.0\.0\.1", url)] == []
    arguments = [line for line in (ROOT / name).read_text().splitlines() if line.startswith("ARG")]
    assert [line for line in arguments if "=" in line] == []


def test_an_image_is_built_from_what_it_needs_and_nothing_else() -> None:
    patterns = read_patterns()
    kept = {path for path in list_tracked() if not is_ignored(path, patterns)}
    for package in ("api", "cli", "emomodel", "jobs", "migrations", "worker", "dashboard/src"):
        assert {path for path in list_tracked() if path.startswith(f"{package}/")} <= kept
    assert {"pyproject.toml", "constraints.txt", "constraints-gpu.txt", "README.md", "scripts/build_backend.py"} <= kept
    assert {path.split("/")[0] for path in kept}.isdisjoint(
        {"tests", "docs", "samples", "deploy", ".ci", ".env.example"}
    )
    secret = (
        ".env",
        "secrets/database_password",
        "data/emotune.db",
        ".git/config",
        ".venv/bin/python",
        "api/static/index.html",
    )
    assert [
        path
        for path in (*secret, "cli/__pycache__/main.pyc", "dashboard/node_modules/x.js")
        if not is_ignored(path, patterns)
    ] == []


def test_the_steps_of_the_build_are_those_that_are_checked() -> None:
    steps = list_steps(read_dockerfile("Dockerfile"))
    assert [step.split()[:2] for step in steps] == [
        ["pip", "wheel"],
        ["python", "-m"],
        ['wheel="$(ls', '/wheels/emotune-*.whl)"'],
        ["/opt/emotune/bin/pip", "check"],
    ]


def test_the_lock_for_gpus_is_exact_and_has_what_was_measured() -> None:
    lock = read_lock("constraints-gpu.txt")
    assert {name: lock.get(name) for name in MEASURED} == MEASURED


def test_both_locks_agree_on_what_they_share() -> None:
    lock, other = read_lock("constraints.txt"), read_lock("constraints-gpu.txt")
    shared = {name for name in lock.keys() & other.keys() if not OWN_VERSIONS_OF_GPU.fullmatch(name)}
    assert len(shared) > 60
    assert {name: (lock[name], other[name]) for name in shared if lock[name] != other[name]} == {}


def test_the_lock_for_gpus_has_all_that_the_worker_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["train"], *extras["gpu"], *extras["otel"]]
    names = {re.split(r"[\[;= ]", each)[0].lower().replace("_", "-") for each in asked}
    assert names - read_lock("constraints-gpu.txt").keys() == set()


def test_secrets_are_random_for_their_owner_only_and_kept(tmp_path: Path) -> None:
    owner = os.getuid(), os.getgid()
    make_secrets(tmp_path, owner)
    paths = [tmp_path / "secrets" / name for name in NAMES]
    passwords = [read_password(path) for path in paths]
    assert len(set(passwords)) == len(NAMES)
    for path in (*paths, tmp_path / ".env"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert all(line.startswith("kept") for line in make_secrets(tmp_path, owner))
    assert [read_password(path) for path in paths] == passwords
    assert set(NAMES) <= set(COMPOSE["secrets"])


def test_a_fresh_env_names_the_account_and_still_has_to_be_filled_in(tmp_path: Path) -> None:
    make_secrets(tmp_path, (os.getuid(), os.getgid()))
    env = read_env((tmp_path / ".env").read_text())
    assert (env["INSTALL_UID"], env["INSTALL_GID"]) == (str(os.getuid()), str(os.getgid()))
    assert env["EMOTUNE_HOST_NAME"]
    with pytest.raises(VariableMissing):
        load_compose(env)


@pytest.mark.parametrize("text", ["0:0", "0:1500", "emotune", "1500"])
def test_an_account_is_numbers_and_not_root(text: str) -> None:
    with pytest.raises(ValueError, match=r"--owner|UID:GID"):
        parse_owner(text)


def read_dockerfile(name: str) -> Any:
    return parse_dockerfile((ROOT / name).read_text())


def read_lock(name: str) -> dict[str, str]:
    """Return the name and the version of each line.

    Where the versions differ by Python's version, it is that of the newest Python.
    """
    lines = (ROOT / name).read_text().splitlines()
    assert [line for line in lines if "==" not in line or "://" in line] == []
    newest = [line for line in lines if "python_full_version < '3.12'" not in line]
    return {line.split("==")[0]: line.split("==")[1].split(" ")[0] for line in newest}
