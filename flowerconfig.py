"""What `celery -A trafficmon flower` reads where it is started in this folder; its own options go before this."""

from django.conf import settings

_password = settings.ENVIRONMENT.flower_password.get_secret_value()

address = "127.0.0.1"
port = settings.ENVIRONMENT.flower_port
# Of its own accord it would remember a hundred thousand tasks.
max_tasks = 2000
basic_auth = [f"flower:{_password}"] if _password else []
