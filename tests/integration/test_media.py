"""Pictures go to those who may see their camera, and nothing else is served from the media folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.test import Client

from assessment.models import Assessment, Evidence, EvidenceKind
from cameras.frames import FrameStore, connect_redis
from cameras.models import Camera, CameraGroup
from tests.factories import make_camera, record
from trafficmon.accounts.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]
JPEG = b"\xff\xd8picture"


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def client() -> Client:
    user = User.objects.create(username="desk")
    CameraGroup.objects.create(name="Mine").viewers.add(user)
    signed_in = Client()
    signed_in.force_login(user)
    return signed_in


def visible_camera() -> Camera:
    return make_camera(group=CameraGroup.objects.get())


def keep(camera: Camera) -> Evidence:
    evidence = Evidence(assessment=Assessment.objects.get(frame_result=record(camera)), kind=EvidenceKind.CROP)
    evidence.picture.save("crop.jpg", ContentFile(JPEG))
    return evidence


def test_evidence_of_a_visible_camera_is_served_privately(client: Client) -> None:
    answer = client.get(f"/evidence/{keep(visible_camera()).pk}/")
    assert (answer.status_code, answer.content, answer["Content-Type"]) == (200, JPEG, "image/jpeg")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cache-Control"] == "private, max-age=86400, immutable"
    assert "Cookie" in answer["Vary"]


def test_evidence_of_a_hidden_camera_does_not_exist(client: Client) -> None:
    assert client.get(f"/evidence/{keep(make_camera()).pk}/").status_code == 404


def test_evidence_whose_file_is_gone_does_not_exist(client: Client, media: Path) -> None:
    evidence = keep(visible_camera())
    Path(evidence.picture.path).unlink()
    assert client.get(f"/evidence/{evidence.pk}/").status_code == 404


def test_media_folder_itself_is_not_served(client: Client) -> None:
    evidence = keep(visible_camera())
    assert client.get(f"/media/{evidence.picture.name}").status_code == 404


def test_live_frame_is_served_while_it_is_kept(client: Client) -> None:
    row = record(visible_camera())
    FrameStore(connect_redis()).put(row.frame_key, JPEG)
    answer = client.get(f"/frames/{row.frame_key}/")
    assert (answer.status_code, answer.content) == (200, JPEG)
    connect_redis().flushdb()
    assert client.get(f"/frames/{row.frame_key}/").status_code == 404


def test_live_frame_of_a_hidden_camera_does_not_exist(client: Client) -> None:
    row = record(make_camera())
    FrameStore(connect_redis()).put(row.frame_key, JPEG)
    assert client.get(f"/frames/{row.frame_key}/").status_code == 404


def test_evidence_takes_three_queries(client: Client, django_assert_num_queries: Any) -> None:
    evidence = keep(visible_camera())
    with django_assert_num_queries(3):
        client.get(f"/evidence/{evidence.pk}/")
