"""Counts the kills of the kernel's OOM killer, which leaves a SIGKILL and a counter."""

from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")
HOST_COUNTERS = Path("/proc/vmstat")


def count_oom_kills(
    *, own_cgroup: Path = OWN_CGROUP, cgroup_root: Path = CGROUP_ROOT, host_counters: Path = HOST_COUNTERS
) -> int:
    """Count the processes killed so far in our control group, or else on the host; 0 where there is no counter."""
    for path in (*_list_cgroup_counters(own_cgroup, cgroup_root), host_counters):
        count = _read_counter(path)
        if count is not None:
            return count
    return 0


def _list_cgroup_counters(own_cgroup: Path, cgroup_root: Path) -> list[Path]:
    try:
        lines = own_cgroup.read_text().splitlines()
    except OSError:
        return []
    paths = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            paths.append(cgroup_root / group.lstrip("/") / "memory.events")
        elif controllers == "memory":
            paths.append(cgroup_root / "memory" / group.lstrip("/") / "memory.oom_control")
    return paths


def _read_counter(path: Path) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(" ")
        if name == "oom_kill":
            return int(value)
    return None
