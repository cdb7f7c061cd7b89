"""Whether transformers' tokenizer and LightTokenizer give the same tokens for a dataset's chats.

Statistics and preview come from the latter. Where transformers' class for a folder is not the tokenizer's own, it may
cut texts otherwise than the folder's tokenizer.json says.
"""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from emomodel.data.examples import Example
from emomodel.samples.chat import ChatError, ChatFormat
from emomodel.samples.light_tokenizer import TOKENIZER_FILE, load_light_tokenizer

# A class that is not the tokenizer's own shows in nearly every chat.
_COMPARED_EXAMPLES = 32


def find_difference(folder: Path, chat_format: ChatFormat, examples: Iterable[Example]) -> str | None:
    """What is otherwise, in words; None where nothing is, or where `folder` has no tokenizer.json to compare with.

    `chat_format` is that of the training, which has made tokens of the examples.
    """
    if not (folder / TOKENIZER_FILE).is_file():
        return None
    try:
        light = ChatFormat(load_light_tokenizer(folder))
        for example in islice(examples, _COMPARED_EXAMPLES):
            if light.tokenise(example.turns) != chat_format.tokenise(example.turns):
                return f"line {example.line} has other tokens by the base model's {TOKENIZER_FILE}"
    except ChatError as error:
        return str(error)
    return None
