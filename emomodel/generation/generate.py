"""Generate under an emotion: whole replies, or one reply as it is written."""

from collections.abc import Iterator, Sequence

from emomodel.data.examples import Turn
from emomodel.emotions import EmotionVector
from emomodel.generation.loaded_bundle import LoadedBundle, load_bundle
from emomodel.generation.sampling import Chooser, Sampling
from emomodel.generation.text_stream import TextStream, decode_reply
from emomodel.generation.writing import Schedule, ScheduleTooShort, lay_prompt, write

# The whole of what the owner of a bundle needs is here.
__all__ = [
    "LoadedBundle",
    "Schedule",
    "ScheduleTooShort",
    "generate",
    "generate_replies",
    "load_bundle",
    "stream_reply",
]


def generate(
    loaded: LoadedBundle, prompts: Sequence[str], emotions: Sequence[EmotionVector], sampling: Sampling
) -> list[str]:
    """The replies to `prompts`, one user turn each, under an emotion each. Raises PromptRefused."""
    chats = [(Turn("user", prompt, loaded.axes.neutral),) for prompt in prompts]
    schedules = [[emotion] * (sampling.max_new_tokens + 1) for emotion in emotions]
    return generate_replies(loaded, chats, schedules, sampling)


def generate_replies(
    loaded: LoadedBundle, chats: Sequence[Sequence[Turn]], schedules: Sequence[Schedule], sampling: Sampling
) -> list[str]:
    """The next reply of each chat, whose last turn is a user's.

    A schedule holds the emotion of each token of the reply, in order: max_new_tokens + 1, with the end of the turn.
    Raises PromptRefused, ScheduleTooShort.
    """
    pairs = zip(chats, schedules, strict=True)
    prompts = [lay_prompt(loaded, chat, schedule, sampling.max_new_tokens) for chat, schedule in pairs]
    choose = Chooser(sampling, [prompt.input_ids for prompt in prompts])
    replies: list[list[int]] = [[] for _ in prompts]
    for tokens in write(loaded, prompts, choose, sampling.max_new_tokens):
        for reply, token_id in zip(replies, tokens, strict=True):
            if token_id is not None:
                reply.append(token_id)
    return [decode_reply(loaded.tokenizer, reply) for reply in replies]


def stream_reply(loaded: LoadedBundle, chat: Sequence[Turn], schedule: Schedule, sampling: Sampling) -> Iterator[str]:
    """The next reply of a chat, in pieces as it is written: together they are what generate_replies gives.

    No piece is empty or ends inside a character. Raises PromptRefused, ScheduleTooShort, at the first piece.
    """
    prompt = lay_prompt(loaded, chat, schedule, sampling.max_new_tokens)
    stream = TextStream(loaded.tokenizer)
    for (token_id,) in write(loaded, [prompt], Chooser(sampling, [prompt.input_ids]), sampling.max_new_tokens):
        # One reply: when it ends, the writing ends.
        if token_id is not None and (piece := stream.push(token_id)):
            yield piece
    if piece := stream.finish():
        yield piece
