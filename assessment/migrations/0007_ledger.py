from django.db import migrations, models


class Migration(migrations.Migration):
    """NULLS NOT DISTINCT is unknown to SQLite, which then had no constraint at all, and it kept a second camera with
    the same spending from being deleted."""

    dependencies = [("assessment", "0006_assessment_camera")]

    operations = [
        migrations.RemoveConstraint("spending", "one_spending_of_a_day_and_kind"),
        migrations.AddConstraint(
            "spending",
            models.UniqueConstraint(
                fields=("day", "camera", "account", "key", "prompt_version", "model"),
                name="one_spending_of_a_day_and_kind",
            ),
        ),
    ]
