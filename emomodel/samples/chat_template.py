"""Chat templates, rendered without transformers, in an environment equal to that of transformers.

Source of the environment: transformers.utils.chat_template_utils, version 5.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

# What templates get that ask for the time. The same chat has to give the same tokens on every day, in training and in
# generation; this is the date that Llama 3's templates write where there is no clock.
_FIXED_DATE = date(2024, 7, 26)


class _Generation(Extension):
    """Supports `{% generation %}`, which marks replies for other tools; here its content is plain text."""

    # jinja2 reads this class attribute.
    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class ChatTemplate:
    """One base model's chat template."""

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        """`special_tokens` maps the names that templates use, such as `bos_token`, to tokens.

        Raises jinja2.TemplateError for a source that is not valid Jinja.
        """
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise
        self._template = environment.from_string(source)
        self._special_tokens = dict(special_tokens)

    def render(self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool, **variables: Any) -> str:
        """Render a chat as text. `variables` are further ones of the template's.

        Raises jinja2.TemplateError, also when the template refuses the messages.
        """
        values = self._special_tokens | {
            "messages": messages,
            "tools": None,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
        }
        return self._template.render(values | variables)


def format_fixed_date(form: str) -> str:
    """The date that templates get in place of the current one, in the form of `strftime`."""
    return _FIXED_DATE.strftime(form)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Dump as transformers does; Jinja's own filter would escape the text for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
