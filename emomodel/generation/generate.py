"""Generate replies under an emotion: several replies at once, or one in pieces as it is written."""

from collections.abc import Iterator, Sequence

from emomodel.data.examples import Turn
from emomodel.emotions import EmotionVector
from emomodel.generation.loaded_bundle import LoadedBundle
from emomodel.generation.sampling import Chooser, Sampling
from emomodel.generation.text_stream import TextStream, decode_reply
from emomodel.generation.writing import Schedule, lay_prompt, write


def generate(
    loaded: LoadedBundle, prompts: Sequence[str], emotions: Sequence[EmotionVector], sampling: Sampling
) -> list[str]:
    """Return the replies to `prompts`, each of which is one user turn, under one emotion vector (axes,) each.

    Raises PromptRefused when a prompt can't be made a chat of the base model.
    """
    chats = [(Turn("user", prompt, loaded.axes.neutral),) for prompt in prompts]
    schedules = [[emotion] * (sampling.max_new_tokens + 1) for emotion in emotions]
    return generate_replies(loaded, chats, schedules, sampling)


def generate_replies(
    loaded: LoadedBundle, chats: Sequence[Sequence[Turn]], schedules: Sequence[Schedule], sampling: Sampling
) -> list[str]:
    """Return the next reply of each chat; the last turn of a chat is a user's.

    There is one schedule for each chat. It holds one emotion vector (axes,) for each token that the reply may have and
    one for the token that ends the turn: sampling.max_new_tokens + 1 in all. Raises PromptRefused when a chat can't be
    made a chat of the base model, ScheduleTooShort.
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
    """Yield the next reply of a chat in pieces, as it is written. Joined, they are the reply of generate_replies.

    `schedule` is as in generate_replies. No piece is empty or ends inside a character. Raises PromptRefused and
    ScheduleTooShort when the first piece is asked for.
    """
    prompt = lay_prompt(loaded, chat, schedule, sampling.max_new_tokens)
    stream = TextStream(loaded.tokenizer)
    for (token_id,) in write(loaded, [prompt], Chooser(sampling, [prompt.input_ids]), sampling.max_new_tokens):
        # There is one reply, so `write` ends when it does.
        if token_id is not None and (piece := stream.push(token_id)):
            yield piece
    if piece := stream.finish():
        yield piece
