"""What people read for classes of objects, in either language."""

from __future__ import annotations

import pytest
from django.utils.translation import override

from cameras.class_words import CLASS_WORDS
from trafficmon.core.objects import ObjectClass
from trafficmon.dashboard.templatetags.desk import class_name


def test_every_class_has_words() -> None:
    assert set(CLASS_WORDS) == set(ObjectClass)


@pytest.mark.parametrize(("language", "words"), [("en", "traffic light"), ("zh-hans", "交通信号灯")])
def test_a_class_is_spelled_in_the_readers_language(language: str, words: str) -> None:
    with override(language):
        assert class_name("traffic_light") == words


def test_a_class_of_another_time_is_shown_as_it_is() -> None:
    assert class_name("tram") == "tram"
