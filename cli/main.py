"""The `emotune` command: starts the others, talks to the API. Wiring only: the work of a command is in its module.

Imports that cost time stand inside the commands: `emotune submit` needs no database, `emotune keys` no HTTP client.
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
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say which release this is.")
    ] = False,
) -> None:
    """Fine-tunes emotional Gemma as a service."""


JobId = Annotated[str, typer.Argument(help="The job's id, as `emotune submit` printed it.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="A TrainConfig field, as in --set epochs=2. Repeat it for more.")
]
PresetOption = Annotated[Preset, typer.Option(help="What --set starts from: a good recipe, or the original project's.")]

BundlePath = Annotated[Path, typer.Argument(exists=True, help="A bundle: the zip, or its folder.")]
EMOTION_HELP = (
    'As in "joy=0.9 fear=0.2"; default: neutral. "sadness=0.9 -> joy=0.9" changes inside the reply, by equal parts of '
    '--max-new-tokens, or as "sadness=0.9 for 12 -> joy=0.9" says.'
)


@app.command()
def version() -> None:
    """Say which release this is."""
    from jobs.release import get_release

    print(get_release())


@app.command()
def up(
    sample_model: Annotated[bool, typer.Option(help="Also prepare Gemma 3 270M and offer it to jobs.")] = False,
) -> None:
    """Start the whole stack on this machine, and keep it until Ctrl-C."""
    from cli.up import run_up

    keep_private()
    run_up(load_settings(), sample_model=sample_model)


@app.command()
def demo() -> None:
    """Train, download and hear an emotional Gemma 3 270M, from nothing, on this machine."""
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
    housekeeping: Annotated[bool, typer.Option(help="Sweep the queue in place of running a slot's jobs.")] = False,
) -> None:
    """Run the jobs of one slot (EMOTUNE_SLOT, EMOTUNE_SLOT_DEVICE), or the housekeeping."""
    from cli.worker import run_worker

    keep_private()
    run_worker(load_settings(), housekeeping=housekeeping)


@app.command()
def migrate(
    revision: Annotated[str, typer.Argument(help="The revision to upgrade to.")] = "head",
    check: Annotated[
        bool, typer.Option(help="Change nothing; exit code 1 when there is something to migrate.")
    ] = False,
) -> None:
    """Bring the database's schema up to date."""
    from cli.migrate import check_migrations
    from cli.migrate import migrate as run_migrations

    keep_private()
    settings = load_settings()
    print(check_migrations(settings) if check else run_migrations(settings, revision))


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The archive to write, or with --check to read.")],
    no_files: Annotated[
        bool, typer.Option("--no-files", help="Leave the stored files out, and only list them.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Read an archive and say whether it is whole.")] = False,
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
        bool, typer.Option("--verify", help="For an archive without files: read all that are in the storage, too.")
    ] = False,
) -> None:
    """Bring a backup back, into an empty database and an empty storage. Stop the service first."""
    from cli.restore import run_restore

    keep_private()
    run_restore(load_settings(), file, with_digests=verify_files)


@app.command()
def garbage(
    delete: Annotated[bool, typer.Option("--delete/--dry-run", help="Delete it, or only show it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what nobody needs any more, or is past its time, and how much room it takes; or delete it."""
    from cli.garbage import run_garbage

    keep_private()
    run_garbage(load_settings(), delete=delete, as_json=as_json)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check the installation from this machine, and say what to mend. Exit code 1 when something has failed."""
    from cli.doctor.examination import run_doctor

    keep_private()
    raise typer.Exit(run_doctor(as_json=as_json))


@app.command()
def health(process: Annotated[Process, typer.Argument(help="Which one, of this machine and these settings.")]) -> None:
    """Say whether a process is well, by the exit code, too."""
    print(check_health(load_settings(), process))


@app.command()
def settings() -> None:
    """Show all settings as the processes read them, or what is wrong with one."""
    from cli.settings import describe_settings

    print("\n".join(describe_settings(load_settings())))


@app.command()
def dashboard(
    open_it: Annotated[bool, typer.Option("--open", help="Also open it in the browser.")] = False,
) -> None:
    """Print a link that logs a browser in, once, as yourself."""
    from cli.dashboard import show_dashboard

    show_dashboard(open_it=open_it)


@app.command()
def submit(
    dataset: Annotated[str, typer.Argument(help="A JSON Lines file to upload, or the id of a dataset.")],
    base_model: Annotated[str, typer.Option("--model", "-m", help="A name from the operator's list.")],
    name: Annotated[str, typer.Option(help="What the job is called; default: the dataset's name.")] = "",
    priority: Annotated[int, typer.Option(help="Higher goes first within your team.")] = 0,
    priority_class: Annotated[
        PriorityClass, typer.Option(help="A higher class goes before all lower ones; `low` may be interrupted.")
    ] = PriorityClass.NORMAL,
    timeout: Annotated[
        float | None, typer.Option(min=1, help="Seconds that all its runs together may take; default: any time.")
    ] = None,
    preset: PresetOption = "default",
    overrides: SetOption = None,
    validation: Annotated[str, typer.Option(help="A file or a dataset's id to measure the loss on.")] = "",
    watch_it: Annotated[bool, typer.Option("--watch", help="Follow the job until it ends.")] = False,
    estimate_it: Annotated[
        bool, typer.Option("--estimate", help="Say what it would take, and post no job. A file is uploaded, and stays.")
    ] = False,
) -> None:
    """Upload a dataset where needed, and post a job. Prints the job's id."""
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
    """Let a paused job wait for a slot again; it goes on from its checkpoint."""
    _ask_of_job(job_id, "resume")


@app.command()
def checkpoint(job_id: JobId) -> None:
    """Have a running job save a checkpoint now and go on."""
    _ask_of_job(job_id, "checkpoint")


def _ask_of_job(job_id: str, verb: str) -> None:
    from cli.commands import ask_of_job

    ask_of_job(job_id, verb)


@app.command()
def download(
    job_id: JobId,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the file goes.")] = Path("bundle.zip"),
    kind: Annotated[str, typer.Option(help="Which artifact.")] = "bundle",
) -> None:
    """Download a job's bundle, and check its sha256."""
    from cli.commands import open_client

    with open_client() as client:
        size_bytes = client.download_artifact(job_id, kind, output)
    print(f"{output}: {size_bytes:,} bytes, sha256 is right")


@app.command()
def train(
    dataset: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A JSON Lines file.")],
    base: Annotated[str, typer.Option(help="The base model: a folder or a hub id.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle to write.")] = Path("bundle.zip"),
    preset: PresetOption = "default",
    overrides: SetOption = None,
    checkpoints: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="A folder for checkpoints; the same command then goes on from the newest."),
    ] = None,
) -> None:
    """Train here and now, without a service; writes the same bundle as a job. Ctrl-C saves and stops."""
    from cli.train import train_here

    train_here(dataset, base=base, output=output, preset=preset, overrides=overrides or [], checkpoints=checkpoints)


@app.command()
def generate(
    bundle: BundlePath,
    prompt: Annotated[list[str], typer.Option(help="What the user says. Repeat it for more.")],
    emotion: Annotated[list[str] | None, typer.Option(help=EMOTION_HELP)] = None,
    base: Annotated[str, typer.Option(help="The base model's folder or hub id; default: what the bundle names.")] = "",
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a reply at most.")] = 64,
    temperature: Annotated[float, typer.Option(min=0, help="0 takes the likeliest token each time.")] = 0.8,
    seed: Annotated[int, typer.Option(min=0, help="Of the sampling.")] = 0,
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
    base: Annotated[str, typer.Option(help="The base model's folder or hub id: run the self-test on it, too.")] = "",
) -> None:
    """Check a bundle's files against its manifest, and with --base what its model answers."""
    from cli.emomodel_process import run_emomodel

    raise typer.Exit(run_emomodel("verify", str(bundle), *(["--base", base] if base else [])))


@app.command("import")
def import_bundle(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="What the original project saved.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle to write.")],
    base: Annotated[str, typer.Option(help="The base model's folder or hub id: try the bundle on it.")] = "",
    name: Annotated[str, typer.Option(help="What the bundle is called; default: the folder's name.")] = "",
) -> None:
    """Make a bundle of an adapter and emotion projection from the original project."""
    from cli.emomodel_process import run_emomodel

    arguments = ["import", str(folder), "--output", str(output)]
    arguments += ["--base", base] if base else []
    arguments += ["--name", name] if name else []
    raise typer.Exit(run_emomodel(*arguments))


def main() -> NoReturn:
    """Run a command; what a user can mend is one clear line on standard error, and exit code 1."""
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
