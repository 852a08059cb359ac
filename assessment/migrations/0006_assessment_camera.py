from django.db import migrations, models
from django.db.models import OuterRef, Q, Subquery


def name_cameras(apps, _editor):
    assessments = apps.get_model("assessment", "Assessment").objects
    frames = apps.get_model("assessment", "FrameResult").objects
    frame = frames.filter(pk=OuterRef("frame_result_id"))
    assessments.update(camera_id=Subquery(frame.values("camera_id")[:1]))


def camera(**options):
    return models.ForeignKey(
        help_text="That of the frame: turns and reuse look for it.",
        on_delete=models.CASCADE,
        related_name="assessments",
        to="cameras.camera",
        verbose_name="camera",
        **options,
    )


class Migration(migrations.Migration):

    dependencies = [("assessment", "0005_key_pool"), ("cameras", "0004_camera_calibration")]

    operations = [
        migrations.AddField("assessment", "camera", camera(null=True)),
        migrations.RunPython(name_cameras, migrations.RunPython.noop),
        migrations.AlterField("assessment", "camera", camera()),
        migrations.AddIndex(
            "assessment",
            models.Index(
                condition=Q(status="pending"), fields=["camera", "turn_at"], name="assessment_turns_of_camera"
            ),
        ),
        migrations.AddIndex(
            "assessment", models.Index(condition=Q(status="pending"), fields=["turn_at"], name="assessment_by_turn")
        ),
        migrations.AddIndex(
            "assessment", models.Index(fields=["camera", "-created_at"], name="assessment_by_camera_and_time")
        ),
    ]
