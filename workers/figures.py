"""The state of the fleet as a whole, looked up in Redis and the database when somebody asks for metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import redis
import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from prometheus_client import CollectorRegistry, Metric, generate_latest

from assessment import keys, ledger
from assessment.clients import UnableToAssess
from assessment.key_record import records_of
from assessment.limits import KeyState
from assessment.service_level import LADDER_KEY, read_ladder
from cameras.frames import connect_redis
from cameras.load import current_stretch
from cameras.models import CHECK_CAMERAS, Camera, StreamState
from trafficmon.core import metrics
from trafficmon.core.clock import utc_now
from trafficmon.exports.deliver import backlogs
from workers.broker import BrokerUnreachable
from workers.health import processes_seen
from workers.queues import Queue, waiting_on
from workers.waiting import longest_wait_seconds

log = structlog.get_logger()

_STATUS = {KeyState.DISABLED: 0, KeyState.COOLING: 1, KeyState.IN_USE: 2, KeyState.AVAILABLE: 3}


class FleetCollector:
    """Gives a registry what is true of the fleet at this moment; what cannot be had now is left out, and logged."""

    def collect(self) -> Iterator[Metric]:
        for look in (_queues, _keys, _work, _cameras, _money, _exports):
            yield from _looked_up(look)


def read_fleet() -> bytes:
    """The figures of the whole fleet, as text."""
    registry = CollectorRegistry()
    registry.register(FleetCollector())
    return generate_latest(registry)


def _looked_up(look: Callable[[datetime], list[Metric]]) -> list[Metric]:
    try:
        return look(utc_now())
    except (redis.RedisError, DatabaseError, InterfaceError, UnableToAssess, BrokerUnreachable) as error:
        log.warning("metrics.not_looked_up", what=look.__name__.lstrip("_"), error=str(error))
        return []


def _queues(now: datetime) -> list[Metric]:
    sizes, lags = metrics.task_queue_size.family(), metrics.queue_consumer_lag.family()
    for queue in Queue:
        sizes.add_metric([queue], waiting_on(queue))
        lags.add_metric([queue], longest_wait_seconds(queue, now))
    return [sizes, lags]


def _keys(_now: datetime) -> list[Metric]:
    standings = keys.standings(settings.ENVIRONMENT.llm_model)
    size, status = metrics.api_key_pool_size.family(), metrics.api_key_status.family()
    cooldown, success = metrics.api_key_cooldown.family(), metrics.api_key_success_rate.family()
    size.add_metric([], len(standings))
    records = records_of([each.key_id for each in standings])
    for standing, record in zip(standings, records, strict=True):
        status.add_metric([standing.key_id], _STATUS[standing.state])
        cooldown.add_metric([standing.key_id], standing.until_seconds)
        success.add_metric([standing.key_id], record.success_rate)
    return [size, status, cooldown, success]


def _work(_now: datetime) -> list[Metric]:
    """Whether the work is done by anybody, and how far it is reduced."""
    client = connect_redis()
    seen, level = metrics.worker_seen.family(), metrics.assessment_ladder_level.family()
    stretch = metrics.frame_interval_stretch.family()
    for worker, is_seen in processes_seen(client).items():
        seen.add_metric([worker], is_seen)
    level.add_metric([], read_ladder(client.get(LADDER_KEY)).level.step)
    stretch.add_metric([], current_stretch(client))
    return [seen, level, stretch]


def _cameras(now: datetime) -> list[Metric]:
    info, up, silent = metrics.camera_info.family(), metrics.camera_up.family(), metrics.camera_silent.family()
    wanted = Camera.objects.wanted_running().exclude(name__startswith=f"{CHECK_CAMERAS} ").order_by("pk")
    for pk, name, state, last, since in wanted.values_list("pk", "name", "state", "last_frame_at", "state_since"):
        info.add_metric([str(pk), name], 1)
        up.add_metric([str(pk)], state == StreamState.ONLINE)
        last_sign_at = last or since
        if last_sign_at:
            silent.add_metric([str(pk)], max((now - last_sign_at).total_seconds(), 0.0))
    return [info, up, silent]


def _money(_now: datetime) -> list[Metric]:
    today = ledger.todays_ledger()
    share, spent = metrics.budget_spent.family(), metrics.spent_today.family()
    share.add_metric([], today.budget_share)
    for account, purse in sorted(today.accounts.items()):
        spent.add_metric([account], float(purse.spent))
    return [share, spent]


def _exports(now: datetime) -> list[Metric]:
    waiting, oldest = metrics.export_waiting.family(), metrics.export_oldest.family()
    parked = metrics.export_parked.family()
    for each in backlogs():
        waiting.add_metric([each.sink], each.waiting)
        oldest.add_metric([each.sink], (now - each.since).total_seconds() if each.since else 0.0)
        parked.add_metric([each.sink], each.parked)
    return [waiting, oldest, parked]
