"""The disks as the page of the system tells them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from workers.overview import disks


@pytest.mark.parametrize(("disk_free_mb", "is_low"), [(1, False), (10**9, True)])
def test_disk_of_the_pictures_is_low_where_evidence_is_given_up(
    disk_free_mb: int, is_low: bool, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(settings.ENVIRONMENT, "disk_free_mb", disk_free_mb)
    assert [disk.is_low for disk in disks() if disk.name == "media"] == [is_low]


def test_disk_on_which_nothing_starts_is_low_whatever_is_set(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = settings.RUN_DIR = tmp_path
    monkeypatch.setattr(settings.ENVIRONMENT, "disk_free_mb", 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: shutil._ntuple_diskusage(10**12, 10**12, 499_999_999))
    assert [disk.is_low for disk in disks()] == [True]
