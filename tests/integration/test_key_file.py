"""config/api_keys.yaml: what it becomes in the database, and what is said of its mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

from assessment import keys
from assessment.key_file import UnusableKeyFile, import_if_changed, import_keys
from assessment.models import Account, ApiKey, PoolPolicy
from tests.factories import NOON
from trafficmon.core.encryption import encrypt

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
EXAMPLE = Path(__file__).parents[2] / "config" / "api_keys.example.yaml"
TWO = """
strategy: weighted
accounts:
  - {id: acct-a, qps_limit: 50, rpm_limit: 3000, tpm_limit: 5000000}
keys:
  - {id: key-001, account: acct-a, api_key: "${KEY_ONE}", qps_limit: 10, weight: 3}
  - {id: key-002, api_key: sk-written-here, qps_limit: 5, rpm_limit: 100, enabled: false}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "api_keys.yaml"
    path.write_text(text)
    return path


def test_file_becomes_accounts_keys_and_policy(tmp_path: Path) -> None:
    assert import_keys(write(tmp_path, TWO)) == 2
    shared, own = Account.objects.order_by("slug")
    assert (shared.slug, shared.requests_per_second, shared.tokens_per_minute) == ("acct-a", 50, 5_000_000)
    assert (own.slug, own.requests_per_second, own.requests_per_minute) == ("key-002", 5, 100)
    first, second = ApiKey.objects.order_by("slug")
    assert (first.account, first.secret_variable, first.requests_per_second, first.weight) == (shared, "KEY_ONE", 10, 3)
    assert (second.account, second.requests_per_second, second.enabled) == (own, 0, False)
    assert keys.secret_of(second) == "sk-written-here"
    assert "sk-written" not in second.secret_encrypted
    policy = PoolPolicy.objects.get()
    assert (policy.strategy, policy.max_retry_per_key, policy.default_cooldown_seconds) == ("weighted", 3, 60.0)


def test_file_is_imported_when_it_has_changed(tmp_path: Path) -> None:
    path = write(tmp_path, TWO)
    assert import_if_changed(path) == 2
    ApiKey.objects.filter(slug="key-001").update(weight=9)
    assert import_if_changed(path) is None
    assert ApiKey.objects.get(slug="key-001").weight == 9
    assert import_if_changed(write(tmp_path, TWO + "# changed\n")) == 2
    assert ApiKey.objects.get(slug="key-001").weight == 3
    assert import_if_changed(tmp_path / "missing.yaml") is None


def test_only_another_secret_puts_a_key_back_that_was_refused(tmp_path: Path) -> None:
    import_keys(write(tmp_path, TWO))
    for slug in ("key-001", "key-002"):
        keys.take_out_key(slug, "revoked", now=NOON)
    out = ApiKey.objects.filter(disabled_at__isnull=False).order_by("slug").values_list("slug", flat=True)
    import_keys(write(tmp_path, TWO.replace("weight: 3", "weight: 4")))
    assert list(out) == ["key-001", "key-002"]
    import_keys(write(tmp_path, TWO.replace("sk-written-here", "sk-another")))
    assert list(out.all()) == ["key-001"]
    import_keys(write(tmp_path, TWO.replace("KEY_ONE", "KEY_TWO")))
    assert list(out.all()) == []


def test_new_secret_is_refused_no_model(tmp_path: Path) -> None:
    import_keys(write(tmp_path, TWO))
    ApiKey.objects.update(refused_models=["qwen-vl-plus"])
    import_keys(write(tmp_path, TWO.replace("sk-written-here", "sk-another")))
    refused = ApiKey.objects.order_by("slug").values_list("refused_models", flat=True)
    assert list(refused) == [["qwen-vl-plus"], []]


def test_account_with_another_address_keeps_only_the_secrets_that_the_file_gives(tmp_path: Path) -> None:
    import_keys(write(tmp_path, TWO))
    account = Account.objects.get(slug="acct-a")
    ApiKey.objects.create(slug="by-hand", account=account, secret_encrypted=encrypt("sk-x", key=settings.FIELD_KEY))
    import_keys(write(tmp_path, TWO))
    assert keys.secret_of(ApiKey.objects.get(slug="by-hand")) == "sk-x"
    import_keys(write(tmp_path, TWO.replace("id: acct-a,", "id: acct-a, base_url: 'https://elsewhere/api/v1',")))
    assert keys.secret_of(ApiKey.objects.get(slug="by-hand")) == ""
    assert ApiKey.objects.get(slug="key-001").secret_variable == "KEY_ONE"
    assert keys.secret_of(ApiKey.objects.get(slug="key-002")) == "sk-written-here"


def test_example_is_a_usable_file() -> None:
    assert import_keys(EXAMPLE) == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "file: Input should be a valid dictionary"),
        ("keys: []", "keys: List should have at least 1 item"),
        ("keys: [{id: a}]", "keys.0.api_key: Field required"),
        ("keys: [{id: a, api_key: sk-1, wait: 3}]", "keys.0.wait: Extra inputs are not permitted"),
        (
            'keys: [{id: a, api_key: "${DATABASE_URL}"}]',
            "keys.0.api_key: Value error, this variable is a setting of the",
        ),
        ("keys: [{id: a b, api_key: sk-1}]", "keys.0.id: String should match pattern"),
        ("keys: [{id: a, api_key: sk-1, weight: 0}]", "keys.0.weight: Input should be greater than or equal to 1"),
        ("keys: [{id: a, api_key: sk-1, qps_limit: -1}]", "keys.0.qps_limit: Input should be greater than or equal"),
        ("keys: [{id: a, api_key: sk-1, account: b}]", "keys name an account that is not listed: b"),
        ("keys: [{id: a, api_key: sk-1}, {id: a, api_key: sk-2}]", "keys: Value error, more than one has the id a"),
        ("strategy: best\nkeys: [{id: a, api_key: sk-1}]", "strategy: Input should be 'round_robin'"),
        ("default_cooldown: 5\nkeys: [{id: a, api_key: sk-1}]", "default_cooldown: Input should be greater than"),
        ("keys: [", "is not YAML, line 1"),
    ],
)
def test_mistake_is_named_by_its_path_and_repeats_no_secret(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UnusableKeyFile) as refused:
        import_keys(write(tmp_path, text))
    assert complaint in str(refused.value)
    assert "sk-1" not in str(refused.value)
    assert ApiKey.objects.count() == 0
