"""Patterns of paths that a manifest gives, matched in a time that grows with the length of a path alone.

Whoever wrote a manifest chose its patterns, and regular expressions made of them could take for ever.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from fusion_aug.errors import DataError

MAX_LENGTH = 4096  # of a pattern, as of a path
WORDS = re.compile(r"\*\*|\*|\?|\[[!^]?[^\]]+\]|.", re.DOTALL)
Span = tuple[str, str]  # first and last character


class Token(NamedTuple):
    """What one character of a path has to be.

    Attributes:
        spans: the characters. negated: whether they are what it must not be.
    """

    spans: tuple[Span, ...]
    negated: bool = False

    def accepts(self, char: str) -> bool:
        """Whether a character fits; none but a slash itself stands for a slash."""
        inside = any(low <= char <= high for low, high in self.spans)
        return inside != self.negated and (char != "/" or ("/", "/") in self.spans)


class PathPattern:
    """A pattern of paths: ``*`` and ``?`` end at a slash, ``**`` does not, ``**/`` are any folders, also none.

    Args:
        text: the pattern; ``[abc]``, ``[0-9]`` and ``[!0-9]`` are one character. where: file and field, for messages.

    Raises:
        DataError: it is too long.
    """

    def __init__(self, text: str, where: str = "pattern"):
        if len(text) > MAX_LENGTH:
            raise DataError(f"{where}: a pattern of {len(text)} characters is longer than the {MAX_LENGTH} of a path")
        self.tokens: list[Token] = []
        # bits of how many tokens have been met: of those that may stay so at any character, at any but a slash, and
        # of those that are the start of ``**/``, which goes on after every slash
        self.any, self.in_folder, self.folders = 0, 0, 0
        words = WORDS.findall(re.sub(r"(\*\*/)+", "**/", text))
        for i, word in enumerate(words):
            here = 1 << len(self.tokens)
            if word == "**":
                self.any |= here
                if (i == 0 or words[i - 1] == "/") and words[i + 1 : i + 2] == ["/"]:
                    self.folders |= here
            elif word == "*":
                self.in_folder |= here
            else:
                self.tokens.append(token(word))
        self._met: dict[str, int] = {}

    def matches(self, path: str) -> bool:
        """Whether a path from the root, with slashes, is one of the pattern."""
        state = self._after("/", 1)  # as after the slash of the root
        for char in path:
            stay = state & (self.any if char == "/" else self.any | self.in_folder)
            state = self._after(char, (state & self._accepting(char)) << 1 | stay)
            if not state:
                return False
        return bool(state >> len(self.tokens) & 1)

    def _after(self, char: str, state: int) -> int:
        """The state with what ``**/`` that stands for no further folder leads to."""
        return state | (state & self.folders) << 1 if char == "/" else state

    def _accepting(self, char: str) -> int:
        if char not in self._met:
            self._met[char] = sum(1 << i for i, t in enumerate(self.tokens) if t.accepts(char))
        return self._met[char]


def token(word: str) -> Token:
    """What a word of a pattern, that stands for one character, asks of it."""
    if word == "?":
        return Token((), negated=True)
    if len(word) == 1:
        return Token(((word, word),))
    negated, inner = word[1] in "!^", word[1:-1].lstrip("!^") if word[1] in "!^" else word[1:-1]
    spans = [(m[0], m[-1]) for m in re.findall(r".-.|.", inner, re.DOTALL)]
    return Token(tuple(spans), negated)
