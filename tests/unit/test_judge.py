"""From the model's words to a verdict, with a model that says what the test wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from assessment.clients import Answer, Question, RateLimited, UnreadableAnswer
from assessment.evidence import Pictures
from assessment.judge import judge
from assessment.risk import RiskLevel
from cameras.sources import encode_jpeg
from tests.factories import make_frame

PICTURES = Pictures(encode_jpeg(np.full((720, 1280, 3), 90, np.uint8)), (1280, 720))
IN_FORM = '{"results": [{"groupIndex": 0, "type": "congestion", "riskLevel": "low", "confidence": 0.5}]}'
PROSE = "Dense traffic <scene>, so I would call it low."
ANSWER = Answer("", "qwen", input_tokens=900, output_tokens=40, request_id="r", seconds=1.5)


def model_that_says(*words: str) -> tuple[Callable[[Question], Answer], list[Question]]:
    asked: list[Question] = []

    def ask(question: Question) -> Answer:
        asked.append(question)
        said = words[len(asked) - 1]
        if said == "too many requests":
            raise RateLimited(said)
        return replace(ANSWER, text=said)

    return ask, asked


def test_answer_in_form_is_not_asked_about_again() -> None:
    ask, asked = model_that_says(IN_FORM)
    judgement = judge(make_frame(7), 0, PICTURES, ask=ask)
    assert (judgement.verdict.level, judgement.answer.input_tokens, len(asked)) == (RiskLevel.LOW, 900, 1)


def test_answer_out_of_form_is_put_into_it_once_without_its_pictures() -> None:
    ask, asked = model_that_says(PROSE, IN_FORM)
    judgement = judge(make_frame(7), 0, PICTURES, ask=ask)
    first, repair = asked
    assert (judgement.verdict.level, judgement.answer.text) == (RiskLevel.LOW, IN_FORM)
    assert (judgement.answer.input_tokens, judgement.answer.output_tokens, judgement.answer.seconds) == (1800, 80, 3.0)
    assert (repair.model, repair.prompt_version, repair.pictures) == (first.model, first.prompt_version, ())
    assert "Dense traffic \\u003cscene>" in repair.text


@pytest.mark.parametrize("again", [PROSE, '{"results": []}', "too many requests"])
def test_answer_that_cannot_be_repaired_stays_unreadable(again: str) -> None:
    ask, asked = model_that_says(PROSE, again)
    with pytest.raises(UnreadableAnswer):
        judge(make_frame(7), 0, PICTURES, ask=ask)
    assert len(asked) == 2
