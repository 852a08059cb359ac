"""What a fleet stands on, looked at before anything of it is started."""

from __future__ import annotations

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from cameras.frames import connect_redis
from detection.backends import find_weights
from detection.detector import DetectorError
from trafficmon.core.kinds import Kind
from trafficmon.core.logging import mask_secrets
from trafficmon.settings.environment import Environment
from workers.fleet import Sizes
from workers.runtime import CannotStartError, check_disk, check_port


def check_surroundings(sizes: Sizes) -> None:
    """Raise CannotStartError unless this host has what these processes need."""
    environment = settings.ENVIRONMENT
    if not environment.redis_url:
        raise CannotStartError("Set REDIS_URL: a fleet shares a Redis that runs by itself.")
    if sizes.count(Kind.WEB):
        check_port(environment.server_host, environment.server_port, setting="ALGO_SERVER_PORT")
    if sizes.count(Kind.FLOWER):
        check_port("127.0.0.1", environment.flower_port, setting="ALGO_FLOWER_PORT")
    if sizes.count(Kind.METRICS):
        check_port(environment.metrics_host, environment.metrics_port, setting="ALGO_METRICS_PORT")
    for folder in (settings.RUN_DIR, settings.MEDIA_ROOT):
        check_disk(folder)
    check_exchangeable(sizes)


def check_exchangeable(sizes: Sizes) -> None:
    """Raise CannotStartError unless these processes could work if those that do now ended."""
    check_services(settings.ENVIRONMENT, detects=bool(sizes.count(Kind.DETECTION)))
    check_migrated()


def check_services(environment: Environment, *, detects: bool = True) -> None:
    """Raise CannotStartError unless the weights, the database and a Redis elsewhere can be used."""
    try:
        if detects:
            find_weights(settings.MODEL_FILE, weights_dir=settings.WEIGHTS_DIR)
        connection.ensure_connection()
        if environment.redis_url:
            connect_redis().ping()
    except DetectorError as error:
        message = f"The detector cannot be loaded: {error}"
    except (DatabaseError, OSError) as error:
        message = f"The database cannot be reached: {error} Correct DATABASE_URL."
    except (redis.RedisError, ValueError) as error:
        message = f"Redis cannot be reached: {error} Correct REDIS_URL."
    else:
        return
    raise CannotStartError(mask_secrets(" ".join(message.split())))


def check_migrated() -> None:
    """Raise CannotStartError where the database has not the tables of this version."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise CannotStartError("The database is of another version: run python manage.py migrate.")
