"""Small chat templates with the structure of those of today's models: their turns, channels, dates and refusals.

Each is written for these tests after the published template of its model, reduced to plain chats: no tools, no images.
"""

from dataclasses import dataclass

DATE = "26 Jul 2024"
ISO_DATE = "2024-07-26"

_ALTERNATING = """
{%- for m in turns %}
    {%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{- raise_exception('Roles must alternate') }}{% endif %}
{%- endfor %}"""
_SPLIT_SYSTEM = """
{%- if messages[0].role == 'system' %}
    {%- set system, turns = messages[0].content, messages[1:] %}
{%- else %}
    {%- set system, turns = none, messages %}
{%- endif %}"""

GEMMA_2 = """
{%- if messages[0].role == 'system' %}{{- raise_exception('System role not supported') }}{% endif %}
{%- set turns = messages %}"""
GEMMA_2 += (
    _ALTERNATING
    + """
{{- bos_token }}
{%- for m in messages %}
    {{- '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' + m.content | trim }}
    {{- '<end_of_turn>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<start_of_turn>model\n' }}{% endif %}"""
)

GEMMA_3 = (
    _SPLIT_SYSTEM
    + _ALTERNATING
    + """
{{- bos_token }}
{%- for m in turns %}
    {{- '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' }}
    {{- system + '\n\n' if loop.first and system else '' }}
    {{- m.content | trim }}
    {{- '<end_of_turn>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<start_of_turn>model\n' }}{% endif %}"""
)

GEMMA_4_SMALL = (
    """
{%- macro without_thoughts(text) %}
    {%- set kept = namespace(text='') %}
    {%- for part in text.split('<channel|>') %}
        {%- set kept.text = kept.text + part.split('<|channel>')[0] %}
    {%- endfor %}
    {{- kept.text | trim }}
{%- endmacro %}"""
    + _SPLIT_SYSTEM
    + """
{{- bos_token }}
{%- if system or enable_thinking | default(false) %}
    {{- '<|turn>system\n' + ('<|think|>\n' if enable_thinking | default(false) else '') }}
    {{- (system or '') | trim + '<turn|>\n' }}
{%- endif %}
{%- for m in turns %}
    {%- if m.role == 'assistant' %}
        {{- '<|turn>model\n' + without_thoughts(m.content) }}
    {%- else %}
        {{- '<|turn>' + m.role + '\n' + m.content | trim }}
    {%- endif %}
    {{- '<turn|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|turn>model\n' }}{% endif %}"""
)

GEMMA_4_LARGE = (
    GEMMA_4_SMALL
    + """
{%- if add_generation_prompt and not enable_thinking | default(false) %}
    {{- '<|channel>thought\n<channel|>' }}
{%- endif %}"""
)

# The thoughts of replies before the last question are left out; the last reply always has a block of them.
QWEN_3 = """
{%- set last = namespace(question=0) %}
{%- for m in messages %}{% if m.role == 'user' %}{% set last.question = loop.index0 %}{% endif %}{% endfor %}
{%- for m in messages %}
    {%- if m.role == 'assistant' %}
        {%- set content, thoughts = m.content, '' %}
        {%- if '</think>' in m.content %}
            {%- set content = m.content.split('</think>')[-1].lstrip('\n') %}
            {%- set thoughts = m.content.split('</think>')[0].split('<think>')[-1].strip('\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\n' }}
        {%- if loop.index0 > last.question and (loop.last or thoughts) %}
            {{- '<think>\n' + thoughts + '\n</think>\n\n' + content.lstrip('\n') }}
        {%- else %}
            {{- content }}
        {%- endif %}
    {%- else %}
        {{- '<|im_start|>' + m.role + '\n' + m.content }}
    {%- endif %}
    {{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{% endif %}
{%- endif %}"""

# It trims all texts, and its prompt always begins a block of thoughts.
QWEN_35 = """
{%- set last = namespace(question=0) %}
{%- for m in messages %}{% if m.role == 'user' %}{% set last.question = loop.index0 %}{% endif %}{% endfor %}
{%- for m in messages %}
    {{- '<|im_start|>' + m.role + '\n' }}
    {%- if m.role == 'assistant' and loop.index0 > last.question %}{{- '<think>\n\n</think>\n\n' }}{% endif %}
    {{- m.content | trim + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- else %}
        {{- '<think>\n' }}
    {%- endif %}
{%- endif %}"""

QWEN_25 = """
{%- if messages[0].role != 'system' %}{{- '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}
{%- for m in messages %}{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{% endif %}"""

LLAMA_3 = (
    _SPLIT_SYSTEM
    + """
{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now('%d %b %Y') %}
    {%- else %}
        {%- set date_string = '26 Jul 2024' %}
    {%- endif %}
{%- endif %}
{{- '<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: ' }}
{{- date_string + '\n\n' + (system or '') | trim + '<|eot_id|>' }}
{%- for m in turns %}
    {{- '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"""
)

# The space before a reply is part of its first word's token. The system message would come before the last question.
MISTRAL_7B = (
    _SPLIT_SYSTEM
    + _ALTERNATING
    + """
{{- bos_token }}
{%- for m in turns %}
    {%- if m.role == 'user' %}
        {{- '[INST] ' + (system + '\n\n' if loop.index0 >= turns | length - 2 and system else '') }}
        {{- m.content + '[/INST]' }}
    {%- else %}
        {{- ' ' + m.content | trim + eos_token }}
    {%- endif %}
{%- endfor %}"""
)

MISTRAL_SMALL = (
    _SPLIT_SYSTEM
    + _ALTERNATING
    + """
{%- set default = 'You are an assistant. The current date is ' + strftime_now('%Y-%m-%d') + '.' %}
{{- bos_token + '[SYSTEM_PROMPT]' + (system or default) + '[/SYSTEM_PROMPT]' }}
{%- for m in turns %}
    {{- '[INST]' + m.content + '[/INST]' if m.role == 'user' else m.content + eos_token }}
{%- endfor %}"""
)

PHI_3 = """
{%- for m in messages %}{{- '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>\n' }}{% else %}{{- eos_token }}{% endif %}"""

PHI_4 = """
{%- for m in messages %}{{- '<|im_start|>' + m.role + '<|im_sep|>' + m.content + '<|im_end|>' }}{% endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant<|im_sep|>' }}{% endif %}"""

PHI_4_MINI = """
{%- for m in messages %}{{- '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>' }}{% else %}{{- eos_token }}{% endif %}"""

GPT_OSS = (
    """
{%- macro about() %}
    {{- 'You are a model.\nCurrent date: ' + strftime_now('%Y-%m-%d') }}
    {{- '\n\nReasoning: medium\n\n# Valid channels: analysis, commentary, final.' }}
{%- endmacro %}"""
    + _SPLIT_SYSTEM
    + """
{{- '<|start|>system<|message|>' + about() + '<|end|>' }}
{%- if system %}{{- '<|start|>developer<|message|># Instructions\n\n' + system + '\n\n<|end|>' }}{% endif %}
{%- for m in turns %}
    {%- if m.role == 'assistant' %}
        {%- if '<|channel|>' in m.content %}{{- raise_exception('pass thoughts in their own field') }}{% endif %}
        {{- '<|start|>assistant<|channel|>final<|message|>' + m.content }}
        {{- '<|return|>' if loop.last and not add_generation_prompt else '<|end|>' }}
    {%- else %}
        {{- '<|start|>' + m.role + '<|message|>' + m.content + '<|end|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start|>assistant' }}{% endif %}"""
)

# It always thinks: its prompt begins a thought, which its replies are written without.
DEEPSEEK_R1 = (
    _SPLIT_SYSTEM
    + """
{{- bos_token + (system or '') }}
{%- for m in turns %}
    {%- if m.role == 'user' %}
        {{- '<|User|>' + m.content }}
    {%- else %}
        {{- '<|Assistant|>' + m.content.split('</think>')[-1] + eos_token }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|Assistant|><think>\n' }}{% endif %}"""
)


@dataclass(frozen=True)
class ChatKind:
    """A template, the control tokens that it needs, and the text of the tests' chat with it.

    `text` has a bar before and after all that a training learns. `strips`: control tokens that take in the spaces and
    line ends that follow them.
    """

    template: str
    text: str
    control_tokens: tuple[str, ...]
    takes_system: bool = True
    strips: bool = False


_GEMMA = ("<start_of_turn>", "<end_of_turn>")
_GEMMA_TEXT = (
    "<bos><start_of_turn>user\nHow was it?<end_of_turn>\n<start_of_turn>model\n¦I am happy.<end_of_turn>¦\n"
    "<start_of_turn>user\nAnd you?<end_of_turn>\n<start_of_turn>model\n¦Yes, it was fine.<end_of_turn>¦\n"
)
_GEMMA_4 = ("<|turn>", "<turn|>", "<|channel>", "<channel|>", "<|think|>")
_CHATML = ("<|im_start|>", "<|im_end|>")
_QWEN_3_TEXT = (
    "<|im_start|>user\nHow was it?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n¦I am happy.<|im_end|>¦\n"
    "<|im_start|>user\nAnd you?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    "¦Yes, it was fine.<|im_end|>¦\n"
)

CHAT_KINDS = {
    "Gemma 1 and 2": ChatKind(GEMMA_2, _GEMMA_TEXT, _GEMMA, takes_system=False),
    "Gemma 3 and 3n": ChatKind(GEMMA_3, _GEMMA_TEXT, _GEMMA),
    "Gemma 4 E2B, E4B": ChatKind(
        GEMMA_4_SMALL,
        "<bos><|turn>user\nHow was it?<turn|>\n<|turn>model\n¦I am happy.<turn|>¦\n"
        "<|turn>user\nAnd you?<turn|>\n<|turn>model\n¦Yes, it was fine.<turn|>¦\n",
        _GEMMA_4,
    ),
    "Gemma 4 26B-A4B, 31B": ChatKind(
        GEMMA_4_LARGE,
        "<bos><|turn>user\nHow was it?<turn|>\n<|turn>model\n<|channel>thought\n<channel|>¦I am happy.<turn|>¦\n"
        "<|turn>user\nAnd you?<turn|>\n<|turn>model\n<|channel>thought\n<channel|>¦Yes, it was fine.<turn|>¦\n",
        _GEMMA_4,
    ),
    "Qwen2.5": ChatKind(
        QWEN_25,
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nHow was it?<|im_end|>\n<|im_start|>assistant\n¦I am happy.<|im_end|>¦\n"
        "<|im_start|>user\nAnd you?<|im_end|>\n<|im_start|>assistant\n¦Yes, it was fine.<|im_end|>¦\n",
        _CHATML,
    ),
    "Qwen3": ChatKind(QWEN_3, _QWEN_3_TEXT, _CHATML),
    "Qwen3.5": ChatKind(QWEN_35, _QWEN_3_TEXT, _CHATML),
    "Llama 3": ChatKind(
        LLAMA_3,
        "<bos><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
        f"Today Date: {DATE}\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHow was it?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n¦I am happy.<|eot_id|>¦"
        "<|start_header_id|>user<|end_header_id|>\n\nAnd you?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n¦Yes, it was fine.<|eot_id|>¦",
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    ),
    "Mistral 7B": ChatKind(
        MISTRAL_7B,
        "<bos>[INST] How was it?[/INST]¦ I am happy.<eos>¦[INST] And you?[/INST]¦ Yes, it was fine.<eos>¦",
        ("[INST]", "[/INST]"),
        takes_system=False,
    ),
    "Mistral Small": ChatKind(
        MISTRAL_SMALL,
        f"<bos>[SYSTEM_PROMPT]You are an assistant. The current date is {ISO_DATE}.[/SYSTEM_PROMPT]"
        "[INST]How was it?[/INST]¦I am happy.<eos>¦[INST]And you?[/INST]¦Yes, it was fine.<eos>¦",
        ("[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
    ),
    "Phi-3": ChatKind(
        PHI_3,
        "<|user|>\nHow was it?<|end|>\n<|assistant|>\n¦I am happy.<|end|>\n¦"
        "<|user|>\nAnd you?<|end|>\n<|assistant|>\n¦Yes, it was fine.<|end|>\n¦<eos>",
        ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
        strips=True,
    ),
    "Phi-4": ChatKind(
        PHI_4,
        "<|im_start|>user<|im_sep|>How was it?<|im_end|><|im_start|>assistant<|im_sep|>¦I am happy.<|im_end|>¦"
        "<|im_start|>user<|im_sep|>And you?<|im_end|><|im_start|>assistant<|im_sep|>¦Yes, it was fine.<|im_end|>¦",
        (*_CHATML, "<|im_sep|>"),
    ),
    "Phi-4-mini": ChatKind(
        PHI_4_MINI,
        "<|user|>How was it?<|end|><|assistant|>¦I am happy.<|end|>¦"
        "<|user|>And you?<|end|><|assistant|>¦Yes, it was fine.<|end|>¦<eos>",
        ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
    ),
    "gpt-oss": ChatKind(
        GPT_OSS,
        f"<|start|>system<|message|>You are a model.\nCurrent date: {ISO_DATE}\n\nReasoning: medium\n\n"
        "# Valid channels: analysis, commentary, final.<|end|><|start|>user<|message|>How was it?<|end|>"
        "<|start|>assistant<|channel|>final<|message|>¦I am happy.<|end|>¦"
        "<|start|>user<|message|>And you?<|end|>"
        "<|start|>assistant<|channel|>final<|message|>¦Yes, it was fine.<|return|>¦",
        ("<|start|>", "<|message|>", "<|channel|>", "<|end|>", "<|return|>"),
    ),
    "DeepSeek R1": ChatKind(
        DEEPSEEK_R1,
        "<bos><|User|>How was it?<|Assistant|>¦I am happy.<eos>¦<|User|>And you?<|Assistant|>¦Yes, it was fine.<eos>¦",
        ("<|User|>", "<|Assistant|>"),
    ),
}
