"""How hard a secret is to guess, by a simple estimate."""

import math
import re

WORD = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{3,12}(?![A-Za-z0-9])")
WORD_BITS = 13


def bits(secret: str) -> float:
    """About how many bits a guesser has to find.

    Each character counts as one of as many as the secret has different ones, a word as one of 8,192. What came before
    counts nothing: a word again, three characters again, a step again (aaa, 123, cba)."""
    words = set(WORD.findall(secret))
    rest = WORD.sub("", secret)
    known = [_repeats(rest, end) or _steps(rest, end) for end in range(1, len(rest) + 1)]
    return len(words) * WORD_BITS + known.count(False) * math.log2(len(set(secret)) or 1)


def _repeats(text: str, end: int) -> bool:
    return end > 3 and text[end - 3 : end] in text[: end - 1]


def _steps(text: str, end: int) -> bool:
    if end < 3:
        return False
    a, b, c = map(ord, text[end - 3 : end])
    return b - a == c - b
