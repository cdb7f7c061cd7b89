"""Shares of the scripts in a text, counted by letters."""

import unicodedata

import pytest

from emomodel.insights.scripts_of_text import ScriptCounts, find_script


def test_shares_are_of_letters_only() -> None:
    counts = ScriptCounts()
    counts.add("Привет, 123!")
    counts.add("Hi 😀")
    assert counts.shares() == {"Cyrillic": 0.75, "Latin": 0.25}
    assert ScriptCounts().shares() == {}


@pytest.mark.parametrize(
    ("letters", "script"),
    [
        ("aZéßøž", "Latin"),
        ("αΩ", "Greek"),
        ("жЩ", "Cyrillic"),
        ("אב", "Hebrew"),
        ("عرب", "Arabic"),
        ("हिन्दी", "Devanagari"),
        ("ไทย", "Thai"),
        ("漢字", "Han"),
        ("かなカナ", "Kana"),
        ("한글ㄱ", "Hangul"),
        ("ქარ", "Georgian"),
        ("አማ", "Ethiopic"),
    ],
)
def test_letters_have_their_script(letters: str, script: str) -> None:
    assert {find_script(letter) for letter in letters if letter.isalpha()} == {script}


def test_the_ranges_agree_with_the_names_of_letters() -> None:
    """Compare with the names in the Unicode Character Database, for the scripts whose letters carry their names."""
    words = {"LATIN": "Latin", "GREEK": "Greek", "CYRILLIC": "Cyrillic", "HANGUL": "Hangul", "THAI": "Thai"}
    wrong = 0
    checked = 0
    for code in range(0x20000):
        name = unicodedata.name(chr(code), "")
        first = name.partition(" ")[0]
        if first in words and chr(code).isalpha() and " LETTER " in name:
            checked += 1
            wrong += find_script(chr(code)) != words[first]
    assert checked > 1500
    # Phonetic signs are in ranges apart from the letters of their script.
    assert wrong / checked < 0.04
