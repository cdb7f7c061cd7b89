"""The `emotune` command. Wiring only: the work of a command is in its module.

Imports that take time are inside the commands: `emotune submit` needs no database, `emotune keys` no HTTP client.
"""

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError

from cli.datasets import datasets
from cli.health import Process, check_health
from cli.keys import keys
from cli.models import models
from cli.processes import keep_private
from cli.queue import queue
from cli.slots import slots
from cli.teams import teams
from emomodel.config import Preset
from jobs.priorities import PriorityClass
from jobs.settings import load_settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Fine-tunes emotional Gemma as a service.",
)
app.add_typer(keys, name="keys")
app.add_typer(datasets, name="datasets")
app.add_typer(slots, name="slots")
app.add_typer(queue, name="queue")
app.add_typer(teams, name="teams")
app.add_typer(models, name="models")


def _show_version(is_asked: bool) -> None:
    if is_asked:
        version()
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show which release this is.")
    ] = False,
) -> None:
    """Fine-tunes emotional Gemma as a service."""


JobId = Annotated[str, typer.Argument(help="The job's id, as `emotune submit` printed it.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="A TrainConfig field, as in --set epochs=2; may be repeated.")
]
PresetOption = Annotated[
    Preset, typer.Option(help="The values that --set changes: a good recipe, or the original project's.")
]

BundlePath = Annotated[Path, typer.Argument(exists=True, help="A bundle: the zip, or its folder.")]
EMOTION_HELP = (
    'As in "joy=0.9 fear=0.2"; default: neutral. "sadness=0.9 -> joy=0.9" changes inside the reply, in equal parts of '
    '--max-new-tokens; "sadness=0.9 for 12 -> joy=0.9" changes after 12 tokens.'
)


@app.command()
def version() -> None:
    """Show which release this is."""
    from jobs.release import get_release

    print(get_release())


@app.command()
def up(
    sample_model: Annotated[bool, typer.Option(help="Also prepare Gemma 3 270M, so that jobs can use it.")] = False,
) -> None:
    """Start the complete stack on this machine, and keep it until Ctrl-C."""
    from cli.up import run_up

    keep_private()
    run_up(load_settings(), sample_model=sample_model)


@app.command()
def demo() -> None:
    """Train, download and try an emotional Gemma 3 270M on this machine, from scratch."""
    from cli.demo import run_demo

    keep_private()
    run_demo(load_settings())


@app.command()
def api() -> None:
    """Serve the HTTP API."""
    from cli.api import run_api

    keep_private()
    run_api(load_settings())


@app.command()
def worker(
    housekeeping: Annotated[bool, typer.Option(help="Do the housekeeping instead of running a slot's jobs.")] = False,
) -> None:
    """Run the jobs of one slot (EMOTUNE_SLOT, EMOTUNE_SLOT_DEVICE), or the housekeeping."""
    from cli.worker import run_worker

    keep_private()
    run_worker(load_settings(), housekeeping=housekeeping)


@app.command()
def migrate(
    revision: Annotated[str, typer.Argument(help="The revision to upgrade to.")] = "head",
    check: Annotated[bool, typer.Option(help="Change nothing; exit code 1 if there is something to migrate.")] = False,
) -> None:
    """Bring the database's schema up to date."""
    from cli.migrate import check_migrations
    from cli.migrate import migrate as run_migrations

    keep_private()
    settings = load_settings()
    print(check_migrations(settings) if check else run_migrations(settings, revision))


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The archive to write, or to read with --check.")],
    no_files: Annotated[
        bool, typer.Option("--no-files", help="Leave out the stored files, and only list them.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Read an archive and check that it is complete.")] = False,
) -> None:
    """Write database and stored files into one archive, while the service runs."""
    from cli.backup import check_backup, run_backup

    keep_private()
    if check:
        check_backup(file)
    else:
        run_backup(load_settings(), file, with_files=not no_files)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What `emotune backup` wrote.")],
    verify_files: Annotated[
        bool,
        typer.Option(
            "--verify", help="For an archive without files: also check the sha256 of the files in the storage."
        ),
    ] = False,
) -> None:
    """Restore a backup into an empty database and an empty storage. Stop the service first."""
    from cli.restore import run_restore

    keep_private()
    run_restore(load_settings(), file, with_digests=verify_files)


@app.command()
def garbage(
    delete: Annotated[
        bool, typer.Option("--delete/--dry-run", help="Delete the files and rows, or only show them.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show what is no longer needed or has expired, and its size; or delete it."""
    from cli.garbage import run_garbage

    keep_private()
    run_garbage(load_settings(), delete=delete, as_json=as_json)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Check the installation from this machine, and say what to fix. Exit code 1 if a check has failed."""
    from cli.doctor.examination import run_doctor

    keep_private()
    raise typer.Exit(run_doctor(as_json=as_json))


@app.command()
def health(
    process: Annotated[Process, typer.Argument(help="Which process of this machine, with these settings.")],
) -> None:
    """Say whether a process is healthy. Exit code 1 if it is not."""
    print(check_health(load_settings(), process))


@app.command()
def settings() -> None:
    """Show all settings as the processes read them, or what is wrong with them."""
    from cli.settings import describe_settings

    print("\n".join(describe_settings(load_settings())))


@app.command()
def dashboard(
    open_it: Annotated[bool, typer.Option("--open", help="Also open it in the browser.")] = False,
) -> None:
    """Print a link that logs a browser in once, with the rights of your key."""
    from cli.dashboard import show_dashboard

    show_dashboard(open_it=open_it)


@app.command()
def submit(
    dataset: Annotated[str, typer.Argument(help="A dataset file to upload, or the id of a dataset.")],
    base_model: Annotated[str, typer.Option("--model", "-m", help="A name from the operator's list.")],
    name: Annotated[str, typer.Option(help="The job's name; default: the dataset's name.")] = "",
    priority: Annotated[int, typer.Option(help="Jobs with a higher priority go first within your team.")] = 0,
    priority_class: Annotated[
        PriorityClass, typer.Option(help="Jobs of a higher class go first, of any team; `low` ones may be preempted.")
    ] = PriorityClass.NORMAL,
    timeout: Annotated[
        float | None, typer.Option(min=1, help="Seconds that all its runs together may take; default: no limit.")
    ] = None,
    preset: PresetOption = "default",
    overrides: SetOption = None,
    validation: Annotated[str, typer.Option(help="A file, or the id of a dataset, to measure the loss on.")] = "",
    watch_it: Annotated[bool, typer.Option("--watch", help="Follow the job until it ends.")] = False,
    estimate_it: Annotated[
        bool,
        typer.Option("--estimate", help="Show what the job would take, and post none. A file is uploaded and kept."),
    ] = False,
) -> None:
    """Upload a dataset if needed, and post a job. Prints the job's id."""
    from cli.commands import Submission, estimate_job, submit_job

    submission = Submission(
        dataset=dataset,
        base_model=base_model,
        name=name,
        priority=priority,
        priority_class=priority_class,
        timeout_seconds=timeout,
        preset=preset,
        overrides=overrides or [],
        validation=validation,
    )
    if estimate_it:
        estimate_job(submission)
    else:
        submit_job(submission, watch_it=watch_it)


@app.command()
def watch(job_id: JobId) -> None:
    """Follow a job until it ends."""
    from cli.commands import open_client
    from cli.watch import watch_job

    with open_client() as client:
        watch_job(client, job_id)


@app.command()
def cancel(job_id: JobId) -> None:
    """Cancel a job, waiting or running."""
    _ask_of_job(job_id, "cancel")


@app.command()
def pause(job_id: JobId) -> None:
    """Pause a job: it saves a checkpoint, leaves its slot, and keeps its place."""
    _ask_of_job(job_id, "pause")


@app.command()
def resume(job_id: JobId) -> None:
    """Queue a paused job again; it resumes from its checkpoint."""
    _ask_of_job(job_id, "resume")


@app.command()
def checkpoint(job_id: JobId) -> None:
    """Have a running job save a checkpoint now and continue."""
    _ask_of_job(job_id, "checkpoint")


def _ask_of_job(job_id: str, verb: str) -> None:
    from cli.commands import ask_of_job

    ask_of_job(job_id, verb)


@app.command()
def download(
    job_id: JobId,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("bundle.zip"),
    kind: Annotated[str, typer.Option(help="Which artifact.")] = "bundle",
) -> None:
    """Download a job's bundle, and check its sha256."""
    from cli.commands import open_client

    with open_client() as client:
        size_bytes = client.download_artifact(job_id, kind, output)
    print(f"{output}: {size_bytes:,} bytes, sha256 is correct")


@app.command()
def train(
    dataset: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A dataset file in JSON Lines.")],
    base: Annotated[str, typer.Option(help="The base model: a folder or a hub id.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle to write.")] = Path("bundle.zip"),
    preset: PresetOption = "default",
    overrides: SetOption = None,
    checkpoints: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="A folder for checkpoints; the same command then resumes from the newest."),
    ] = None,
) -> None:
    """Train on this machine, without a service; writes the same bundle as a job. Ctrl-C saves and stops."""
    from cli.train import train_here

    train_here(dataset, base=base, output=output, preset=preset, overrides=overrides or [], checkpoints=checkpoints)


@app.command()
def generate(
    bundle: BundlePath,
    prompt: Annotated[list[str], typer.Option(help="What the user says; may be repeated.")],
    emotion: Annotated[list[str] | None, typer.Option(help=EMOTION_HELP)] = None,
    base: Annotated[
        str, typer.Option(help="The base model's folder or hub id; default: the one that the bundle names.")
    ] = "",
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Maximum number of tokens in a reply.")] = 64,
    temperature: Annotated[float, typer.Option(min=0, help="0 always takes the likeliest token.")] = 0.8,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the sampling.")] = 0,
    stream: Annotated[bool, typer.Option("--stream", help="Show each reply as it is written.")] = False,
) -> None:
    """Write replies under one or more emotions."""
    from cli.emomodel_process import run_emomodel

    arguments = ["generate", str(bundle), "--max-new-tokens", str(max_new_tokens)]
    arguments += ["--temperature", str(temperature), "--seed", str(seed)]
    arguments += ["--base", base] if base else []
    arguments += ["--stream"] if stream else []
    for text in prompt:
        arguments += ["--prompt", text]
    for text in emotion or ["neutral"]:
        arguments += ["--emotion", text]
    raise typer.Exit(run_emomodel(*arguments))


@app.command()
def verify(
    bundle: BundlePath,
    base: Annotated[str, typer.Option(help="The base model's folder or hub id, to run the self-test as well.")] = "",
) -> None:
    """Check a bundle's files against its manifest, and with --base its model's replies."""
    from cli.emomodel_process import run_emomodel

    raise typer.Exit(run_emomodel("verify", str(bundle), *(["--base", base] if base else [])))


@app.command("import")
def import_bundle(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="The folder that the original project saved.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle to write.")],
    base: Annotated[str, typer.Option(help="The base model's folder or hub id, to try the bundle on it.")] = "",
    name: Annotated[str, typer.Option(help="The bundle's name; default: the folder's name.")] = "",
) -> None:
    """Make a bundle from an adapter and an emotion projection of the original project."""
    from cli.emomodel_process import run_emomodel

    arguments = ["import", str(folder), "--output", str(output)]
    arguments += ["--base", base] if base else []
    arguments += ["--name", name] if name else []
    raise typer.Exit(run_emomodel(*arguments))


def main() -> NoReturn:
    """Run a command. An error that a user can fix is one clear line on standard error, with exit code 1."""
    from cli.errors import CliError, explain_validation
    from jobs.errors import EmotuneError

    if threading.current_thread() is threading.main_thread():
        # SIGTERM ends a command like Ctrl-C does: `up` and `demo` then stop what they started.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except ValidationError as error:
        sys.exit(f"emotune: {explain_validation(error)}")
    except (CliError, EmotuneError, OSError) as error:
        sys.exit(f"emotune: {error}")
    sys.exit(0)
