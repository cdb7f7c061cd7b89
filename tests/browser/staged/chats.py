"""Datasets as JSON Lines, made of parts: enough of them to look like a team's, the same for a seed."""

import json
import random
from collections.abc import Iterator, Sequence

_QUESTIONS = (
    *("My parcel has not arrived.", "The app logs me out every hour.", "I was charged twice this month."),
    *("How do I move my photos to the new phone?", "Can somebody call me back today?", "The update broke my alarm."),
    *("I would like to cancel my subscription.", "My daughter can't open her school account.", "Is the shop open?"),
    *("The chat window stays white.", "Who do I ask about a refund?", "I forgot the answer to my secret question."),
)
_OPENINGS: dict[str, Sequence[str]] = {
    "joy": ("What lovely news, that makes my day!", "Wonderful, I am smiling here!", "Oh, how good to hear!"),
    "sadness": ("I am so sorry, that hurts to read.", "Oh no. I wish it had gone otherwise.", "That is sad."),
    "calmness": ("Take your time, nothing is lost.", "One thing after the other, we have all day.", "Easy, please."),
    "anger": ("This makes me furious as well!", "Enough is enough, that must not happen!", "How dare they!"),
    "trust": ("You can rely on me for this.", "I give you my word.", "We will keep that promise."),
    "empathy": ("I understand how tiring that is.", "That would worry me, too.", "I feel with you."),
    "interest": ("Now that is a riddle I like!", "Tell me more, I am all ears!", "Fascinating, when did it begin?"),
    "courage": ("We can do this, right now.", "Let us face it together.", "Nothing to be afraid of."),
}
_BODIES = (
    "I have looked at your account and found the entry of last Tuesday.",
    "Please open the settings, choose your name, and press the button below it.",
    "The colleagues in the warehouse have it on their list for tomorrow morning.",
    "You will get a message as soon as the money is on its way.",
    "If it happens again, the number of this chat is enough for us to find it.",
    "I have moved it to the front, so that nobody has to wait any longer.",
)
_CLOSINGS = ("Is there anything else?", "We will see it through.", "Thank you for your patience.", "")


def make_chats(seed: int, count: int, *, emotions: Sequence[str] = tuple(_OPENINGS), repeats: int = 0) -> bytes:
    """Make `count` dialogues; the last `repeats` are copies of earlier ones, which a report warns of."""
    chance = random.Random(seed)
    lines = [json.dumps({"messages": list(_make_messages(chance, emotions))}) for _ in range(count - repeats)]
    lines += chance.sample(lines, repeats)
    return ("\n".join(lines) + "\n").encode()


def make_own_axes_chats(seed: int, count: int) -> bytes:
    """Dialogues along the axes COLD_WARM and SHY_BOLD."""
    chance = random.Random(seed)
    lines = []
    for number in range(count):
        pole = ("cold", "warm", "shy", "bold")[number % 4]
        reply = f"<emo {pole}={chance.uniform(0.3, 1):.1f}>{chance.choice(_BODIES)}</emo> {chance.choice(_CLOSINGS)}"
        messages = [
            {"role": "user", "content": f"{chance.choice(_QUESTIONS)} (case {number + 1})"},
            {"role": "assistant", "content": reply.strip()},
        ]
        lines.append(json.dumps({"messages": messages}))
    return ("\n".join(lines) + "\n").encode()


def _make_messages(chance: random.Random, emotions: Sequence[str]) -> Iterator[dict[str, object]]:
    for turn in range(chance.choice((1, 1, 1, 2, 2, 3))):
        question = chance.choice(_QUESTIONS)
        yield {"role": "user", "content": f"Case {chance.randint(1000, 99999)}: {question}" if turn == 0 else question}
        emotion = chance.choice(emotions)
        body = " ".join(chance.sample(_BODIES, chance.choice((1, 1, 2, 3))))
        opening = chance.choice(_OPENINGS[emotion])
        closing = chance.choice(_CLOSINGS)
        strength = round(chance.uniform(0.3, 1), 1)
        if chance.random() < 0.4:
            yield {
                "role": "assistant",
                "content": f"<emo {emotion}={strength}>{opening}</emo> {body} {closing}".strip(),
            }
        elif chance.random() < 0.15:
            yield {"role": "assistant", "content": f"{body} {closing}".strip()}
        else:
            content = f"{opening} {body} {closing}".strip()
            yield {"role": "assistant", "content": content, "emotion": {emotion: strength}}
