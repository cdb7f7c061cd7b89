"""Features that chat templates use beyond plain Jinja.

tests/model/samples/test_light_tokenizer.py compares the results with those of transformers.
"""

import jinja2
import pytest

from emomodel.samples.chat_template import ChatTemplate, format_fixed_date

MESSAGES = [{"role": "user", "content": "a <b> é"}, {"role": "assistant", "content": "c"}]


def render(source: str, **special_tokens: str) -> str:
    return ChatTemplate(source, special_tokens).render(MESSAGES, add_generation_prompt=False)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        pytest.param("{{ bos_token }}{{ messages[0].content }}", "<s>a <b> é", id="special tokens"),
        pytest.param("{{ messages[0] | tojson }}", '{"role": "user", "content": "a <b> é"}', id="JSON is not escaped"),
        pytest.param("a\n  {% if true %}\nb\n  {% endif %}\n", "a\nb\n", id="lines of blocks leave no space"),
        pytest.param("{% for m in messages %}{{ m.role }}{% break %}{% endfor %}", "user", id="loops can break"),
        pytest.param("{% generation %}{{ messages[1].content }}{% endgeneration %}!", "c!", id="generation blocks"),
        pytest.param(
            "{% set a = 1 %}{% generation %}{% set a = 2 %}{% endgeneration %}{{ a }}", "1", id="a block's variables"
        ),
        pytest.param("{% if tools is none and documents is none %}no{% endif %}", "no", id="no tools, no documents"),
        pytest.param("{{ unknown }}|", "|", id="what is not known is empty"),
    ],
)
def test_render(source: str, text: str) -> None:
    assert render(source, bos_token="<s>") == text  # noqa: S106  no password


def test_a_template_can_refuse_the_messages() -> None:
    with pytest.raises(jinja2.TemplateError, match="no tools here"):
        render("{{ raise_exception('no tools here') }}")


def test_a_template_cannot_reach_into_python() -> None:
    with pytest.raises(jinja2.exceptions.SecurityError):
        render("{{ messages.append(1) }}")
    with pytest.raises(jinja2.TemplateError):
        render("{{ ''.__class__.__mro__[1].__subclasses__() }}")


def test_a_template_can_show_a_date() -> None:
    template = ChatTemplate("{{ strftime_now('%d %b %Y') }}", {})
    assert template.render(MESSAGES, add_generation_prompt=False, strftime_now=format_fixed_date) == "26 Jul 2024"


def test_what_is_no_template_is_refused() -> None:
    with pytest.raises(jinja2.TemplateError):
        ChatTemplate("{% if %}", {})
