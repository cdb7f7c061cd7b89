"""The jobs that the staged teams have posted: a story for each, as plain values."""

from dataclasses import dataclass, field
from typing import Any, Literal

from jobs.priorities import PriorityClass
from jobs.status import JobStatus, RunCause

MAIN_TEAM, SECOND_TEAM, OPERATORS = "voice", "research", "platform"

SMALL, MIDDLE, LARGE = "gemma-3-270m", "gemma-3-1b-it", "gemma-3-4b-it"

Shape = Literal["plain", "diverging"]


@dataclass(frozen=True)
class Break:
    """An attempt that ended at this step, before the job did."""

    step: int
    cause: RunCause
    code: str | None
    message: str
    pause_minutes: float = 1.0


@dataclass(frozen=True)
class Story:
    """A job that was posted `hours_ago`. Its last attempt ended at `end_step`, or has just reached it."""

    name: str
    status: JobStatus
    hours_ago: float
    dataset: str = "calm support"
    base_model: str = MIDDLE
    team: str = MAIN_TEAM
    posted_by: str = "laptop"
    config: dict[str, Any] = field(default_factory=dict)
    waited_minutes: float = 3.0
    total_steps: int = 600
    end_step: int | None = None
    step_seconds: float = 2.0
    slot: str = "atlas-cuda-0"
    breaks: tuple[Break, ...] = ()
    shape: Shape = "plain"
    floor: float = 1.35
    memory_gib: float = 31.0
    priority: int = 0
    priority_class: PriorityClass = PriorityClass.NORMAL
    needs_gib: float = 40.0
    error_code: str | None = None
    error_message: str | None = None
    error_log: tuple[str, ...] = ()
    exit_code: int | None = None
    hold_reason: str | None = None
    pinned_rank: int | None = None

    @property
    def last_step(self) -> int:
        return self.total_steps if self.end_step is None else self.end_step


_OUT_OF_MEMORY_LOG = (
    "Loading weights: 100% 340/340",
    "trainable params: 26,181,888 || all params: 1,026,067,840 || trainable%: 2.5517",
    "Traceback (most recent call last):",
    '  File "emomodel/training/loop.py", line 118, in run',
    "    loss = self._forward(batch)",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 7.81 GiB. GPU 0 has 139.81 GiB, 4.20 GiB are free.",
)
_DIVERGED_LOG = (
    "step 118: loss 4.11, mean of the last 50: 1.98",
    "step 127: loss 9.75, mean of the last 50: 2.61",
    "emomodel.errors.LossDiverged: the loss exploded at step 131: 14.02 after a mean of 2.9",
)

MAIN_STORIES: tuple[Story, ...] = (
    Story(
        "companion 1B, long run",
        JobStatus.RUNNING,
        hours_ago=5.6,
        dataset="companion stories",
        posted_by="workstation",
        config={"epochs": 80.0, "eval_fraction": 0.05, "eval_every": 500},
        total_steps=40_000,
        end_step=20_000,
        step_seconds=0.95,
        slot="atlas-cuda-1",
        floor=1.08,
    ),
    Story(
        "warm replies v4",
        JobStatus.RUNNING,
        hours_ago=0.45,
        dataset="sample chats",
        config={"epochs": 12.0, "eval_fraction": 0.1, "eval_every": 50},
        total_steps=900,
        end_step=412,
        step_seconds=3.0,
        memory_gib=22.4,
    ),
    Story("warm replies v5, higher rank", JobStatus.QUEUED, hours_ago=0.4, config={"lora_rank": 64}),
    Story("calm support 1B, cosine", JobStatus.QUEUED, hours_ago=0.32, config={"schedule": "cosine"}),
    Story("calm support 1B, no warm-up", JobStatus.QUEUED, hours_ago=0.3, config={"warmup_ratio": 0.0}, priority=-5),
    Story(
        "companion 4B, long context",
        JobStatus.QUEUED,
        hours_ago=7.2,
        dataset="companion stories",
        base_model=LARGE,
        config={"max_length": 4096, "batch_size": 24},
        needs_gib=158.0,
        posted_by="workstation",
    ),
    Story(
        "brand voice, second try",
        JobStatus.QUEUED,
        hours_ago=3.1,
        dataset="brand voice",
        hold_reason="the dataset is being checked",
    ),
    Story(
        "brand voice 270M",
        JobStatus.PAUSED,
        hours_ago=9.5,
        dataset="brand voice",
        base_model=SMALL,
        total_steps=800,
        end_step=342,
        step_seconds=1.1,
        memory_gib=9.2,
    ),
    Story("tone study, all axes", JobStatus.PAUSED, hours_ago=26, config={"balance": "axes"}, end_step=120),
    Story(
        "calm support 1B",
        JobStatus.SUCCEEDED,
        hours_ago=11,
        config={"eval_fraction": 0.1, "eval_every": 40, "row_report": True},
        total_steps=720,
        step_seconds=2.2,
        floor=1.21,
    ),
    Story(
        "calm support 1B, rank 16",
        JobStatus.SUCCEEDED,
        hours_ago=30,
        config={"lora_rank": 16, "lora_alpha": 16.0, "eval_fraction": 0.1, "eval_every": 40},
        total_steps=720,
        step_seconds=2.0,
        floor=1.29,
        slot="atlas-cuda-1",
    ),
    Story(
        "warm replies v3",
        JobStatus.SUCCEEDED,
        hours_ago=21,
        dataset="sample chats",
        config={"row_report": True},
        total_steps=640,
        breaks=(
            Break(
                233,
                RunCause.INTERRUPTION,
                "machine_restarted",
                "Its machine was restarted; the job is queued again.",
                pause_minutes=6,
            ),
        ),
    ),
    Story("warm replies v2", JobStatus.SUCCEEDED, hours_ago=54, dataset="sample chats", floor=1.5, posted_by="ci"),
    Story(
        "warm replies v1, as the original",
        JobStatus.SUCCEEDED,
        hours_ago=78,
        dataset="sample chats",
        base_model=SMALL,
        config={"lora_learning_rate": 1e-4, "emotion_init": "xavier", "emotion_scale": 3.0, "emotion_centered": False},
        floor=2.2,
        memory_gib=9.0,
    ),
    Story(
        "companion 1B",
        JobStatus.SUCCEEDED,
        hours_ago=102,
        dataset="companion stories",
        total_steps=3000,
        config={"log_every": 5},
        posted_by="workstation",
        slot="atlas-cuda-1",
    ),
    Story(
        "companion 270M, quick look",
        JobStatus.SUCCEEDED,
        hours_ago=131,
        dataset="companion stories",
        base_model=SMALL,
        total_steps=240,
        step_seconds=0.8,
        floor=1.9,
        memory_gib=8.8,
    ),
    Story(
        "night shift tone",
        JobStatus.SUCCEEDED,
        hours_ago=219,
        total_steps=1200,
        step_seconds=4.5,
        posted_by="workstation",
        breaks=(
            Break(
                610,
                RunCause.CRASH,
                "trainer_killed",
                "The training process was killed by SIGKILL, which the worker had not sent.",
            ),
        ),
    ),
    Story(
        "tone study, low priority",
        JobStatus.SUCCEEDED,
        hours_ago=391,
        priority_class=PriorityClass.LOW,
        total_steps=1500,
        step_seconds=6.0,
        waited_minutes=140,
        slot="atlas-cuda-2",
    ),
    Story(
        "companion 4B, first try",
        JobStatus.FAILED,
        hours_ago=14,
        dataset="companion stories",
        base_model=LARGE,
        config={"batch_size": 96, "max_length": 2048},
        end_step=0,
        posted_by="workstation",
        error_code="cuda_out_of_memory",
        error_message="The GPU's memory is full. Lower batch_size or max_length, raise gradient_accumulation, or set "
        "gradient_checkpointing or auto_batch.",
        error_log=_OUT_OF_MEMORY_LOG,
        exit_code=1,
        memory_gib=137.4,
    ),
    Story(
        "calm support 1B, high rate",
        JobStatus.FAILED,
        hours_ago=33,
        config={"lora_learning_rate": 5e-3, "emotion_learning_rate": 5e-2},
        end_step=131,
        shape="diverging",
        error_code="loss_diverged",
        error_message="The loss exploded at step 131: 14.02 after a mean of 2.90. Lower lora_learning_rate and "
        "emotion_learning_rate, or raise warmup_ratio.",
        error_log=_DIVERGED_LOG,
        exit_code=1,
    ),
    Story(
        "warm replies, broken export",
        JobStatus.FAILED,
        hours_ago=60,
        dataset="sample chats",
        end_step=0,
        posted_by="ci",
        error_code="dataset_invalid",
        error_message="Line 212: the chat template leaves no room for the reply. Correct the lines that are named and "
        "upload the dataset again.",
        error_log=("emomodel.errors.DatasetRefused: line 212: the chat template leaves no room for the reply",),
        exit_code=1,
    ),
    Story(
        "night shift tone, old driver",
        JobStatus.FAILED,
        hours_ago=243,
        end_step=88,
        breaks=(
            Break(35, RunCause.CRASH, "cuda_error", "The GPU reported a fault."),
            Break(61, RunCause.CRASH, "cuda_error", "The GPU reported a fault."),
        ),
        error_code="cuda_error",
        error_message="The GPU reported a fault. This was crash 3 of 3.",
        error_log=("RuntimeError: CUDA error: an illegal memory access was encountered",),
        exit_code=1,
    ),
    Story("warm replies v4, wrong dataset", JobStatus.CANCELLED, hours_ago=0.6, end_step=14, step_seconds=3.0),
    Story("calm support 4B", JobStatus.CANCELLED, hours_ago=50, base_model=LARGE, end_step=211, step_seconds=5.0),
    Story("tone study, never started", JobStatus.CANCELLED, hours_ago=170, end_step=0),
)

_NIGHTS = 28

NIGHTLY_STORIES: tuple[Story, ...] = tuple(
    Story(
        f"nightly regression {_NIGHTS - night}",
        JobStatus.SUCCEEDED,
        hours_ago=24.0 * night + 7.5,
        dataset="sample chats",
        base_model=SMALL,
        posted_by="nightly",
        total_steps=112,
        # Some nights take longer.
        step_seconds=6.0 + 9.0 * (night * 7 % 5),
        floor=1.72 + 0.02 * (night % 4),
        memory_gib=8.6,
        slot="atlas-cuda-0" if night % 3 else "atlas-cuda-1",
    )
    for night in range(_NIGHTS)
)

OTHER_STORIES: tuple[Story, ...] = (
    Story(
        "axes ablation 7",
        JobStatus.RUNNING,
        hours_ago=2.2,
        team=SECOND_TEAM,
        posted_by="cluster",
        total_steps=2400,
        end_step=1480,
        step_seconds=4.6,
        slot="atlas-cuda-2",
        memory_gib=55.0,
    ),
    Story("axes ablation 8", JobStatus.QUEUED, hours_ago=2.1, team=SECOND_TEAM, posted_by="cluster"),
    Story("axes ablation 9", JobStatus.QUEUED, hours_ago=2.0, team=SECOND_TEAM, posted_by="cluster"),
    Story(
        "driver smoke test",
        JobStatus.QUEUED,
        hours_ago=0.2,
        team=OPERATORS,
        posted_by="ops",
        base_model=SMALL,
        pinned_rank=1,
    ),
    *(
        Story(
            f"axes ablation {number}",
            JobStatus.SUCCEEDED,
            hours_ago=170 - 24 * number,
            team=SECOND_TEAM,
            posted_by="cluster",
            total_steps=900,
            step_seconds=8.0,
            slot="atlas-cuda-2",
        )
        for number in range(1, 7)
    ),
)

ALL_STORIES = (*MAIN_STORIES, *NIGHTLY_STORIES, *OTHER_STORIES)
