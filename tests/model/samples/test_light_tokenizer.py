"""Chats become the same tokens everywhere: LightTokenizer as in transformers, the preview as in the batch."""

import json
import shutil
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from emomodel.batches.collator import DataCollatorForEmotionalGemma
from emomodel.config import EmotionSpan
from emomodel.data.examples import Turn, read_examples
from emomodel.emotions import DEFAULT_AXES
from emomodel.insights.preview import preview_page
from emomodel.model.loading import load_base_model
from emomodel.protocol.progress import Notice
from emomodel.samples.chat import ChatFormat
from emomodel.samples.chat_template import format_fixed_date
from emomodel.samples.chat_text import TemplateUnsuitable
from emomodel.samples.dataset import IGNORED_LABEL, make_samples
from emomodel.samples.light_tokenizer import LightTokenizer, load_light_tokenizer
from emomodel.samples.tokenizer_comparison import find_difference
from emomodel.training.sample_loading import load_samples, report_tokenizer_difference
from tests.model.model_shapes import make_qwen_tokenizer
from tests.model.tiny_training import ListReporter, make_request
from tests.support.chat_templates import CHAT_KINDS
from tests.support.tiny_gemma import make_tiny_tokenizer
from tests.support.tiny_tokenizer import write_tiny_tokenizer

pytestmark = pytest.mark.model

SAMPLES = Path(__file__).parents[3] / "samples" / "chats.jsonl"
TEXTS = [
    "How was the concert? I feel happy, you are sad.",
    "  two  spaces,\ttab\nand\n\nlines ",
    "Grüße, ça va? Привет! 今日は 😀👩‍👩‍👧 e\u0301 \u200b\ufeff",
    "<start_of_turn>user <|im_start|> <mask> <bos> <0x41> [multimodal]",
    "",
]
# What the templates of real models do: conditions on missing keys, refusals, trimmed blocks, loops that break.
TEMPLATES = [
    (
        "{{ bos_token }}{% for m in messages %}\n  {% if m.role == 'user' %}\nU: {{ m.content | trim }}\n  {% else %}"
        "A: {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
    ),
    (
        "{%- if tools %}{{ tools | tojson }}{%- endif %}{% for m in messages %}{{ m | tojson }}{% generation %}"
        "{{ unk_token }}{% endgeneration %}{% if loop.last %}{% break %}{% endif %}{% endfor %}{{ documents }}{{ no }}"
    ),
    (
        "{% if messages[0].role != 'user' %}{{ raise_exception('user first') }}{% endif %}{{ strftime_now('%Y') }}"
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}"
        "{% if add_generation_prompt %}{{ pad_token }}{% endif %}"
    ),
]


def save(name: str, folder: Path) -> Path:
    make = {"gemma": make_tiny_tokenizer, "qwen": make_qwen_tokenizer}[name]
    make().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["gemma", "qwen"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[PreTrainedTokenizerBase, LightTokenizer]:
    """The tokenizers that transformers and LightTokenizer make of one folder."""
    folder = save(request.param, tmp_path_factory.mktemp(request.param))
    return AutoTokenizer.from_pretrained(folder), load_light_tokenizer(folder)


@pytest.mark.parametrize("text", TEXTS)
def test_both_make_the_same_tokens_and_offsets(pair: tuple[PreTrainedTokenizerBase, LightTokenizer], text: str) -> None:
    heavy, light = pair
    encoded = heavy(text, add_special_tokens=False, return_offsets_mapping=True)
    ours = light(text, add_special_tokens=False, return_offsets_mapping=True)
    assert (ours["input_ids"], ours["offset_mapping"]) == (encoded["input_ids"], encoded["offset_mapping"])
    assert [light.convert_ids_to_tokens(index) for index in ours["input_ids"]] == heavy.convert_ids_to_tokens(
        encoded["input_ids"]
    )


def test_both_know_the_same_control_tokens(pair: tuple[PreTrainedTokenizerBase, LightTokenizer]) -> None:
    heavy, light = pair
    assert set(light.all_special_ids) == set(heavy.all_special_ids)
    assert {index for index, token in light.added_tokens_decoder.items() if token.special} == {
        index for index, token in heavy.added_tokens_decoder.items() if token.special
    }
    ends = ChatFormat(light).find_end_of_turn_ids()
    assert len(ends) == 1
    assert ends == ChatFormat(heavy).find_end_of_turn_ids()


def test_both_make_the_same_of_the_sample_chats(pair: tuple[PreTrainedTokenizerBase, LightTokenizer]) -> None:
    heavy, light = (ChatFormat(tokenizer) for tokenizer in pair)
    count = 0
    for example in read_examples(SAMPLES):
        assert light.tokenise(example.turns) == heavy.tokenise(example.turns)
        count += 1
    assert count == 330


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("with_header", [False, True])
def test_both_render_templates_alike(tmp_path: Path, template: str, with_header: bool) -> None:
    folder = save("gemma", tmp_path)
    (folder / "chat_template.jinja").write_text(template)
    heavy, light = AutoTokenizer.from_pretrained(folder), load_light_tokenizer(folder)
    messages = [{"role": "user", "content": " Hi <b> é "}, {"role": "assistant", "content": "Yes.\n"}]
    texts = {
        str(
            tokenizer.apply_chat_template(
                messages,
                tokenize=False,
                add_generation_prompt=with_header,
                enable_thinking=False,
                strftime_now=format_fixed_date,
            )
        )
        for tokenizer in (heavy, light)
    }
    assert len(texts) == 1
    assert texts != {""}


# As the folders of today's models name their control tokens: by further names, or in a mapping.
NAMED = [
    lambda tokens: {"extra_special_tokens": list(tokens)},
    lambda tokens: {"extra_special_tokens": {f"t{index}_token": token for index, token in enumerate(tokens)}},
    lambda tokens: {"extra_special_tokens": [], "model_specific_special_tokens": {"sot_token": tokens[0]}},
    lambda tokens: {"extra_special_tokens": [], "sot_token": tokens[0], "eot_token": tokens[-1]},
]


@pytest.mark.parametrize("name", CHAT_KINDS)
@pytest.mark.parametrize("named", NAMED)
def test_both_tokenizers_agree_with_the_templates_of_todays_models(
    tmp_path: Path, name: str, named: Callable[[Sequence[str]], dict[str, Any]]
) -> None:
    kind = CHAT_KINDS[name]
    folder = write_tiny_tokenizer(tmp_path, turn_tokens=kind.control_tokens, template=kind.template, strips=kind.strips)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | named(kind.control_tokens)))
    heavy, light = AutoTokenizer.from_pretrained(folder), load_light_tokenizer(folder)
    assert set(light.all_special_ids) == set(heavy.all_special_ids)
    formats = [ChatFormat(tokenizer) for tokenizer in (light, heavy)]
    for example in islice(read_examples(SAMPLES), 20):
        turns = [turn for turn in example.turns if turn.role != "system" or kind.takes_system]
        chats = [(turns, False), (turns[:-1], True)]
        light_tokens, heavy_tokens = (
            [each.tokenise(chat, with_reply_header=is_prompt) for chat, is_prompt in chats] for each in formats
        )
        assert light_tokens == heavy_tokens
    assert ChatFormat(light).find_end_of_turn_ids() == ChatFormat(heavy).find_end_of_turn_ids()


def test_both_refuse_alike(tmp_path: Path) -> None:
    folder = save("gemma", tmp_path)
    (folder / "chat_template.jinja").write_text(TEMPLATES[2])
    for tokenizer in (AutoTokenizer.from_pretrained(folder), load_light_tokenizer(folder)):
        with pytest.raises(TemplateUnsuitable, match="user first"):
            ChatFormat(tokenizer).tokenise((Turn("assistant", "Hi", (0.0,)),))


@pytest.mark.parametrize("rule", ["lead", "token"])
@pytest.mark.parametrize("max_length", [32, 256])
def test_the_preview_shows_what_the_collator_gives_the_model(
    tiny_gemma: Path, rule: EmotionSpan, max_length: int
) -> None:
    """The training uses transformers and tensors, the preview neither; both start from the same lines."""
    examples = list(read_examples(SAMPLES))[:50]
    tokenizer = AutoTokenizer.from_pretrained(tiny_gemma)
    samples = make_samples(
        examples, ChatFormat(tokenizer), neutral=DEFAULT_AXES.neutral, rule=rule, max_length=max_length
    )
    batch = DataCollatorForEmotionalGemma(pad_token_id=0, axis_count=len(DEFAULT_AXES))(samples.samples)
    page = preview_page(
        SAMPLES,
        DEFAULT_AXES,
        ChatFormat(load_light_tokenizer(tiny_gemma)),
        offset=0,
        limit=50,
        max_length=max_length,
        rule=rule,
    )
    assert [shown.line for shown in page.examples if shown.is_dropped] == samples.dropped_lines
    shown_examples = [shown for shown in page.examples if not shown.is_dropped]
    assert len(shown_examples) == len(batch["input_ids"])
    for row, shown in enumerate(shown_examples):
        length = int(batch["attention_mask"][row].sum())
        assert [token.id for token in shown.tokens] == batch["input_ids"][row, :length].tolist()
        assert [token.is_target for token in shown.tokens] == [
            label != IGNORED_LABEL for label in batch["labels"][row, :length].tolist()
        ]
        vectors = batch["emotion_vector"].new_tensor([token.emotion for token in shown.tokens])
        assert vectors.equal(batch["emotion_vector"][row, :length])


def test_a_folder_that_transformers_reads_differently_is_reported(tmp_path: Path) -> None:
    """Its class builds the tokenizer itself and ignores the normalizer in tokenizer.json."""
    folder = save("gemma", tmp_path)
    examples = list(read_examples(SAMPLES))[:3]
    heavy = ChatFormat(AutoTokenizer.from_pretrained(folder))
    assert find_difference(folder, heavy, examples) is None
    assert find_difference(tmp_path / "on-the-hub", heavy, examples) is None
    content = (folder / "tokenizer.json").read_text()
    pieces = '"pattern": {\n      "String": " "\n    },\n    "content": "▁"'
    assert pieces in content
    (folder / "tokenizer.json").write_text(content.replace(pieces, pieces.replace('" "', '"I"')))
    heavy = ChatFormat(AutoTokenizer.from_pretrained(folder))
    assert find_difference(folder, heavy, examples) == "line 1 has other tokens with the base model's tokenizer.json"


def test_a_training_reports_when_its_tokens_are_not_those_of_the_statistics(tiny_gemma: Path, tmp_path: Path) -> None:
    base_folder = Path(shutil.copytree(tiny_gemma, tmp_path / "base"))
    request = make_request(tmp_path / "job", base_folder)
    base = load_base_model(str(base_folder), backend="auto", dtype="float32", load_in_4bit=None, max_length=64)
    reporter = ListReporter()
    loaded = load_samples(request, base, DEFAULT_AXES, reporter)
    report_tokenizer_difference(request, base, loaded, reporter)
    assert reporter.progress == []
    template = base_folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("+ role +", "+ role + '!' +"))
    report_tokenizer_difference(request, base, loaded, reporter)
    notice = reporter.progress[0]
    assert isinstance(notice, Notice)
    assert notice.code == "tokenizer_differs"
    assert "line 1" in notice.message
