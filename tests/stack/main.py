"""`python -m tests.stack.main`: docker-compose.yml as it is, without containers, from its first start over a reboot.

All of it runs on 127.0.0.1 in a temporary folder and ends by itself, also on Ctrl-C, SIGTERM and when the time is up.
What is in place of the containers is in tests/stack/machine.py; commands, environments, health checks and the order of
the start are the file's. The exit code is 1 when something went wrong, and then the folder is kept, with all logs.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tests.stack.machine import NOT_STARTED, Machine
from tests.stack.report import Report
from tests.stack.walk import Walk

LIMIT_SECONDS = 600
LOG_LINES = 12


class Interrupted(Exception):
    """Somebody, or the clock, wants it to end."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=LIMIT_SECONDS, help="it ends after so long, whatever it is at")
    limit = parser.parse_args().seconds
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, _interrupt)
    signal.alarm(limit)
    folder = Path(tempfile.mkdtemp(prefix="emotune-stack-"))
    is_well = False
    try:
        is_well = walk(folder)
    finally:
        if is_well:
            shutil.rmtree(folder)
        else:
            print(f"logs and all other files are kept in {folder}", flush=True)
    return 0 if is_well else 1


def walk(folder: Path) -> bool:
    """Whether all went as it should. Whatever happens, nothing runs on."""
    report = Report()
    with report.step("make secrets, and fill in .env"):
        machine = Machine(folder)
    for name, reason in NOT_STARTED.items():
        print(f"not started: {name}, {reason}")
    whole = Walk(machine, report)
    try:
        whole.run()
    except Exception as error:  # noqa: BLE001 - reported, and then everything is ended
        traceback.print_exception(error)
        for log in sorted((folder / "logs").glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
            print(f"--- {log.name}", *lines, sep="\n", flush=True)
        return False
    finally:
        # Nobody cuts this short.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        whole.stack.kill()
    print(f"{report.step_count} steps, all ok, in {report.seconds:.0f} s")
    return True


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    raise Interrupted(f"ended by {signal.Signals(number).name}")


if __name__ == "__main__":
    sys.exit(main())
