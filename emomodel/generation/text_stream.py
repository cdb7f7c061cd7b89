"""TextStream: tokens become text piece by piece. Joined, the pieces are the text that all tokens decode to."""

import re

from transformers import PreTrainedTokenizerBase

# The token for a byte in a tokenizer that splits characters outside its vocabulary into bytes.
_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")
# What bytes decode to that are not a character, or not a complete one yet.
_NO_CHARACTER = "\ufffd"


def decode_reply(tokenizer: PreTrainedTokenizerBase, token_ids: list[int]) -> str:
    """Decode the tokens of a reply, without control tokens and without whitespace at its start and end."""
    text = tokenizer.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return str(text).strip()


class TextStream:
    """The text of one reply in pieces. No piece ends inside a character, or with whitespace that may end the reply."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        # Decoding leaves these out.
        self._control_ids = frozenset(tokenizer.all_special_ids) | {
            index for index, token in tokenizer.added_tokens_decoder.items() if token.special
        }
        self._token_ids: list[int] = []
        self._sent_length = 0

    def push(self, token_id: int) -> str:
        """Add a token and return the text that has become certain, which is often empty."""
        token = self._tokenizer.convert_ids_to_tokens(token_id)
        # A base model may know more ids than its tokenizer has tokens.
        if token_id in self._control_ids or token is None:
            return ""
        self._token_ids.append(token_id)
        # A run of bytes is decoded only when it has ended: a wrong byte also changes what those before it decode to.
        if _BYTE_TOKEN.fullmatch(str(token)):
            return ""
        text = decode_reply(self._tokenizer, self._token_ids)
        while text and (text[-1] == _NO_CHARACTER or text[-1].isspace()):
            text = text[:-1]
        return self._send(text)

    def finish(self) -> str:
        """Return the text that was held back until the end of the reply."""
        return self._send(decode_reply(self._tokenizer, self._token_ids))

    def _send(self, text: str) -> str:
        piece = text[self._sent_length :]
        self._sent_length = max(self._sent_length, len(text))
        return piece
