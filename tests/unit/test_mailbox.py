"""What waits for a client: newest pictures only, every verdict, and never too much."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trafficmon.live.mailbox import Mailbox, TooSlowError

LETTERS = st.lists(st.tuples(st.integers(0, 3) | st.none(), st.integers()), max_size=60)


async def empty(mailbox: Mailbox[tuple[int | None, int]]) -> list[tuple[int | None, int]]:
    return [await mailbox.take() for _ in range(len(mailbox))]


@given(LETTERS)
def test_every_queued_letter_arrives_in_order_and_of_each_key_only_the_newest(
    letters: list[tuple[int | None, int]],
) -> None:
    mailbox: Mailbox[tuple[int | None, int]] = Mailbox()
    for key, number in letters:
        if key is None:
            mailbox.append((key, number))
        else:
            mailbox.replace(key, (key, number))
    queued = [letter for letter in letters if letter[0] is None]
    newest = {key: (key, number) for key, number in letters if key is not None}
    assert asyncio.run(empty(mailbox)) == [*queued, *newest.values()]


def test_client_too_far_behind_is_told_rather_than_kept_waiting() -> None:
    mailbox: Mailbox[int] = Mailbox(longest_queue=2)
    mailbox.append(1)
    mailbox.append(2)
    with pytest.raises(TooSlowError):
        mailbox.append(3)


def test_dropped_key_is_not_delivered() -> None:
    mailbox: Mailbox[str] = Mailbox()
    mailbox.replace("a", "first")
    mailbox.replace("b", "second")
    mailbox.drop("a")
    assert asyncio.run(mailbox.take()) == "second"


def test_letter_that_overtakes_an_older_one_about_the_same_leaves_that_out() -> None:
    mailbox: Mailbox[str] = Mailbox()
    mailbox.replace("alert", "opened, told again")
    mailbox.replace("other", "told again")
    mailbox.append("closed", outdates="alert")
    assert [asyncio.run(mailbox.take()) for _ in range(len(mailbox))] == ["closed", "told again"]


async def test_taker_wakes_when_a_letter_comes() -> None:
    mailbox: Mailbox[str] = Mailbox()
    taker = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)
    mailbox.replace("a", "late")
    assert await asyncio.wait_for(taker, 30) == "late"
