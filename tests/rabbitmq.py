"""RabbitMQ for tests: a virtual host of their own on the server of this machine, where there is one they may use."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from trafficmon.core.ids import new_token

HOST, PORT = "127.0.0.1", 5672


@contextmanager
def own_virtual_host() -> Iterator[str]:
    """The address of an empty one, which is gone afterwards; skips where that cannot be."""
    control = shutil.which("rabbitmqctl") or "/usr/sbin/rabbitmqctl"
    with socket.socket() as probe:
        probe.settimeout(5)
        if probe.connect_ex((HOST, PORT)) or not os.access(control, os.X_OK) or os.geteuid():
            pytest.skip("needs a running RabbitMQ and the right to use rabbitmqctl: apt-get install rabbitmq-server")
    name = f"trafficmon-test-{new_token()[:8]}"
    _tell(control, "add_vhost", name)
    try:
        _tell(control, "set_permissions", "-p", name, "guest", ".*", ".*", ".*")
        yield f"amqp://guest:guest@{HOST}:{PORT}/{name}"
    finally:
        _tell(control, "delete_vhost", name)


def drop_connections(address: str) -> None:
    """End every connection to the virtual host, as a restart of the server would."""
    control = shutil.which("rabbitmqctl") or "/usr/sbin/rabbitmqctl"
    _tell(control, "close_all_connections", "--vhost", address.rpartition("/")[2], "test")


def _tell(control: str, *words: str) -> None:
    """Run it, or skip. It hangs where its standard input is at its end, and leaves epmd with its output open."""
    with tempfile.TemporaryFile() as output:
        command = [control, "-q", "--timeout", "60", *words]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output) as ran:
            failed = ran.wait(300)
        output.seek(0)
        if failed:
            pytest.skip(f"rabbitmqctl {words[0]} failed: {output.read().decode(errors='replace').strip()[-200:]}")
