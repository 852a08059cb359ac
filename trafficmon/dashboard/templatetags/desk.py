"""What templates of the operator's desk spell."""

from __future__ import annotations

from collections.abc import Mapping

from django import template
from django.utils.formats import localize

from cameras.class_words import CLASS_WORDS

register = template.Library()


@register.filter
def named(words: Mapping[str, object], code: str) -> object:
    """What a code is called; itself where it has no name."""
    return words.get(code, code)


@register.filter
def class_name(object_class: str) -> str:
    """What a class of objects is called; itself where it has no name."""
    return str(CLASS_WORDS.get(object_class, object_class))


@register.filter
def percent(share: float) -> str:
    """A share of 1 in per cent, never rounded up to all."""
    rounded = round(100 * share, 1)
    return f"{localize(99.9 if rounded == 100 and share < 1 else rounded)} %"
