"""IgnoredKeys: counts the keys of a dataset that mean nothing here, so that a misspelt one is seen. [light]"""

from emomodel.data.problems import quote

# A file may invent a new key on every line; so many are counted by name.
_COUNTED_KEYS = 100
OTHER_KEYS = "(others)"
MESSAGE_PREFIX = "messages[]."


class IgnoredKeys:
    """`counts` is by the key's name, with MESSAGE_PREFIX for keys of messages."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, key: str, prefix: str = "") -> None:
        name = prefix + quote(key)[1:-1]
        if name not in self.counts and len(self.counts) >= _COUNTED_KEYS:
            name = OTHER_KEYS
        self.counts[name] = self.counts.get(name, 0) + 1
