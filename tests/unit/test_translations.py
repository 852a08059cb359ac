"""The catalogues: complete, compiled, and of the code as it is."""

from __future__ import annotations

import re
import shutil

import polib
import pytest
from django.utils import translation

from assessment.group_outcomes import why_unanswered
from assessment.models import Assessment
from tests import catalogue

BOTH = pytest.mark.parametrize(
    ("locale", "domain"), [(locale, domain) for locale in catalogue.LOCALES for domain in catalogue.DOMAINS]
)
_PLACEHOLDER = re.compile(r"%\(\w+\)[\d.]*[a-z]|%[sd]")


@BOTH
def test_nothing_waits_for_a_translation(locale: str, domain: str) -> None:
    kept = catalogue.read(locale, domain)
    waiting = [*kept.untranslated_entries(), *kept.fuzzy_entries(), *kept.obsolete_entries()]
    assert [entry.msgid for entry in waiting] == [], "run make messages, translate these, run it again"


@BOTH
def test_compiled_catalogue_is_that_of_its_texts(locale: str, domain: str) -> None:
    compiled = catalogue.catalogue_path(locale, domain).with_suffix(".mo").read_bytes()
    assert compiled == catalogue.read(locale, domain).to_binary(), "run make messages"


@BOTH
def test_translation_fills_in_what_the_text_does(locale: str, domain: str) -> None:
    for entry in catalogue.read(locale, domain):
        for translated in (entry.msgstr, *entry.msgstr_plural.values()):
            if translated:
                asked = _placeholders(entry.msgid_plural or entry.msgid)
                assert _placeholders(translated) == asked, entry.msgid


@pytest.mark.parametrize("reason", ["worker_lost", "picture_gone", "timeout", "overloaded"])
def test_why_a_question_has_no_answer_is_translated(reason: str) -> None:
    unanswered = Assessment(reason=reason)
    english = why_unanswered(unanswered)
    with translation.override("zh-hans"):
        assert why_unanswered(unanswered) not in {english, reason}


@pytest.mark.skipif(not shutil.which("xgettext"), reason="needs gettext: apt-get install gettext")
@BOTH
def test_catalogue_holds_the_texts_of_the_code_and_no_others(locale: str, domain: str) -> None:
    assert _texts(catalogue.read(locale, domain)) == _texts(catalogue.extract(domain)), "run make messages"


def _placeholders(text: str) -> list[str]:
    return sorted(_PLACEHOLDER.findall(text))


def _texts(kept: polib.POFile) -> set[tuple[str, str, str]]:
    return {(entry.msgctxt or "", entry.msgid, entry.msgid_plural) for entry in kept}
