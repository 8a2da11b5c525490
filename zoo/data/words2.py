"""The tokeniser ``words2``: Unicode text to words, numbers, emoji and signs. Needs no torch.

1. The text is normalised: canonical composition (NFC), full case folding (``Straße`` becomes ``strasse``, ``ΟΔΟΣ`` and
   ``οδος`` become ``οδοσ``), and composition again. Compatibility characters, such as full-width letters, stay.
2. Characters that only steer the display are removed: soft hyphens, marks of direction, word joiners, byte order marks,
   and the two selectors for the emoji and the text style.
3. White space, control characters and the zero-width space separate tokens.
4. A word is a run of letters, digits and underscores, each with its combining marks and joiners. Inside a word stand a
   single apostrophe between two letters or digits, and a single full stop or comma between two digits: ``l'été``,
   ``1,200.50``, ``v1.2``. The typographic apostrophes (U+2018, U+2019, U+02BC, U+FF07) become ``'`` there.
5. A letter of a script that has no spaces between words is a token of its own, with its marks: Chinese characters,
   Japanese kana, Thai, Lao, Khmer and Burmese. Korean words have spaces and stay whole.
6. Every other character is a token of its own, with its marks, skin tones and tags. Signs that a zero-width joiner
   connects are one token, as are the two letters of a flag and the parts of a keycap: every emoji is one token.

The classes of characters are those of Python's ``unicodedata``. Boundaries follow Unicode Standard Annex 29, without
dictionaries, and emoji sequences Unicode Technical Standard 51, section 1.4.9.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["words2"]

_INVISIBLE = re.compile("[\u00ad\u061c\u200e\u200f\u2060-\u2064\u202a-\u202e\u2066-\u2069\ufeff\ufe0e\ufe0f]")
_APOSTROPHES = "'\u2018\u2019\u02bc\uff07"
_PLAIN = str.maketrans(dict.fromkeys(_APOSTROPHES, "'"))
_SINGLE = ("CJK ", "HIRAGANA ", "KATAKANA", "HALFWIDTH KATAKANA", "IDEOGRAPHIC ", "THAI ", "LAO ", "KHMER ", "MYANMAR ")
"""Beginnings of the names of letters that are tokens of their own."""
_KINDS_OF = dict.fromkeys(_APOSTROPHES, "a") | {
    ".": "d", ",": "d", "_": "l", "\u200b": " ", "\u200c": "n", "\u200d": "j", "\u20e3": "k"
}  # fmt: skip
_TOKEN = re.compile(
    r"[0s]k"  # keycap
    r"|[l0](?!k)[mnj]*(?:[l0](?!k)[mnj]*|a(?=[l0])|(?<=0)d(?=0))*"  # word
    r"|rr"  # flag
    r"|c[mnj]*"  # letter of a script without spaces
    r"|[sad][mt]*(?:j[s][mt]*)*"  # sign or emoji
    r"|[^ nj]"
)
"""Tokens in terms of the kinds of characters: c letter of a script without spaces, l other letter, 0 digit, m mark, n
and j zero-width non-joiner and joiner, a apostrophe, d full stop or comma, k keycap, r letter of a flag, t skin tone or
tag, s other sign, blank white space."""


class _Kinds(dict[int, str]):
    """Kind of each character by its code point, computed on first use."""

    def __missing__(self, code: int) -> str:
        kind = self[code] = _kind(chr(code))
        return kind


def _kind(character: str) -> str:
    """Return the letter for a character in `_TOKEN`."""
    if character in _KINDS_OF:
        return _KINDS_OF[character]
    category = unicodedata.category(character)
    if category in ("Cc", "Zs", "Zl", "Zp"):
        return " "
    if category[0] == "M":
        return "m"
    if "\U0001f3fb" <= character <= "\U0001f3ff" or "\U000e0020" <= character <= "\U000e007f":
        return "t"
    if "\U0001f1e6" <= character <= "\U0001f1ff":
        return "r"
    if category[0] == "N":
        return "0"
    if category[0] != "L":
        return "s"
    return "c" if unicodedata.name(character, "").startswith(_SINGLE) else "l"


_KINDS = _Kinds()


def words2(text: str) -> list[str]:
    """Return the tokens of a text by the rule ``words2``: words, numbers, emoji and signs, without case.

    Args:
        text: any text. Without a visible character it has no tokens.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    plain = _INVISIBLE.sub("", folded)
    tokens = [plain[match.start() : match.end()] for match in _TOKEN.finditer(plain.translate(_KINDS))]
    return [token.translate(_PLAIN) if len(token) > 1 else token for token in tokens]
