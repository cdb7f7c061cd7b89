"""`python -m tests.chaos.worker [--housekeeping]`: `emotune worker` with the trainer of the chaos suite."""

import sys
from pathlib import Path

from cli.processes import keep_private
from cli.worker import make_worker_argv
from jobs.settings import load_settings
from worker.app import make_worker

# Without site packages the trainer starts in 20 ms.
TRAINER_ARGV = (sys.executable, "-S", str(Path(__file__).with_name("trainer.py")))


def main() -> None:
    keep_private()
    settings = load_settings()
    celery = make_worker(settings, TRAINER_ARGV)
    celery.worker_main(make_worker_argv(settings, housekeeping="--housekeeping" in sys.argv[1:]))


if __name__ == "__main__":
    main()
