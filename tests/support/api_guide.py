"""docs/api.md as a program: its examples, the answers that it shows, and the answers when they are run."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

GUIDE = Path(__file__).parents[2] / "docs" / "api.md"

HEADING = re.compile(r"^### `([A-Z]+ /\S+)`$")
FENCE = re.compile(r"^```(\w*)$")
STATUS = re.compile(r"^`(\d{3}) [A-Z][A-Za-z ]+`$")

# The placeholder for all that the guide leaves out.
MORE = "..."

# In a path through an answer: any item of a list.
ITEM = "[]"

# curl reports each of its calls on standard error, between two marks that no answer has.
CALL = re.compile(r"^\x1fCALL (\S+) (\d{3}) (\S+)$", re.MULTILINE)
BLOCK = "\x1eBLOCK\n"
# For each call that doesn't set a bound of its own.
CALL_SECONDS = 30
# For all of them, with the waits in between.
RUN_SECONDS = 110

Json = dict[str, Any]
# Names of fields, and ITEM.
Place = tuple[str, ...]


@dataclass(frozen=True)
class Example:
    """A shell block, and what the guide says of its last call."""

    operation: str | None
    line: int
    script: str
    status: int | None
    kind: str
    answer: str

    @property
    def place(self) -> str:
        return f"docs/api.md:{self.line}"


@dataclass(frozen=True)
class Call:
    """One request that curl has made."""

    method: str
    status: int
    url: str


@dataclass(frozen=True)
class Execution:
    """What a block did when it was run: its calls, and its standard output."""

    calls: Sequence[Call]
    output: str


def read_examples(text: str) -> list[Example]:
    """All shell blocks, each with the status line and the answer that follow it before the next one."""
    examples: list[Example] = []
    operation: str | None = None
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        if line.startswith("#"):
            found = HEADING.match(line)
            operation = found[1] if found else None
        elif (status := STATUS.match(line)) is not None:
            assert examples, f"line {number}: a status without an example"
            assert examples[-1].status is None, f"line {number}: a second status for one example"
            examples[-1] = _replace(examples[-1], status=int(status[1]))
        elif (fence := FENCE.match(line)) is not None:
            content = _read_block(lines)
            if fence[1] == "sh":
                examples.append(Example(operation, number, content, None, "", ""))
            elif fence[1] in {"json", "text"} and examples and examples[-1].status is not None:
                assert not examples[-1].answer, f"line {number}: a second answer for one example"
                examples[-1] = _replace(examples[-1], kind=fence[1], answer=content)
    return examples


def _replace(example: Example, **changes: Any) -> Example:
    return Example(**{**example.__dict__, **changes})


def _read_block(lines: Any) -> str:
    content = []
    for _, line in lines:
        if line == "```":
            break
        content.append(line)
    return "\n".join(content)


def run_examples(examples: Sequence[Example], *, folder: Path, variables: Mapping[str, str]) -> list[Execution]:
    """All blocks in one shell, in order, as somebody would type them. Fails at the first command that fails."""
    bash = shutil.which("bash")
    assert bash is not None, "bash is not installed"
    home = folder / "home"
    home.mkdir()
    write_out = r"%{stderr}\n\x1fCALL %{method} %{http_code} %{url_effective}\n".replace(r"\x1f", "\x1f")
    (home / ".curlrc").write_text(f'fail-with-body\nmax-time = {CALL_SECONDS}\nwrite-out = "{write_out}"\n')
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "CURL_HOME": str(home), "LANG": "C.UTF-8"}
    done = subprocess.run(
        [bash, "--posix", "-euo", "pipefail", "-c", _make_script(examples)],
        cwd=folder,
        env=environment | dict(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_SECONDS,
    )
    outputs, notes = done.stdout.split(BLOCK)[1:], done.stderr.split(BLOCK)[1:]
    if done.returncode:
        failed = examples[len(notes) - 1]
        raise AssertionError(
            f"{failed.place}: exit code {done.returncode}\n{failed.script}\n{outputs[-1]}\n{notes[-1].strip()}"
        )
    return [
        Execution([Call(method, int(status), url) for method, status, url in CALL.findall(note)], output)
        for output, note in zip_longest(outputs, notes, fillvalue="")
    ]


def _make_script(examples: Sequence[Example]) -> str:
    parts = []
    for example in examples:
        is_refused = example.status is not None and example.status >= 400
        script = f"{{ {example.script}\n}} || true" if is_refused else example.script
        parts.append(f"printf '{BLOCK}'; printf '{BLOCK}' >&2\n{script}\n")
    return "".join(parts)


def find_operation(call: Call, operations: Sequence[str]) -> str | None:
    """The `METHOD /path/{of}/the/schema` that a call went to; paths without a parameter go first."""
    path = re.sub(r"^https?://[^/]+|[?#].*$", "", call.url)
    for operation in sorted(operations, key=lambda each: each.count("{")):
        method, _, template = operation.partition(" ")
        form = "[^/]+".join(re.escape(part) for part in re.split(r"\{\w+\}", template))
        if method == call.method and re.fullmatch(form, path):
            return operation
    return None


class AnswerSchema:
    """What the OpenAPI document says of one answer: which fields it may have, and which may be null."""

    def __init__(self, document: Mapping[str, Any], operation: str, status: int) -> None:
        method, _, path = operation.partition(" ")
        self._document = document
        response = document["paths"][path][method.lower()]["responses"][str(status)]
        self._schema: Json = response.get("content", {}).get("application/json", {}).get("schema", {})

    def allows_null(self, path: Place) -> bool:
        return any(schema.get("type") == "null" for schema in self._find(path))

    def knows(self, path: Place) -> bool:
        return bool(self._find(path))

    def _find(self, path: Place) -> list[Json]:
        """The schemas of a place; none where it is unknown, or inside of an object that may have any fields."""
        found = self._spread(self._schema)
        for name in path:
            found = [inner for schema in found for inner in self._step(schema, name)]
        return found

    def _step(self, schema: Json, name: str) -> list[Json]:
        inner = schema.get("items") if name == ITEM else schema.get("properties", {}).get(name)
        inner = inner or (schema.get("additionalProperties") if name != ITEM else None)
        return self._spread(inner) if isinstance(inner, dict) else []

    def _spread(self, schema: Json) -> list[Json]:
        """The schema itself, or what it refers to, or lets choose from."""
        if "$ref" in schema:
            return self._spread(self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        if "anyOf" in schema:
            return [each for choice in schema["anyOf"] for each in self._spread(choice)]
        return [schema]


def find_differences(shown: Any, real: Any, schema: AnswerSchema | None = None, path: Place = ()) -> list[str]:
    """What the guide shows and the answer hasn't: fields, and their types. Values may be others.

    Null may stand for a value and the other way round where the schema says so. What is shown of the items of a list
    that came empty has to be in the schema.
    """
    place = ".".join(("answer", *path))
    if shown == MORE:
        return []
    if _name_type(shown) != _name_type(real):
        is_nullable = None in (shown, real) and schema is not None and schema.allows_null(path)
        return [] if is_nullable else [f"{place}: the guide shows {_name_type(shown)}, and {_name_type(real)} came"]
    if isinstance(shown, dict):
        found = []
        for name, value in shown.items():
            if name != MORE and name not in real:
                found.append(f"{place}: the guide shows `{name}`, and the answer has none")
            elif name != MORE:
                found += find_differences(value, real[name], schema, (*path, name))
        return found
    if isinstance(shown, list):
        return [each for item in shown for each in _find_in_items(item, real, schema, (*path, ITEM))]
    return []


def _find_in_items(shown: Any, real: Sequence[Any], schema: AnswerSchema | None, path: Place) -> list[str]:
    """Compare with the most similar item."""
    if shown == MORE:
        return []
    if real:
        return min((find_differences(shown, item, schema, path) for item in real), key=len)
    names = [name for name in shown if name != MORE] if isinstance(shown, dict) else []
    unknown = [name for name in names if schema is None or not schema.knows((*path, name))]
    return [f"{'.'.join(path)}: no items came, and the schema knows no `{name}`" for name in unknown]


def _name_type(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "null" if value is None else "boolean"
    return {int: "number", float: "number", str: "string", list: "list", dict: "object"}[type(value)]


def find_text_differences(shown: str, real: str) -> list[str]:
    """Each line that the guide shows begins like one that came; what an event carries has the fields that are shown."""
    heads = {_get_head(line) for line in real.splitlines()}
    missing = [f"no line begins with {line!r}" for line in shown.splitlines() if _get_head(line) not in heads]
    carried = dict(_EVENT.findall(real))
    return missing + [
        difference
        for event, data in _EVENT.findall(shown)
        for difference in find_differences(json.loads(data), json.loads(carried.get(event, "null")))
    ]


_EVENT = re.compile(r"^event: (\w+)\ndata: (.*)$", re.MULTILINE)


def _get_head(line: str) -> str:
    """The first word, up to what changes from answer to answer."""
    return re.split(r"[\s{\d]", line, maxsplit=1)[0]
