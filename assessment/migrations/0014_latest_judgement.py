from django.db import migrations, models


def mend_doubles(apps, schema_editor):
    """Of several judgements of an alert that are each the latest, the last one is."""
    latest = apps.get_model('assessment', 'AlertJudgement').objects.filter(is_latest=True)
    later = latest.filter(
        models.Q(judged_at__gt=models.OuterRef('judged_at'))
        | models.Q(judged_at=models.OuterRef('judged_at'), pk__gt=models.OuterRef('pk')),
        alert=models.OuterRef('alert'),
    )
    latest.filter(models.Exists(later)).update(is_latest=False)


class Migration(migrations.Migration):
    """Code of before that lets two people judge an alert at the same moment fails with one of them, who tries again."""

    dependencies = [
        ('assessment', '0013_indexes'),
    ]

    operations = [
        migrations.RunPython(mend_doubles, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name='alertjudgement',
            constraint=models.UniqueConstraint(condition=models.Q(('is_latest', True)), fields=('alert',), name='one_latest_judgement_per_alert'),
        ),
    ]
