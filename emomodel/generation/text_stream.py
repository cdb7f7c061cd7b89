"""Tokens -> text, piece by piece: the pieces together are the text that the tokens make at once."""

import re

from transformers import PreTrainedTokenizerBase

# How a tokenizer with byte fallback calls a byte that is no character of its vocabulary.
_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")
# What decoding makes of bytes that are no character, or not yet.
_NO_CHARACTER = "\ufffd"


def decode_reply(tokenizer: PreTrainedTokenizerBase, token_ids: list[int]) -> str:
    """The text of a reply, without control tokens and the blanks around it."""
    text = tokenizer.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return str(text).strip()


class TextStream:
    """The text of one reply as its tokens come. No piece ends inside a character, or in blanks that may be the last."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        # What decoding leaves out.
        self._control_ids = frozenset(tokenizer.all_special_ids) | {
            index for index, token in tokenizer.added_tokens_decoder.items() if token.special
        }
        self._token_ids: list[int] = []
        self._sent_length = 0

    def push(self, token_id: int) -> str:
        """What is certain with this token; often nothing."""
        token = self._tokenizer.convert_ids_to_tokens(token_id)
        # A base model may know more ids than its tokenizer has tokens.
        if token_id in self._control_ids or token is None:
            return ""
        self._token_ids.append(token_id)
        # A run of bytes is decoded whole: one byte that fits nowhere spoils those before it.
        if _BYTE_TOKEN.fullmatch(str(token)):
            return ""
        text = decode_reply(self._tokenizer, self._token_ids)
        while text and (text[-1] == _NO_CHARACTER or text[-1].isspace()):
            text = text[:-1]
        return self._send(text)

    def finish(self) -> str:
        """What was held back."""
        return self._send(decode_reply(self._tokenizer, self._token_ids))

    def _send(self, text: str) -> str:
        piece = text[self._sent_length :]
        self._sent_length = max(self._sent_length, len(text))
        return piece
