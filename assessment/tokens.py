"""What a question will cost, before it is asked: by the provider's published rule for pictures, roughly for words."""

from __future__ import annotations

from itertools import starmap

from assessment.clients import Question
from assessment.evidence import Pictures
from assessment.prompt import MAX_GROUPS, MAX_OBJECTS
from assessment.showing import sizes_shown
from detection.detect import PictureUnreadableError, read_size
from detection.detections import DetectedFrame

ANSWER_TOKENS = 200
"""A usual verdict."""
_CELL_PX = 32
_FEWEST, _MOST = 4, 16_384
_UNKNOWN_PICTURE = 1_000
_PROMPT_TOKENS, _TOLD_TOKENS = 1_400, 30
"""Of the words around the scene, and of an object or a group in it."""


def estimate_tokens(question: Question) -> int:
    """Tokens in and out, rather too many than too few; what was really used is settled afterwards."""
    pictures = sum(map(_picture_tokens, question.pictures))
    return pictures + _text_tokens(question.system) + _text_tokens(question.text) + ANSWER_TOKENS


def expect_tokens(frame: DetectedFrame, pictures: Pictures) -> int:
    """The same before the question is made."""
    try:
        shown = sum(starmap(_tokens_of_size, sizes_shown(frame, pictures)))
    except PictureUnreadableError:
        shown = _UNKNOWN_PICTURE
    told = len(frame.detections[:MAX_OBJECTS]) + len(frame.groups[:MAX_GROUPS])
    return shown + _PROMPT_TOKENS + told * _TOLD_TOKENS + ANSWER_TOKENS


def _picture_tokens(picture: bytes) -> int:
    try:
        return _tokens_of_size(*read_size(picture))
    except PictureUnreadableError:
        return _UNKNOWN_PICTURE


def _tokens_of_size(width: int, height: int) -> int:
    """One for each 32 x 32 pixels, and two (DashScope, "Visual understanding: token calculation")."""
    cells: int = max(1, round(height / _CELL_PX)) * max(1, round(width / _CELL_PX))
    return min(_MOST, max(_FEWEST, cells)) + 2


def _text_tokens(text: str) -> int:
    """Chinese has about a token for each character, everything else about one for three."""
    wide = 0 if text.isascii() else sum(character > "\u2e80" for character in text)
    return wide + (len(text) - wide) // 3 + 1
