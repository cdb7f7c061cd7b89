"""The journal that the training processes write, read back: which of them ran when, and what it did."""

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Life:
    """One training process. Times are those of the monotonic clock, which all processes share."""

    pid: int
    job_id: str
    attempt: int
    started_at: float
    last_at: float
    end: str | None = None
    losses: list[tuple[int, float]] = field(default_factory=list)
    # The time of each checkpoint, and the step after which it was saved.
    checkpoints: list[tuple[float, int]] = field(default_factory=list)

    @property
    def has_resumed(self) -> bool:
        return bool(self.losses) and self.losses[0][0] > 1

    def describe(self) -> str:
        return f"pid {self.pid} of attempt {self.attempt} of {self.job_id}"


def read_lives(path: Path) -> list[Life]:
    """Read all lives in the order of their starts. A pid that is used again begins another life."""
    lives: list[Life] = []
    by_pid: dict[int, Life] = {}
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        pid, at = entry["pid"], entry["at"]
        if entry["event"] == "start":
            known = by_pid.get(pid)
            job_id = Path(entry["output_dir"]).parent.parent.name
            life = Life(pid, job_id, int(entry["attempt"]), at, at)
            # The stand-in's program becomes the real training process by exec; both record a start.
            if known is None or (known.job_id, known.attempt) != (life.job_id, life.attempt):
                by_pid[pid] = life
                lives.append(life)
            continue
        life = by_pid[pid]
        life.last_at = at
        _add(life, entry)
    return sorted(lives, key=lambda life: life.started_at)


def _add(life: Life, entry: dict[str, object]) -> None:
    match entry:
        case {"event": "step", "step": int(step), "loss": float(loss)}:
            life.losses.append((step, loss))
        case {"event": "checkpoint", "step": int(step), "at": float(at)}:
            life.checkpoints.append((at, step))
        case {"event": "end", "kind": str(kind)}:
            life.end = kind
