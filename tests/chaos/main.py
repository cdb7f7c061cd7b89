"""`python -m tests.chaos.main`: kill, stop and starve an installation at random moments, and look what becomes of it.

    python -m tests.chaos.main --minutes 10 --seed 7 --database both

The plan of faults and what the teams do follow from the seed; how they meet depends on the machine.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.chaos.experiment import DatabaseKind, Experiment, Outcome
from tests.chaos.report import format_outcome
from tests.chaos.twins import run_twins

REPOSITORY = Path(__file__).parents[2]
SEEDS = 1_000_000


def main() -> int:
    options = _make_parser().parse_args()
    kinds: list[DatabaseKind] = ["sqlite", "postgresql"] if options.database == "both" else [options.database]
    seeds = {kind: _choose_seed(kind, options) for kind in kinds}
    folder = Path(tempfile.mkdtemp(prefix="emotune-chaos-"))
    where = " and ".join(f"{kind} (seed {seed})" for kind, seed in seeds.items())
    print(f"{options.minutes:g} minutes on {where}, in {folder}", flush=True)
    outcomes = run_experiments(folder, seeds=seeds, seconds=60 * options.minutes / len(kinds), slot_count=options.slots)
    for outcome in outcomes:
        print(format_outcome(outcome), flush=True)
    result = options.result or folder / "result.json"
    result.write_text(json.dumps([vars(outcome) for outcome in outcomes], indent=2) + "\n")
    failed = any(outcome.violations for outcome in outcomes)
    print(f"the result is in {result}" + ("; all files are kept" if failed else ""))
    if not failed:
        for kind in kinds:
            shutil.rmtree(folder / kind)
    return 1 if failed else 0


def run_experiments(folder: Path, *, seeds: dict[DatabaseKind, int], seconds: float, slot_count: int) -> list[Outcome]:
    """Run one after the other, each with the seed of its database, and with faults for this many seconds."""
    # Processes of PostgreSQL's own account have to get through.
    folder.chmod(0o711)
    tiny_gemma = folder / "tiny-gemma"
    subprocess.run(
        [sys.executable, str(REPOSITORY / "tests" / "support" / "tiny_gemma.py"), str(tiny_gemma)], check=True
    )
    dataset = REPOSITORY / "samples" / "chats.jsonl"
    twins = run_twins(folder / "twins", dataset=dataset, tiny_gemma=tiny_gemma)
    return [
        Experiment(
            kind,
            seed=seed,
            seconds=seconds,
            slot_count=slot_count,
            folder=folder / kind,
            twins_folder=folder / "twins",
            twins=twins,
            dataset=dataset,
            tiny_gemma=tiny_gemma,
        ).run()
        for kind, seed in seeds.items()
    ]


def _choose_seed(kind: DatabaseKind, options: argparse.Namespace) -> int:
    given: int | None = options.seed
    if kind == "sqlite" and options.sqlite_seed is not None:
        given = options.sqlite_seed
    return given if given is not None else random.randrange(SEEDS)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long faults come, on all databases together")
    parser.add_argument("--seed", type=int, help="default: a random one for each database, which is printed")
    parser.add_argument("--sqlite-seed", type=int, help="that of SQLite alone")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--slots", type=int, default=3)
    parser.add_argument("--result", type=Path, help="where the numbers go as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
