"""Reads one line of a dataset into its turns, or finds all that is wrong in it."""

from collections.abc import Iterable

from emomodel.data.drafts import CONTROL_TOKEN, MESSAGE_PREFIX, IgnoredKeys, Role, Span, TurnDraft
from emomodel.data.emotion_reader import EmotionReader
from emomodel.data.json_line import ONE_OBJECT, parse_object
from emomodel.data.plain_line import PlainLineReader
from emomodel.data.problems import MAX_FINDINGS_PER_LINE, Finding, ProblemCode, quote
from emomodel.data.tags import TagReader
from emomodel.emotions import Axes, EmotionVector

_ROLES: dict[object, Role] = {"system": "system", "user": "user", "assistant": "assistant", "model": "assistant"}
_EXAMPLE_KEYS = {"messages", "emotion"}
_MESSAGE_KEYS = {"role", "content", "emotion", "weight"}
_CONTENT_FIX = 'Give each message its text as "content": "...".'
_ORDER_FIX = (
    "After an optional system message, user and assistant messages must alternate and end with the assistant's."
)


class LineReader:
    """Reads lines, and keeps what they share: the axes, a cache of emotions, and the count of ignored keys."""

    def __init__(self, axes: Axes) -> None:
        self.ignored = IgnoredKeys()
        self._neutral = axes.neutral
        self._emotions = EmotionReader(axes)
        plain = PlainLineReader(self._emotions, self._neutral, self.ignored)
        self.read_plain = plain.read
        self._shape = plain.shape
        self._findings: list[Finding] = []

    def read(self, line: bytes) -> tuple[list[TurnDraft], list[Finding]]:
        """Read a line: its turns and findings. The turns are complete only if there are no findings."""
        turns = self.read_plain(line)
        return self.read_exactly(line) if turns is None else (turns, [])

    def read_exactly(self, line: bytes) -> tuple[list[TurnDraft], list[Finding]]:
        """Read a line without the fast path for plain lines. This is the rule that the fast path has to follow."""
        self._findings = []
        document = parse_object(line)
        if isinstance(document, Finding):
            return [], [document]
        return self._read_example(document), self._findings

    def _find(
        self, code: ProblemCode, message: str, fix: str, field: str | None = None, column: int | None = None
    ) -> None:
        self._findings.append(Finding(code, message, fix, field, column))

    def _ignore(self, keys: Iterable[str], prefix: str = "") -> None:
        for key in keys:
            self.ignored.add(key, prefix)
            self._shape.learn(prefix, key)

    def _read_example(self, document: dict[str, object]) -> list[TurnDraft]:
        emotion = self._neutral
        if len(document) > 1:
            self._ignore(key for key in document if key not in _EXAMPLE_KEYS)
            emotion = self._read_emotion(document.get("emotion"), emotion, "emotion")
        messages = document.get("messages")
        if not isinstance(messages, list):
            self._refuse_messages(document)
            return []
        turns: list[TurnDraft] = []
        for index, message in enumerate(messages):
            if len(self._findings) >= MAX_FINDINGS_PER_LINE:
                return []
            turn = self._read_message(message, index, emotion)
            if turn is not None:
                turns.append(turn)
        if len(turns) == len(messages):
            self._check_order(turns)
        return turns

    def _refuse_messages(self, document: dict[str, object]) -> None:
        if "messages" in document:
            self._find("messages_not_list", "messages is not a list", ONE_OBJECT, "messages")
        else:
            keys = ", ".join(quote(key) for key in list(document)[:4]) or "none"
            self._find("messages_missing", f"there is no key 'messages' (keys: {keys})", ONE_OBJECT)

    def _read_message(self, message: object, index: int, emotion: EmotionVector) -> TurnDraft | None:
        if not isinstance(message, dict):
            fix = 'Write each message as {"role": "user", "content": "..."}.'
            self._find("message_not_object", "the message is not an object", fix, f"messages[{index}]")
            return None
        role = self._read_role(message, index)
        weighted = True
        if role != "assistant":
            emotion = self._neutral
        if len(message) > 2 or "content" not in message:
            self._ignore((key for key in message if key not in _MESSAGE_KEYS), MESSAGE_PREFIX)
            emotion = self._read_emotion(message.get("emotion"), emotion, f"messages[{index}].emotion")
            weighted = self._read_weight(message.get("weight"), index)
        content, spans = self._read_content(message, index)
        if role is None:
            return None
        return role, content, emotion, spans, weighted and role == "assistant"

    def _read_role(self, message: dict[str, object], index: int) -> Role | None:
        role = message.get("role")
        known = _ROLES.get(role) if type(role) is str else None
        if known is not None:
            return known
        fix = "The roles are system, user and assistant (or model)."
        if role is None:
            self._find("role_missing", "the message has no role", fix, f"messages[{index}].role")
        else:
            self._find("role_unknown", f"unknown role {quote(str(role))}", fix, f"messages[{index}].role")
        return None

    def _read_emotion(self, value: object, default: EmotionVector, field: str) -> EmotionVector:
        if value is None:
            return default
        emotion = self._emotions.from_json(value)
        if isinstance(emotion, Finding):
            self._findings.append(emotion._replace(field=field))
            return default
        return emotion

    def _read_weight(self, weight: object, index: int) -> bool:
        if weight is None:
            return True
        # `True == 1` in Python, but a bool must not count as a number.
        if isinstance(weight, bool) or weight not in (0, 1):
            fix = "Write 0 for a reply that is not to be learned, or omit weight."
            self._find("weight_invalid", "weight is neither 0 nor 1", fix, f"messages[{index}].weight")
        return weight != 0

    def _read_content(self, message: dict[str, object], index: int) -> tuple[str, tuple[Span, ...]]:
        content = message.get("content")
        spans: tuple[Span, ...] = ()
        if not isinstance(content, str):
            self._refuse_content(content, "content" in message, index)
            return "", spans
        # Most texts hold neither tags nor control tokens, and need no more than this.
        found = len(self._findings)
        if "<" in content or "[" in content:
            content, spans = self._read_marks(content, f"messages[{index}].content")
        if (not content or content.isspace()) and len(self._findings) == found:
            self._find("content_empty", "the text is empty", _CONTENT_FIX, f"messages[{index}].content")
        return content, spans

    def _refuse_content(self, content: object, given: bool, index: int) -> None:
        field = f"messages[{index}].content"
        if not given:
            self._find("content_missing", "the message has no content", _CONTENT_FIX, field)
        elif isinstance(content, list):
            self._find(
                "content_not_text", "content is a list of parts", "Join the texts of the parts into one string.", field
            )
        else:
            self._find("content_not_text", "content is not a string", _CONTENT_FIX, field)

    def _read_marks(self, text: str, field: str) -> tuple[str, tuple[Span, ...]]:
        """The text without tags, and their spans. Removing a tag may also join text into a control token."""
        tagged = TagReader(text, self._emotions)
        self._findings.extend(finding._replace(field=field) for finding in tagged.findings)
        token = CONTROL_TOKEN.search(text)
        column = token.start() + 1 if token else None
        token = token or CONTROL_TOKEN.search(tagged.content)
        if token:
            message, fix = f"{token[0]} is a control token of a model", "Remove it, or put a space into it."
            self._find("control_token", message, fix, field, column)
        return tagged.content, tuple(tagged.spans)

    def _check_order(self, turns: list[TurnDraft]) -> None:
        roles = [role for role, *_ in turns]
        if roles != ["user", "assistant"]:
            finding = _find_wrong_order(roles)
            if finding is not None:
                self._findings.append(finding)
                return
        if not any(is_target for *_, is_target in turns):
            fix = "Omit weight from at least one assistant message."
            self._find(
                "target_missing", "every assistant message has weight 0: nothing is left to learn", fix, "messages"
            )


def _find_wrong_order(roles: list[Role]) -> Finding | None:
    if not roles:
        return Finding("messages_empty", "messages is empty", ONE_OBJECT, "messages")
    if "user" not in roles:
        return Finding("user_missing", "there is no user message", _ORDER_FIX, "messages")
    if "assistant" not in roles:
        return Finding("assistant_missing", "there is no assistant message", _ORDER_FIX, "messages")
    offset = 1 if roles[0] == "system" else 0
    for index, role in enumerate(roles[offset:]):
        expected = "assistant" if index % 2 else "user"
        if role != expected:
            message = f"the role is {role}, but {expected} is expected here"
            return Finding("role_order", message, _ORDER_FIX, f"messages[{index + offset}].role")
    if roles[-1] != "assistant":
        return Finding("assistant_not_last", "the last message is not from the assistant", _ORDER_FIX, "messages")
    return None
