"""The tokeniser words2, by examples of the rules and by properties of any text."""

# ruff: noqa: RUF001

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.data.sources.sentiment import sentences
from zoo.data.tokens import words
from zoo.data.words2 import words2

EXAMPLES = {
    "words and signs": ("It's GREAT,  really -- no. 9!", "it's great , really - - no . 9 !"),
    "typographic apostrophes": ("Don\u2019t l\u02bcété l\u2018an d\uff07or", "don't l'été l'an d'or"),
    "quotes outside words": ("\u2018so\u2019 rock 'n' roll 'a'", "\u2018 so \u2019 rock ' n ' roll ' a '"),
    "case folding": ("Straße STRASSE ΟΔΟΣ οδος", "strasse strasse οδοσ οδοσ"),
    "composition": ("e\u0301te\u0301 été", "été été"),
    "combining marks": ("हिन्दी में עִבְרִית", "हिन्दी में עִבְרִית"),
    "a joiner inside a word": ("می\u200cخواهم بروم", "می\u200cخواهم بروم"),
    "a joiner at the end of a word": ("ന\u0d4d\u200d", "ന\u0d4d\u200d"),
    "numbers": ("1,200.50 3.14. 1\u2019000 50% 7, v1.2", "1,200.50 3.14 . 1'000 50 % 7 , v1.2"),
    "times and dates": ("10:30 2020-12-31", "10 : 30 2020 - 12 - 31"),
    "no number": ("a.b 1.a .5 1..2", "a . b 1 . a . 5 1 . . 2"),
    "digits of other scripts": ("١٬٢ १२ x² ½", "١ ٬ ٢ १२ x² ½"),
    "underscores": ("snake_case __init__ #tag", "snake_case __init__ # tag"),
    "Chinese and Japanese": ("我爱Python 東京タワー ひらがな", "我 爱 python 東 京 タ ワ ー ひ ら が な"),
    "a decomposed kana": ("か\u3099", "が"),
    "Korean": ("한국어 학교", "한국어 학교"),
    "Thai": ("กำลัง", "ก ำ ลั ง"),
    "emoji": ("👍👍 ok🎉", "👍 👍 ok 🎉"),
    "skin tones": ("👍🏽👋🏿 🏽", "👍🏽 👋🏿 🏽"),
    "families and professions": (
        "👨\u200d👩\u200d👧\u200d👦👩🏽\u200d⚕\ufe0f",
        "👨\u200d👩\u200d👧\u200d👦 👩🏽\u200d⚕",
    ),
    "flags": ("🇩🇪🇫🇷 🏳\ufe0f\u200d🌈", "🇩🇪 🇫🇷 🏳\u200d🌈"),
    "flags by tags": (
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    ),
    "keycaps": ("1\ufe0f\u20e32\ufe0f\u20e3 #\u20e3 12", "1\u20e3 2\u20e3 #\u20e3 12"),
    "styles of an emoji": ("❤ ❤\ufe0f ❤\ufe0e", "❤ ❤ ❤"),
    "soft hyphens and marks of direction": ("Zu\u00adsammen \u200fשלום\u200e", "zusammen שלום"),
    "a zero-width space": ("a\u200bb\u3000c\u00a0d\x00e\ufefff", "a b c d ef"),
    "a mark without a letter": ("\u0301 x", "\u0301 x"),
    "nothing visible": (" \t\n\u200b\u00ad\ufeff\u200d\ufe0f\x07", ""),
}


@pytest.mark.parametrize(("text", "expected"), EXAMPLES.values(), ids=EXAMPLES.keys())
def test_examples(text: str, expected: str) -> None:
    assert words2(text) == expected.split()


@given(st.text())
def test_spelling_in_unicode_does_not_matter(text: str) -> None:
    """Composed and decomposed characters are the same, and so is the case that a text is folded to."""
    tokens = words2(text)
    assert words2(unicodedata.normalize("NFD", text)) == tokens
    assert words2(unicodedata.normalize("NFC", text).casefold()) == tokens


@given(st.text(), st.text())
def test_white_space_separates(first: str, second: str) -> None:
    assert words2(f"{first} {second}") == words2(first) + words2(second)


@given(st.text(st.characters(codec="ascii")))
def test_no_visible_character_is_lost(text: str) -> None:
    visible = "".join(character for character in text.lower() if character > " " and character != "\x7f")
    assert "".join(words2(text)) == visible


def test_the_embedded_texts_have_the_same_tokens_as_before() -> None:
    """So the results of specs/sentiment.yaml are those of the tokeniser ``words``."""
    texts, _ = sentences()
    assert [words2(text) for text in texts] == [words(text) for text in texts]
