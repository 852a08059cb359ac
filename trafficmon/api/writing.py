"""What is wrong with what programs want written, in one sentence for each field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.core.exceptions import NON_FIELD_ERRORS
from pydantic.alias_generators import to_camel


def mistakes_of(errors: Mapping[str, Iterable[object]]) -> str:
    """As `field: what is wrong; field: ...`, the fields spelled as in the body."""
    told = []
    for field, messages in errors.items():
        start = "" if field in {NON_FIELD_ERRORS, ""} else f"{to_camel(field)}: "
        told.append(start + " ".join(map(str, messages)))
    return "; ".join(told)
