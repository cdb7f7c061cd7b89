"""The Celery tasks: names and bodies, no logic."""

from collections.abc import Callable, Sequence

from celery import Celery

from jobs.doorbell import COLLECT_TASK, RUN_TASK, SWEEP_TASK
from worker.housekeeping import garbage, sweeper
from worker.housekeeping import statistics as insights
from worker.resources import Resources
from worker.runs import turn
from worker.trainers.spares import Spares


def register_tasks(
    celery: Celery,
    get_resources: Callable[[], Resources],
    trainer_argv: Sequence[str],
    get_spares: Callable[[], Spares],
) -> None:
    """Register the functions that the app's messages call."""
    statistics = insights.StatisticsProcess()

    def run_next() -> None:
        turn.run_next(get_resources(), trainer_argv, get_spares())

    def sweep() -> None:
        sweeper.sweep(get_resources())

    def collect_garbage() -> None:
        garbage.collect_garbage(get_resources())

    def compute_statistics() -> None:
        statistics.start_if_needed(get_resources().storage)

    # Not shared: a second app in the same process has its own tasks.
    celery.task(name=RUN_TASK, shared=False)(run_next)
    celery.task(name=SWEEP_TASK, shared=False)(sweep)
    celery.task(name=COLLECT_TASK, shared=False)(collect_garbage)
    celery.task(name=insights.STATISTICS_TASK, shared=False)(compute_statistics)
