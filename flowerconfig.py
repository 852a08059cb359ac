"""What `celery -A trafficmon flower` reads where it is started in this folder; its own options go before this."""

import sys

from django.conf import settings

_password = settings.ENVIRONMENT.flower_password.get_secret_value()
if not _password:
    sys.exit(
        "Flower shows everything to whoever reaches it: set ALGO_FLOWER_PASSWORD to a password for its user `flower`."
    )

address = "127.0.0.1"
port = settings.ENVIRONMENT.flower_port
# Of its own accord it would remember a hundred thousand tasks.
max_tasks = 2000
basic_auth = [f"flower:{_password}"]
