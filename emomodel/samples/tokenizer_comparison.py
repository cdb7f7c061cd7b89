"""Compares the tokens that transformers' tokenizer and LightTokenizer give for a dataset's chats.

Statistics and preview come from LightTokenizer. If transformers uses a class for a folder that doesn't belong to its
tokenizer, it may split texts differently than the folder's tokenizer.json says.
"""

from collections.abc import Iterable
from pathlib import Path

from emomodel.data.examples import Example
from emomodel.samples.chat import ChatFormat
from emomodel.samples.chat_text import ChatError
from emomodel.samples.light_tokenizer import TOKENIZER_FILE, load_light_tokenizer

# A class that doesn't belong to the tokenizer shows in nearly every chat.
COMPARED_EXAMPLES = 32


def find_difference(folder: Path, chat_format: ChatFormat, examples: Iterable[Example]) -> str | None:
    """Describe the first difference; None if there is none, or if `folder` has no tokenizer.json to compare with.

    `chat_format` is the training's own, with transformers' tokenizer. COMPARED_EXAMPLES examples are enough.
    """
    if not (folder / TOKENIZER_FILE).is_file():
        return None
    try:
        light = ChatFormat(load_light_tokenizer(folder))
        for example in examples:
            if light.tokenise(example.turns) != chat_format.tokenise(example.turns):
                return f"line {example.line} has other tokens with the base model's {TOKENIZER_FILE}"
    except ChatError as error:
        return str(error)
    return None
