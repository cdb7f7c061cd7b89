"""The scripts of a dataset's letters, which show roughly which languages it is in."""

from bisect import bisect_right
from collections import Counter

OTHER = "other"

# The first code point of each range of Unicode, and its script. Source: the Unicode Character Database, Blocks.txt;
# adjacent blocks of one script are joined, and rare scripts count as `other`.
_STARTS: tuple[tuple[int, str], ...] = (
    (0x0000, "Latin"),
    (0x0250, "Latin"),
    (0x02B0, OTHER),
    (0x0370, "Greek"),
    (0x0400, "Cyrillic"),
    (0x0530, "Armenian"),
    (0x0590, "Hebrew"),
    (0x0600, "Arabic"),
    (0x0700, OTHER),
    (0x0750, "Arabic"),
    (0x0780, OTHER),
    (0x08A0, "Arabic"),
    (0x0900, "Devanagari"),
    (0x0980, "Bengali"),
    (0x0A00, "Gurmukhi"),
    (0x0A80, "Gujarati"),
    (0x0B00, OTHER),
    (0x0B80, "Tamil"),
    (0x0C00, "Telugu"),
    (0x0C80, "Kannada"),
    (0x0D00, "Malayalam"),
    (0x0D80, "Sinhala"),
    (0x0E00, "Thai"),
    (0x0E80, "Lao"),
    (0x0F00, "Tibetan"),
    (0x1000, "Myanmar"),
    (0x10A0, "Georgian"),
    (0x1100, "Hangul"),
    (0x1200, "Ethiopic"),
    (0x1380, OTHER),
    (0x1780, "Khmer"),
    (0x1800, OTHER),
    (0x1D00, "Latin"),
    (0x1F00, "Greek"),
    (0x2000, OTHER),
    (0x2C60, "Latin"),
    (0x2C80, OTHER),
    (0x2DE0, "Cyrillic"),
    (0x2E00, "Han"),
    (0x3040, "Kana"),
    (0x3100, "Han"),
    (0x3130, "Hangul"),
    (0x3190, "Han"),
    (0xA000, OTHER),
    (0xA640, "Cyrillic"),
    (0xA6A0, OTHER),
    (0xA720, "Latin"),
    (0xA800, OTHER),
    (0xAB30, "Latin"),
    (0xAB70, OTHER),
    (0xAC00, "Hangul"),
    (0xD7B0, OTHER),
    (0xF900, "Han"),
    (0xFB00, "Latin"),
    (0xFB1D, "Hebrew"),
    (0xFB50, "Arabic"),
    (0xFE00, OTHER),
    (0xFE70, "Arabic"),
    (0xFF00, "Latin"),
    (0xFF66, "Kana"),
    (0xFFA0, "Hangul"),
    (0xFFE0, OTHER),
    (0x20000, "Han"),
    (0x32000, OTHER),
)
_CODES = [code for code, _ in _STARTS]


class ScriptCounts:
    """Counts the letters of texts by script. Punctuation and digits are not counted."""

    def __init__(self) -> None:
        self._characters: Counter[str] = Counter()

    def add(self, text: str) -> None:
        self._characters.update(text)

    def shares(self) -> dict[str, float]:
        """The share of letters of each script, the most common first; empty if there are no letters."""
        counts: Counter[str] = Counter()
        for character, count in self._characters.items():
            if character.isalpha():
                counts[find_script(character)] += count
        total = counts.total()
        return {script: round(count / total, 4) for script, count in counts.most_common()}


def find_script(letter: str) -> str:
    """The script of a letter, by the range of Unicode that it is in."""
    return _STARTS[bisect_right(_CODES, ord(letter)) - 1][1]
