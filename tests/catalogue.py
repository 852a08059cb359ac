"""The catalogues of translations: `python -m tests.catalogue` writes them anew from the code, as `make messages` does.

What is found in the code is added without a translation, what is there no more is taken out, and each catalogue is
compiled beside it. The compiled ones are committed, so that a fresh clone speaks its languages without gettext.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import django
import polib
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings

LOCALES = ("zh_Hans",)
"""English is what the code is written in."""
DOMAINS = ("django", "djangojs")
"""The second is of texts that scripts show."""
_NOT_OURS = ("tests", ".venv", "var", "media", "weights", "node_modules", "*/locale")
_HEADER = {
    "Project-Id-Version": "trafficmon",
    "MIME-Version": "1.0",
    "Content-Type": "text/plain; charset=UTF-8",
    "Content-Transfer-Encoding": "8bit",
    "Language": "zh_Hans",
    "Plural-Forms": "nplurals=1; plural=0;",
}


def catalogue_path(locale: str, domain: str) -> Path:
    """Where the catalogue is; the compiled one has the suffix `.mo`."""
    return settings.BASE_DIR / "trafficmon" / "locale" / locale / "LC_MESSAGES" / f"{domain}.po"


def extract(domain: str) -> polib.POFile:
    """Every text of the code, untranslated; needs gettext's xgettext."""
    # A folder called locale would be written to instead.
    ignored = [pattern for each in _NOT_OURS for pattern in (each, f"{each}/*")]
    with tempfile.TemporaryDirectory() as folder, override_settings(LOCALE_PATHS=[folder]):
        options = {"locale": [LOCALES[0]], "domain": domain, "ignore_patterns": ignored, "no_location": True}
        call_command("makemessages", verbosity=0, **options)
        return polib.pofile(str(Path(folder, LOCALES[0], "LC_MESSAGES", f"{domain}.po")))


def read(locale: str, domain: str) -> polib.POFile:
    """The catalogue as it is kept; an empty one where there is none yet."""
    path = catalogue_path(locale, domain)
    kept = polib.pofile(str(path), wrapwidth=0) if path.exists() else polib.POFile(wrapwidth=0)
    kept.metadata = dict(_HEADER)
    kept.header = ""
    return kept


def write(kept: polib.POFile, locale: str, domain: str) -> None:
    """Keep the catalogue, sorted so that two people's additions rarely meet, and compiled."""
    kept.sort(key=lambda entry: (entry.msgid, entry.msgctxt or ""))
    path = catalogue_path(locale, domain)
    path.parent.mkdir(parents=True, exist_ok=True)
    kept.save(str(path))
    path.with_suffix(".mo").write_bytes(kept.to_binary())


def renew(locale: str, domain: str) -> list[polib.POEntry]:
    """Bring a catalogue up to the code; what of it waits for a translation."""
    kept = read(locale, domain)
    kept.merge(extract(domain))
    for gone in kept.obsolete_entries():
        kept.remove(gone)
    for entry in kept:
        # Chinese has one form for every number; xgettext leaves room for two.
        if entry.msgid_plural:
            entry.msgstr_plural = {0: entry.msgstr_plural.get(0, "")}
    write(kept, locale, domain)
    return [*kept.untranslated_entries(), *kept.fuzzy_entries()]


def main() -> None:
    waiting = [(locale, domain, entry) for locale in LOCALES for domain in DOMAINS for entry in renew(locale, domain)]
    for locale, domain, entry in waiting:
        print(f"{locale}/{domain}: to be translated: {entry.msgid!r}")
    print("All texts are translated." if not waiting else f"{len(waiting)} texts wait: write them, then make messages.")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trafficmon.settings")
    django.setup()
    main()
