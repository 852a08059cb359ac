"""How long a model, an account or a key rests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assessment.limits import Limits, PoolKey, Wish
from tests.reference_limiter import Cooldown, cooled_down

NOW = 1_764_000_000_000
moments = st.integers(NOW - 300_000, NOW + 300_000)
cooldowns = st.one_of(
    st.just(Cooldown()),
    st.builds(Cooldown, ends_ms=moments, began_ms=moments, streak=st.integers(1, 2000)),
    st.builds(Cooldown, began_ms=moments, streak=st.integers(1, 2000), recovered_ms=moments),
)


@given(before=cooldowns, now=moments, begun=moments, base=st.integers(0, 200_000), jitter=st.floats(0.9, 1.1))
def test_cooldown_is_never_shortened_and_of_ten_seconds_to_two_minutes(
    before: Cooldown, now: int, begun: int, base: int, jitter: float
) -> None:
    after = cooled_down(before, now_ms=now, begun_ms=begun, base_ms=base, jitter=jitter)
    assert after.ends_ms >= before.ends_ms
    assert after.ends_ms == before.ends_ms or 10_000 <= after.ends_ms - now <= 120_000
    assert after.recovered_ms == 0


@given(before=cooldowns, now=moments, begun=moments)
def test_cooldown_counts_only_calls_sent_after_the_last_one_began(before: Cooldown, now: int, begun: int) -> None:
    after = cooled_down(before, now_ms=now, begun_ms=begun, base_ms=10_000)
    is_forgiven = 0 < before.recovered_ms <= now - 60_000
    if before.streak == 0 or is_forgiven:
        assert (after.streak, after.began_ms) == (1, now)
    elif begun > before.began_ms:
        assert (after.streak, after.began_ms) == (before.streak + 1, now)
    else:
        assert (after.streak, after.began_ms) == (before.streak, before.began_ms)


@given(before=cooldowns, now=moments, retry_after=st.integers(0, 3_600_000))
def test_cooldown_is_at_least_as_long_as_the_provider_says(before: Cooldown, now: int, retry_after: int) -> None:
    after = cooled_down(before, now_ms=now, begun_ms=0, base_ms=10_000, retry_after_ms=retry_after)
    assert after.ends_ms >= now + retry_after


def test_cooldown_doubles_from_its_base() -> None:
    cooldown, lasted = Cooldown(), []
    for each in range(4):
        now = NOW + each * 200_000
        cooldown = cooled_down(cooldown, now_ms=now, begun_ms=now - 1, base_ms=25_000)
        lasted.append(cooldown.ends_ms - now)
    assert lasted == [25_000, 50_000, 100_000, 120_000]


def test_wish_allows_the_keys_it_is_pinned_to() -> None:
    keys = [PoolKey("k-1", "a", Limits()), PoolKey("k-2", "a", Limits()), PoolKey("k-3", "b", Limits())]

    def allowed(wish: Wish) -> list[str]:
        return [key.id for key in keys if wish.allows(key)]

    assert allowed(Wish(1)) == ["k-1", "k-2", "k-3"]
    assert allowed(Wish(1, only_account="a")) == ["k-1", "k-2"]
    assert allowed(Wish(1, only_key="k-3")) == ["k-3"]
    assert allowed(Wish(1, only_key="k-3", only_account="a")) == []
