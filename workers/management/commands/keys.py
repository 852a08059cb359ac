"""The pool of keys: import the key file, see where keys stand, try them, take them out and put them back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from assessment import keys, ledger
from assessment.calling import Caller
from assessment.clients import Question, UnableToAssess
from assessment.key_file import UnusableKeyFile, import_keys
from assessment.key_record import KeyRecord, records_of
from assessment.limits import KeyStanding, Wish
from assessment.models import Account, ApiKey
from trafficmon.accounts import audit
from trafficmon.core.clock import utc_now

TRY_SECONDS = 30.0
QUESTION = 'Answer with the JSON object {"ok": true} and nothing else.'


class Command(BaseCommand):
    """`manage.py keys import|status|verify|disable|enable`"""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="action", required=True)
        importing = commands.add_parser("import", help="take the key file into the database")
        importing.add_argument("path", nargs="?", type=Path, default=settings.ENVIRONMENT.api_keys_path)
        commands.add_parser("status", help="where each key stands now")
        verify = commands.add_parser("verify", help="one cheap call with each key")
        verify.add_argument("key", nargs="*", help="these keys only")
        for action, what in (("disable", "take out of the pool"), ("enable", "put back into the pool")):
            command = commands.add_parser(action, help=what)
            command.add_argument("key", nargs="*", default=[])
            command.add_argument("--account", action="append", default=[])

    def handle(self, *_args: Any, action: str, **options: Any) -> None:
        """Raises CommandError where something is wrong, for `verify` also where a key failed."""
        try:
            getattr(self, f"_{action}")(**options)
        except UnableToAssess as error:
            raise CommandError(str(error)) from None

    def _import(self, *, path: Path, **_options: Any) -> None:
        try:
            count = import_keys(path)
        except UnusableKeyFile as error:
            raise CommandError(str(error)) from None
        audit.record(None, "apikey.import", path=str(path), count=count)
        self.stdout.write(f"{count} keys were imported from {path}.")

    def _status(self, **_options: Any) -> None:
        standings = keys.standings(settings.ENVIRONMENT.llm_model)
        records = records_of([each.key_id for each in standings])
        rows = [_told(each, record) for each, record in zip(standings, records, strict=True)]
        heading = (
            "key",
            "account",
            "state",
            "for",
            "in flight",
            "last second",
            "last minute",
            "tokens",
            "ok",
            "failed",
        )
        self._table((*heading, "reason"), rows)

    def _verify(self, *, key: list[str], **_options: Any) -> None:
        chosen = [each for each in keys.all_keys() if not key or each.slug in key]
        rows = []
        for number, each in enumerate(chosen, 1):
            self.stdout.write(f"{number} of {len(chosen)}: {each.slug} ...")
            rows.append(self._try(each))
        self._table(("key", "account", "secret", "result", "seconds", "what was said"), rows)
        failed = [row[0] for row in rows if row[3] == "failed"]
        if failed or not rows:
            raise CommandError(f"These keys cannot be used: {', '.join(failed)}." if failed else "There are no keys.")

    def _try(self, key: ApiKey) -> tuple[str, ...]:
        named = (key.slug, key.account.slug, keys.masked(key))
        if not keys.is_usable(key):
            return (*named, "not tried", "", key.disabled_reason or key.account.disabled_reason or "switched off")
        question = Question(settings.ENVIRONMENT.llm_model, "You are being tried out.", QUESTION, (), "verify")
        began = time.monotonic()
        caller = Caller(None, keys.limiter(), began + TRY_SECONDS, TRY_SECONDS, Wish(only_key=key.slug))
        try:
            answer = caller.ask(question, tokens=100)
        except UnableToAssess as error:
            refused = caller.refusals or [error]
            return (*named, "failed", f"{time.monotonic() - began:.1f}", f"{refused[0].reason}: {refused[0]}")
        finally:
            ledger.record_calls(caller.made, now=utc_now())
        return (*named, "works", f"{answer.seconds:.1f}", answer.text[:40])

    def _disable(self, *, key: list[str], account: list[str], **_options: Any) -> None:
        now = utc_now()
        changed = [each for each in key if keys.take_out_key(each, "by hand", now=now)]
        changed += [each for each in account if keys.take_out_account(each, "by hand", now=now)]
        self._say_changed("taken out", "apikey.take_out", changed, [*key, *account])

    def _enable(self, *, key: list[str], account: list[str], **_options: Any) -> None:
        changed = [each for each in key if keys.put_back(ApiKey, each)]
        changed += [each for each in account if keys.put_back(Account, each)]
        self._say_changed("put back", "apikey.put_back", changed, [*key, *account])

    def _say_changed(self, what: str, action: str, changed: list[str], meant: list[str]) -> None:
        unchanged = [each for each in meant if each not in changed]
        if changed:
            audit.record(None, action, names=changed)
            self.stdout.write(f"{', '.join(changed)}: {what}.")
        if unchanged or not meant:
            message = f"Nothing was {what}: {', '.join(unchanged) or 'name a key, or --account'}."
            raise CommandError(message)

    def _table(self, heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
        widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
        for row in (heading, *rows):
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _told(each: KeyStanding, record: KeyRecord) -> tuple[str, ...]:
    waits = f"{each.until_seconds:.0f} s" if each.until_seconds else ""
    used = (each.in_flight, each.used_second, each.used_minute, each.tokens_minute, record.succeeded, record.failed)
    return (each.key_id, each.account_id, each.state, waits, *map(str, used), each.reason)
