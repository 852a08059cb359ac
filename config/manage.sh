#!/bin/sh
# A command of manage.py on a host with the systemd units: as their user, with their settings and secrets, closed as they
# are. It may write to /var/lib/trafficmon only. Usage: config/manage.sh COMMAND ...
set -eu
exec sudo systemd-run --quiet --collect --wait --pty --pipe --unit=trafficmon-manage \
  /srv/trafficmon/.venv/bin/python manage.py "$@"
