"""What is kept of cameras in English is said in the reader's language."""

from __future__ import annotations

import pytest
from django.utils import translation

from cameras.wording import NO_EVIDENCE, NOT_REACHED, in_words


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ("", ""),
        ("No new picture comes.", "没有新画面。"),
        (NO_EVIDENCE % {"reason": "The stream ended."}, "无证据：码流已结束。"),
        (NOT_REACHED % {"reason": "No route to host", "number": 113}, "无法连接摄像头：No route to host（113）。"),
        ("摄像头已断开。", "摄像头已断开。"),
    ],
)
def test_what_is_kept_is_said_in_the_readers_language(kept: str, said: str) -> None:
    with translation.override("zh-hans"):
        assert in_words(kept) == said
    with translation.override("en"):
        assert in_words(kept) == kept
