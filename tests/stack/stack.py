"""The services as running processes: started by the conditions of docker-compose.yml, watched, stopped and killed."""

import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import psutil

from cli.processes import Process, start_process, wait_until
from tests.stack.images import Launch
from tests.stack.machine import MARK_VARIABLE, Machine
from tests.stack.services import Service, list_in_order

# Compose asks at each interval; here a service is asked again so soon, as nobody has the time.
ASK_SECONDS = 1.0
POLL_SECONDS = 0.05
# A command like `emotune migrate`.
COMMAND_SECONDS = 60.0
LEFT_OVER_SECONDS = 5.0
# What the images say to be stopped by; all others by SIGTERM.
STOP_SIGNALS: Mapping[str, signal.Signals] = {"postgres": signal.SIGINT, "proxy": signal.SIGQUIT}


class StackFailed(Exception):
    """Something of the installation didn't do what docker-compose.yml promises."""


class Usage(NamedTuple):
    """How a service got well."""

    name: str
    seconds: float


@dataclass
class Running:
    """A service's process, and what is known of its health."""

    launch: Launch
    process: Process
    # When it was started, or last restarted.
    asked_since: float
    is_healthy: bool = False
    check: "subprocess.Popen[bytes] | None" = None
    checked_at: float = 0.0

    @property
    def has_completed(self) -> bool:
        return not self.process.is_running and self.process.popen.returncode == 0


class Stack:
    """All services of one machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._running: dict[str, Running] = {}

    def up(self) -> list[Usage]:
        """Start what doesn't run, each after what it needs, until all are well. Raises StackFailed."""
        waiting = {service.name: service for service in self._list_stopped()}
        began, well = time.monotonic(), []
        unwell = set(waiting)
        while unwell:
            for name in [name for name, service in waiting.items() if self._has_what_it_needs(service)]:
                self._start(waiting.pop(name))
            for name in sorted(unwell - waiting.keys()):
                if self._look(self._running[name]):
                    unwell.remove(name)
                    well.append(Usage(name, time.monotonic() - began))
            time.sleep(POLL_SECONDS)
        return well

    def check_all(self) -> list[str]:
        """Ask each health check once more; returns who was asked. Raises StackFailed."""
        asked = [each for each in self._running.values() if each.launch.service.health is not None]
        for each in asked:
            each.is_healthy, each.asked_since = False, time.monotonic()
        if not wait_until(lambda: sum(map(self._look, asked)) == len(asked), seconds=COMMAND_SECONDS):
            raise StackFailed(f"unhealthy: {[each.process.name for each in asked if not each.is_healthy]}")
        return [each.process.name for each in asked]

    def run(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """`docker compose run --rm NAME ...`: what it printed. Raises StackFailed."""
        launch = self.machine.translate(self.machine.services[name])
        done = subprocess.run(
            self.machine.make_own_argv(*arguments),
            env={**launch.environment, **(environment or {})},
            cwd=launch.cwd,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise StackFailed(f"emotune {' '.join(arguments)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def ask_valkey(self, *arguments: str) -> str:
        """`docker compose exec valkey valkey-cli ...` with the password. Raises StackFailed."""
        launch = self.machine.translate(self.machine.services["valkey"])
        secret = (self.machine.folder / "secrets" / "redis_password").read_text().strip()
        program = str(self.machine.folder / "roots" / "valkey" / "bin" / "valkey-cli")
        environment = {**launch.environment, "REDISCLI_AUTH": secret}
        done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StackFailed(f"{arguments}: {done.stderr}")
        return done.stdout

    def stop(self, name: str) -> float:
        """`docker compose stop NAME`; the seconds it took. Raises StackFailed where it had to be killed."""
        self._tell_to_stop(name)
        return self._wait_stopped(name)

    def kill(self) -> int:
        """SIGKILL to all there is, as when the power fails; the number of processes. Also for the end."""
        found = self._list_processes()
        for process in found:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        for each in self._running.values():
            each.process.popen.wait()
            if each.check is not None:
                each.check.wait()
        self._running.clear()
        psutil.wait_procs(found, timeout=LEFT_OVER_SECONDS)
        return len(found)

    def down(self) -> None:
        """`docker compose down`: each before what it needs. Raises StackFailed where something is left over."""
        for service in reversed(list_in_order(self.machine.services)):
            if service.name in self._running:
                self.stop(service.name)
        wait_until(lambda: not self._list_processes(), seconds=LEFT_OVER_SECONDS)
        left = [" ".join(process.cmdline())[:200] for process in self._list_processes()]
        if left:
            raise StackFailed(f"left over: {left}")

    def _list_stopped(self) -> list[Service]:
        """One-shots run each time; of the others what isn't there."""
        for name, each in list(self._running.items()):
            if not each.process.is_running:
                del self._running[name]
        return [service for service in list_in_order(self.machine.services) if service.name not in self._running]

    def _has_what_it_needs(self, service: Service) -> bool:
        for name, condition in service.needs.items():
            other = self._running.get(name)
            if other is None:
                return False
            is_met = other.has_completed if condition == "service_completed_successfully" else other.is_healthy
            if not is_met:
                return False
        return True

    def _start(self, service: Service) -> None:
        launch = self.machine.translate(service)
        launch.prepare()
        process = start_process(
            service.name,
            launch.argv,
            log_path=self.machine.get_log(service.name),
            environment=launch.environment,
            stop_seconds=service.stop_seconds,
            cwd=launch.cwd,
        )
        self._running[service.name] = Running(launch, process, time.monotonic())

    def _look(self, each: Running) -> bool:
        """Whether a service is well, or a one-shot has ended well. Raises StackFailed where it can't be any more."""
        service = each.launch.service
        if not each.process.is_running and not (service.is_one_shot and each.has_completed):
            raise StackFailed(f"{service.name} ended ({each.process.describe_end()}): {each.process.read_log_tail()}")
        if service.is_one_shot:
            return each.has_completed
        if service.health is None or each.is_healthy:
            return True
        now = time.monotonic()
        if each.check is None:
            if now - each.asked_since > service.health.patience:
                log = self.machine.get_log(f"{service.name}-health").read_text(errors="replace")
                raise StackFailed(f"{service.name} is unhealthy: {log[-1000:]}")
            if now - each.checked_at > ASK_SECONDS:
                self._ask(each, now)
        elif each.check.poll() is not None:
            each.is_healthy = each.check.returncode == 0
            each.check, each.checked_at = None, now
        elif now - each.checked_at > service.health.timeout:
            each.check.kill()
        return each.is_healthy

    def _ask(self, each: Running, now: float) -> None:
        name = each.launch.service.name
        asked = start_process(
            f"{name}-health",
            each.launch.health_argv,
            log_path=self.machine.get_log(f"{name}-health"),
            environment=each.launch.environment,
            stop_seconds=0,
            cwd=each.launch.cwd,
        )
        each.check, each.checked_at = asked.popen, now

    def _tell_to_stop(self, name: str) -> None:
        self._running[name].process.popen.send_signal(STOP_SIGNALS.get(name, signal.SIGTERM))

    def _wait_stopped(self, name: str) -> float:
        each = self._running.pop(name)
        began = time.monotonic()
        if each.check is not None:
            each.check.wait()
        try:
            each.process.popen.wait(each.process.stop_seconds)
        except subprocess.TimeoutExpired:
            raise StackFailed(f"{name} has not ended {each.process.stop_seconds:g} s after it was asked to") from None
        return time.monotonic() - began

    def _list_processes(self) -> list[psutil.Process]:
        """All living ones of this installation: by what is in their environment, and by who started them.

        PostgreSQL's overwrite theirs with what they show in `ps`.
        """
        mark = str(self.machine.folder)
        found = {process.pid: process for process in psutil.process_iter() if _get_mark(process) == mark}
        for each in self._running.values():
            for process in _list_family(each.process.popen.pid):
                found[process.pid] = process
        return list(found.values())


def _list_family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [process for process in (parent, *parent.children(recursive=True)) if _lives(process)]
    except psutil.NoSuchProcess:
        return []


def _get_mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK_VARIABLE) if _lives(process) else None
    except psutil.Error:
        return None


def _lives(process: psutil.Process) -> bool:
    return process.status() != psutil.STATUS_ZOMBIE
