"""Writes docs/configuration.md from Settings and TrainConfig; a test checks that the page is up to date.

python scripts/make_configuration_doc.py
"""

import json
from pathlib import Path
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from emomodel.config import PRESETS, TrainConfig, make_config
from jobs.settings import Settings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"

HEAD = """# Configuration

Made by `python scripts/make_configuration_doc.py` from `jobs/settings.py` and `emomodel/config.py`; a test fails when it is out of date.

## The installation: EMOTUNE_* variables

Every process of an installation (API, workers, command line) reads the same environment variables. A variable with a wrong value or a
misspelt name stops the process at its start, with a message that names it. Durations are in seconds, sizes in bytes.

"""

CLIENT = """
Two more variables are read only by the command line, when it uses an API: `EMOTUNE_URL` (such as `http://127.0.0.1:8000`) and
`EMOTUNE_API_KEY`. Without them it uses the file that `emotune up` writes to the data folder (`credentials.json`, readable by its owner only).

Traces are set up by OpenTelemetry's own variables, first of all `OTEL_EXPORTER_OTLP_ENDPOINT`; without it there are none
([operations.md](operations.md#traces), [decisions/0017](decisions/0017-traces.md)).

## A job: TrainConfig

The fields of `config` in `POST /jobs`, of `emotune submit --set name=value` and of `emotune train --set name=value`. All have a default;
unknown fields are refused. A job keeps its complete config, defaults included, so a later release doesn't change its meaning.

"""

PRESET_HEAD = """
### Presets

`preset` in `POST /jobs`, `--preset` of `emotune submit` and `emotune train`: the values that the given fields replace. `default` is the table
above, the best recipe measured so far. `original` has exactly the values of the project that emotune grew from ([seed.md](seed.md) says where
each comes from); it is kept for comparison. The two differ in:

"""


def main() -> None:
    PAGE.write_text(render())


def render() -> str:
    settings = _table(Settings, lambda name: f"EMOTUNE_{name.upper()}")
    return HEAD + settings + CLIENT + _table(TrainConfig, str) + PRESET_HEAD + _preset_table()


def _table(model: type[BaseModel], rename: Any) -> str:
    rows = ["| name | default | what it is |", "| --- | --- | --- |"]
    for name, field in model.model_fields.items():
        rows.append(f"| `{rename(name)}` | {_default(field)} | {field.description}{_range(field)} |")
    return "\n".join(rows) + "\n"


def _preset_table() -> str:
    """A row for each field on which the presets differ, a column for each preset."""
    configs = [make_config(preset) for preset in PRESETS]
    rows = [f"| name | {' | '.join(f'`{preset}`' for preset in PRESETS)} |", "| --- " * (len(PRESETS) + 1) + "|"]
    for name in TrainConfig.model_fields:
        values = [getattr(config, name) for config in configs]
        if len(set(values)) > 1:
            rows.append(f"| `{name}` | {' | '.join(map(_show, values))} |")
    return "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    if field.default_factory not in (None, dict):
        # The default depends on the machine; the description says how.
        return "-"
    return _show(field.get_default(call_default_factory=True))


def _show(value: Any) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else str(value) if isinstance(value, Path) else json.dumps(value)
    return f"`{text}`"


def _range(field: FieldInfo) -> str:
    words = {Ge: "at least", Gt: "above", Le: "at most", Lt: "below"}
    bounds = [
        f"{word} {getattr(item, kind.__name__.lower()):g}"
        for item in field.metadata
        for kind, word in words.items()
        if isinstance(item, kind)
    ]
    return f" ({', '.join(bounds)})" if bounds else ""


if __name__ == "__main__":
    main()
