"""What is silent is broken off in time, once, and nothing else is."""

from __future__ import annotations

import threading
import time

from structlog.testing import capture_logs

from cameras.sources.watchdog import Watchdog


def watchdog_threads() -> int:
    return sum(thread.name == "watchdog" for thread in threading.enumerate())


def test_watchdog_breaks_off_what_is_silent() -> None:
    broken, began = threading.Event(), time.monotonic()
    watched = Watchdog().watch(0.3, broken.set)
    assert broken.wait(60)
    assert time.monotonic() - began >= 0.3
    assert watched.is_broken


def test_watchdog_goes_on_where_breaking_off_fails() -> None:
    dog, broken = Watchdog(), threading.Event()

    def fail() -> None:
        raise RuntimeError

    with capture_logs() as logs:
        failed = dog.watch(0.1, fail)
        dog.watch(0.8, broken.set)
        assert broken.wait(60)
    assert failed.is_broken
    assert [entry["event"] for entry in logs] == ["watchdog.broke"]


def test_watchdog_leaves_what_is_alive() -> None:
    dog, broken, other = Watchdog(), threading.Event(), threading.Event()
    watched = dog.watch(2.0, broken.set)
    dog.watch(3.0, other.set)
    while not other.wait(0.1):
        watched.alive()
    assert not broken.is_set()
    dog.forget(watched)


def test_watchdog_leaves_what_is_forgotten_and_ends_its_thread() -> None:
    dog, broken = Watchdog(), threading.Event()
    before = watchdog_threads()
    watched = dog.watch(3, broken.set)
    dog.forget(watched)
    dog.forget(watched)
    until = time.monotonic() + 60
    while watchdog_threads() > before:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert not broken.is_set()


def test_watchdog_watches_again_after_a_rest() -> None:
    dog, broken = Watchdog(), threading.Event()
    dog.forget(dog.watch(30, broken.set))
    time.sleep(0.5)
    dog.watch(0.1, broken.set)
    assert broken.wait(60)
