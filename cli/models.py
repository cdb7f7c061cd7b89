"""`emotune models`: puts base models into an installation's storage, from which its machines fetch them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import CliError

if TYPE_CHECKING:
    from jobs.files.storage import Storage

# Loading a model reads no other weights, and pickled ones must not be passed on.
WEIGHTS = "*.safetensors"
NOT_PUSHED = (".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5", ".onnx", ".gguf")

models = typer.Typer(no_args_is_help=True, help="Base models in the storage of the installation.")


@models.callback()
def about() -> None:
    """Keep `push` as a sub-command while it is the only one."""


@models.command()
def push(
    name: Annotated[str, typer.Argument(help="The model's name in storage, such as gemma-3-1b-it.")],
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The downloaded model.")],
) -> None:
    """Put a downloaded model into storage. Its config is written last, so that no machine uses half of a model."""
    from jobs.files.storage import open_storage
    from jobs.settings import load_settings

    files = list_pushed_files(folder)
    push_model(open_storage(load_settings()), name, files)
    print(f"{name} is in storage, in {len(files)} files. Set this for the API and all workers:")
    print(f'EMOTUNE_BASE_MODELS={{"{name}": "storage:{name}"}}')


def list_pushed_files(folder: Path) -> list[Path]:
    """Return the files that loading a model needs. Raises CliError for a folder that is not a model."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix not in NOT_PUSHED)
    if not (folder / "config.json").is_file() or not any(folder.glob(WEIGHTS)):
        raise CliError(f"{folder} is not a model: it needs a config.json and weights ({WEIGHTS})")
    return files


def push_model(storage: "Storage", name: str, files: list[Path]) -> None:
    """Store the files, replacing an earlier model of the name.

    Raises BaseModelMissing for a name that can't be used, and StorageUnreachable.
    """
    from jobs.base_models.library import make_model_prefix

    prefix = make_model_prefix(name)
    storage.store.delete(f"{prefix}config.json")
    kept = {f"{prefix}{path.name}" for path in files}
    for file in list(storage.store.list(prefix)):
        # Files of the earlier model, such as further weights, would be loaded together with these.
        if file.key not in kept:
            storage.store.delete(file.key)
    for path in sorted(files, key=lambda path: path.name == "config.json"):
        print(f"{path.name} ({path.stat().st_size} bytes)")
        storage.put_copy(f"{prefix}{path.name}", path)
