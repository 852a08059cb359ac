"""What a question will cost, before it is asked: by the provider's published rule for pictures, roughly for words."""

from __future__ import annotations

import simplejpeg

from assessment.clients import Question

ANSWER_TOKENS = 200
"""A usual verdict."""
_CELL_PX = 32
_FEWEST, _MOST = 4, 16_384
_UNKNOWN_PICTURE = 1_000


def estimate_tokens(question: Question) -> int:
    """Tokens in and out, rather too many than too few; what was really used is settled afterwards."""
    pictures = sum(map(_picture_tokens, question.pictures))
    return pictures + _text_tokens(question.system) + _text_tokens(question.text) + ANSWER_TOKENS


def _picture_tokens(picture: bytes) -> int:
    """One for each 32 x 32 pixels, and two (DashScope, "Visual understanding: token calculation")."""
    try:
        height, width, *_rest = simplejpeg.decode_jpeg_header(picture)
    except ValueError:
        return _UNKNOWN_PICTURE
    cells: int = max(1, round(height / _CELL_PX)) * max(1, round(width / _CELL_PX))
    return min(_MOST, max(_FEWEST, cells)) + 2


def _text_tokens(text: str) -> int:
    """Chinese has about a token for each character, everything else about one for three."""
    wide = sum(character > "\u2e80" for character in text)
    return wide + (len(text) - wide) // 3 + 1
