import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('assessment', '0008_openai_compatible'),
        ('cameras', '0004_camera_calibration'),
    ]

    operations = [
        migrations.AddField(
            model_name='assessment',
            name='judged_by',
            field=models.CharField(choices=[('model', 'model'), ('reuse', 'model, a moment before'), ('geometry', 'geometry, no model was asked')], default='model', max_length=16, verbose_name='judged by'),
        ),
        migrations.AddField(
            model_name='assessment',
            name='prior',
            field=models.FloatField(help_text='How dangerous it looked by geometry and motion, 0 to 1.', null=True, verbose_name='prior'),
        ),
        migrations.AddField(
            model_name='assessment',
            name='prior_reason',
            field=models.CharField(blank=True, choices=[('against_lane', 'somebody goes against a lane'), ('on_emergency_lane', 'somebody is on the emergency lane'), ('person_on_lane', 'somebody is on foot in a lane'), ('stopped_in_lane', 'a vehicle has stopped in a lane'), ('near_person', 'a vehicle is close to somebody on foot'), ('near_rider', 'a vehicle is close to somebody on two wheels'), ('near_vehicle', 'vehicles are close to each other'), ('closing', 'two approach each other fast'), ('many', 'there are many vehicles')], max_length=32, verbose_name='because'),
        ),
        migrations.AddField(
            model_name='assessment',
            name='reused_from',
            field=models.ForeignKey(blank=True, db_index=False, help_text='The assessment of a moment before whose verdict this is.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='reused_by', to='assessment.assessment', verbose_name='verdict of'),
        ),
        migrations.AddField(
            model_name='assessment',
            name='sampled_from',
            field=models.CharField(blank=True, choices=[('switched_off', 'assessment is switched off'), ('too_few_road_users', 'fewer than two road users'), ('low_prior', 'it does not look dangerous enough'), ('cooldown', "the camera's cooldown has not passed"), ('duplicate_of_recent', 'it looks as it did when it was judged a moment ago'), ('urgent_only', 'assessment is reduced: only urgent groups are asked about'), ('no_model', 'assessment is reduced: no model is asked')], help_text='Why it would not have been asked about, had it not been drawn to know what the gate misses.', max_length=32, verbose_name='sampled from'),
        ),
        migrations.AddField(
            model_name='frameresult',
            name='skipped_groups',
            field=models.JSONField(default=list, help_text='Group, reason, and how dangerous it looks by geometry.', verbose_name='not asked about'),
        ),
        migrations.AddIndex(
            model_name='assessment',
            index=models.Index(condition=models.Q(('sampled_from', ''), _negated=True), fields=['created_at'], name='assessment_sampled_by_time'),
        ),
        migrations.AddIndex(
            model_name='assessment',
            index=models.Index(condition=models.Q(('reused_from__isnull', False)), fields=['reused_from'], name='assessment_reused_by_original'),
        ),
        migrations.AddConstraint(
            model_name='assessment',
            constraint=models.CheckConstraint(condition=models.Q(('judged_by__in', ['model', 'reuse', 'geometry'])), name='assessment_judge_known'),
        ),
        migrations.AddConstraint(
            model_name='assessment',
            constraint=models.CheckConstraint(condition=models.Q(('sampled_from__in', ['', 'switched_off', 'too_few_road_users', 'low_prior', 'cooldown', 'duplicate_of_recent', 'urgent_only', 'no_model'])), name='assessment_sample_known'),
        ),
        migrations.AddConstraint(
            model_name='assessment',
            constraint=models.CheckConstraint(condition=models.Q(('prior_reason__in', ['', 'against_lane', 'on_emergency_lane', 'person_on_lane', 'stopped_in_lane', 'near_person', 'near_rider', 'near_vehicle', 'closing', 'many'])), name='assessment_prior_known'),
        ),
        migrations.AddConstraint(
            model_name='assessment',
            constraint=models.CheckConstraint(condition=models.Q(('judged_by', 'model'), models.Q(('calls', 0), ('sampled_from', ''), ('status', 'done')), _connector='OR'), name='assessment_without_a_model_is_done'),
        ),
        migrations.AddConstraint(
            model_name='assessment',
            constraint=models.CheckConstraint(condition=models.Q(('judged_by', 'reuse'), ('reused_from__isnull', True), _connector='OR'), name='assessment_reused_is_named'),
        ),
    ]
