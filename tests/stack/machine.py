"""This machine in place of the containers: which program, folder, address and port replaces which of theirs.

folder/
  .env, secrets/       as `make secrets` makes them, and an operator fills them in
  data/, models/       the folders of the host that .env names
  volumes/<name>/      volumes that Docker would keep
  roots/<service>/     what is the service's own: its temporary folder, and mounted files that name places
  logs/<service>.log
"""

import os
import pwd
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.make_secrets import make_secrets
from tests.stack.images import IMAGES, Launch, Place, do_nothing
from tests.stack.services import Service, pick_started, read_services
from tests.support.containers import ROOT, load_compose, read_env
from tests.support.ports import find_free_port

# Services that have no place here, each with the reason. One that is neither started nor listed fails the test.
NOT_STARTED: Mapping[str, str] = {
    "prometheus": "tests/unit/test_monitoring.py has its rules checked, and promtool reads its config",
    "grafana": "Debian has none; tests/unit/test_monitoring.py looks at its dashboard",
}
PROFILES = ("proxy", "two-slots")
MODEL = "tiny-gemma"
MARK_VARIABLE = "STACK_TEST"

# What an image brings along, and a mount may replace.
CONTAINER_PATHS = ("/data", "/models", "/tmp", "/run/secrets")  # noqa: S108 - the containers'
# Slots are CPUs here, two of them, which the two cores are for.
CPU_SLOT = {"EMOTUNE_SLOT_DEVICE": "cpu", "EMOTUNE_TRAINER_THREADS": "1"}


class Machine:
    """One temporary folder, with ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Processes of PostgreSQL's own account have to get through.
        folder.chmod(0o711)
        self._env = self._write_env()
        names = ("postgres", "valkey", "api", "proxy", "redirect")
        self.ports = {name: find_free_port() for name in names}
        compose = load_compose(self._env)
        # By service, beside what the file says.
        self.extra_environment: dict[str, dict[str, str]] = {}
        self._secret_files = {name: entry["file"] for name, entry in compose["secrets"].items()}
        self.services = pick_started(read_services(compose), profiles=PROFILES, not_started=NOT_STARTED)

    @property
    def url(self) -> str:
        """Of the proxy."""
        return f"http://127.0.0.1:{self.ports['proxy']}"

    @property
    def models_folder(self) -> Path:
        return self.folder / "models"

    def get_log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def translate(self, service: Service) -> Launch:
        """Raises ValueError for a foreign image that no program here replaces, and ProgramMissing."""
        root = self.folder / "roots" / service.name
        (root / "tmp").mkdir(parents=True, exist_ok=True)
        # Others than its own account have nothing to look for in there.
        root.chmod(0o711)
        move = self._make_mover(service, root)
        _copy_mounts(service, move)
        environment = self._make_environment(service, root, move)
        if service.is_ours:
            return self._translate_own(service, environment)
        if service.name not in IMAGES:
            raise ValueError(f"no program replaces the image of {service.name}: see IMAGES, or list it in NOT_STARTED")
        return IMAGES[service.name](Place(service, root, self.folder, self.ports, environment, move))

    def make_own_argv(self, *arguments: str) -> tuple[str, ...]:
        """The command of our images, which is `emotune`."""
        return (sys.executable, "-m", "cli", *arguments)

    def _write_env(self) -> dict[str, str]:
        """What `make secrets` leaves empty is filled in."""
        make_secrets(self.folder, _find_owner())
        filled = {
            "INSTALL_DATA_DIR": str(self.folder / "data"),
            "INSTALL_MODELS_DIR": str(self.models_folder),
            "INSTALL_SECRETS_DIR": str(self.folder / "secrets"),
            "INSTALL_PROXY_ADDRESS": "127.0.0.1",
            "INSTALL_SERVER_NAME": "tune.example",
            "INSTALL_GPU_0": "GPU-0",
            "INSTALL_GPU_1": "GPU-1",
            "EMOTUNE_HOST_NAME": "box",
            "EMOTUNE_BASE_MODELS": f'{{"{MODEL}": "/models/{MODEL}"}}',
            "COMPOSE_PROFILES": ",".join(PROFILES),
        }
        (self.folder / "data").mkdir(mode=0o700)
        self.models_folder.mkdir()
        return read_env((self.folder / ".env").read_text()) | filled

    def _make_mover(self, service: Service, root: Path) -> Callable[[str], str]:
        """Replace paths of the container by those of this machine, anywhere in a text."""
        places = {path: str(root / path.strip("/")) for path in CONTAINER_PATHS}
        for target, source in service.mounts.items():
            places[target] = str(self._find_source(source, copy=root / target.strip("/")))
        places |= {f"/run/secrets/{name}": self._secret_files[name] for name in service.secrets}
        paths = "|".join(re.escape(path) for path in sorted(places, key=len, reverse=True))
        pattern = re.compile(rf"(?<![\w./])({paths})(?![\w-])")
        return lambda text: pattern.sub(lambda match: places[match[1]], text)

    def _find_source(self, source: str, *, copy: Path) -> Path:
        """A folder of the host, or a volume's; files beside docker-compose.yml are copied, as they name paths."""
        if source.startswith("."):
            return copy
        path = Path(source) if source.startswith("/") else self.folder / "volumes" / source
        path.mkdir(parents=True, exist_ok=True, mode=0o711)
        return path

    def _make_environment(self, service: Service, root: Path, move: Callable[[str], str]) -> dict[str, str]:
        addresses = {"@postgres:5432/": f"@127.0.0.1:{self.ports['postgres']}/"}
        addresses["//valkey:6379/"] = f"//127.0.0.1:{self.ports['valkey']}/"
        environment = {
            "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(root / "tmp"),
            "TMPDIR": str(root / "tmp"),
            "LANG": "C.UTF-8",
            MARK_VARIABLE: str(self.folder),
            **self.extra_environment.get(service.name, {}),
        }
        for name, value in service.environment.items():
            text = move(value)
            for theirs, ours in addresses.items():
                text = text.replace(theirs, ours)
            environment[name] = text
        return environment

    def _translate_own(self, service: Service, environment: dict[str, str]) -> Launch:
        # The image's own working folder is its temporary one; here that would hide the packages.
        environment["PYTHONPATH"] = str(ROOT)
        if "EMOTUNE_HOST" in environment:
            environment |= {"EMOTUNE_HOST": "127.0.0.1", "EMOTUNE_PORT": str(self.ports["api"])}
        if "EMOTUNE_SLOT_DEVICE" in environment:
            environment |= CPU_SLOT | {"EMOTUNE_SLOT": service.name}
        health = service.health.argv if service.health is not None else ()
        if health and health[0] != "emotune":
            raise ValueError(f"{service.name} asks {health[0]} for its health, which this test doesn't know")
        return Launch(
            service,
            argv=self.make_own_argv(*service.argv),
            health_argv=self.make_own_argv(*health[1:]) if health else (),
            environment=environment,
            cwd=ROOT,
            prepare=do_nothing,
        )


def _copy_mounts(service: Service, move: Callable[[str], str]) -> None:
    """Files beside docker-compose.yml, with the places that they name as they are here."""
    for target, source in service.mounts.items():
        if not source.startswith("."):
            continue
        found, copy = ROOT / source, Path(move(target))
        files = [each for each in found.rglob("*") if each.is_file()] if found.is_dir() else [found]
        for each in files:
            place = copy / each.relative_to(found)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(move(each.read_text()))


def _find_owner() -> tuple[int, int]:
    """The account of the secrets: who runs this, or PostgreSQL's, as no root may own them."""
    if os.geteuid() != 0:
        return os.getuid(), os.getgid()
    account = pwd.getpwnam("postgres")
    return account.pw_uid, account.pw_gid
