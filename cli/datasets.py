"""`emotune datasets`: checks and converts datasets on this machine, without a service."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.convert import convert

datasets = typer.Typer(no_args_is_help=True, help="Check and convert datasets on this machine; nothing is uploaded.")
datasets.command()(convert)


@datasets.command()
def check(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A dataset in any format of an upload.")],
    axes: Annotated[str, typer.Option(help="Own axes in place of the eight, such as COLD_WARM,SHY_BOLD.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as the API answers it.")] = False,
) -> None:
    """Report the problems and warnings of a dataset. Exit code 1 if an upload would be refused."""
    from cli.checking import check_file, read_axes
    from cli.report_lines import describe_report

    report = check_file(file, read_axes(axes))
    if as_json:
        print(json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        print("\n".join(describe_report(str(file), report)))
    if not report.ok:
        raise typer.Exit(1)
