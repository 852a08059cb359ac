from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class AddIndex(AddIndexConcurrently):
    """Without a lock where the database can; SQLite has none to wait for."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == 'postgresql':
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        else:
            migrations.AddIndex.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == 'postgresql':
            super().database_backwards(app_label, schema_editor, from_state, to_state)
        else:
            migrations.AddIndex.database_backwards(self, app_label, schema_editor, from_state, to_state)


class RemoveIndex(RemoveIndexConcurrently):
    """As above."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == 'postgresql':
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        else:
            migrations.RemoveIndex.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == 'postgresql':
            super().database_backwards(app_label, schema_editor, from_state, to_state)
        else:
            migrations.RemoveIndex.database_backwards(self, app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('assessment', '0012_hours'),
    ]

    operations = [
        AddIndex(
            model_name='alert',
            index=models.Index(fields=['-opened_at', '-id'], include=('risk_level', 'kind', 'camera'), name='alert_by_time_with_facts'),
        ),
        RemoveIndex(
            model_name='alert',
            name='alert_by_time',
        ),
        AddIndex(
            model_name='deadletter',
            index=models.Index(fields=['-died_at', '-id'], name='dead_letter_by_time'),
        ),
        AddIndex(
            model_name='alertjudgement',
            index=models.Index(condition=models.Q(('is_latest', True)), fields=['opened_at'], include=('camera', 'prompt_version', 'risk_level', 'truth', 'right_level'), name='judgement_latest_by_time'),
        ),
    ]
