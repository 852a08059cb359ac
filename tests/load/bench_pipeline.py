"""The whole pipeline under load: `make bench-pipeline ARGS="--cameras 50 --seconds 120 --weights PATH"`.

Draws streets, serves them as cameras over RTSP, starts the real fleet (capture, detection, results, beat, web; no
assessment), watches it through the live feed as a browser does, and prints one JSON line last. At the end all cameras
are asked for more than the machine can do, and what is then detected is compared with ultralytics' own predict loop on
the same weights and streets, before and after. With DATABASE_URL and REDIS_URL those are used; otherwise SQLite and a
Redis of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django

from tests.load.fleet import ROOT, Fleet, prepare_environment, running_fleet
from tests.load.machine import Record
from tests.load.streams import RtspFarm, generate_clips
from tests.load.viewer import Viewer, percentiles

CLIPS = 5
INTERVAL_SECONDS = 1.8
SATURATED_GOP_SECONDS = 0.4
LOOK_SECONDS = 5.0
OPEN_SECONDS, SETTLE_SECONDS = 60.0, 15.0
CONVERGE_SECONDS, SATURATED_SECONDS = 15.0, 40.0
BARE_SECONDS = 15.0
RAMP = (1.2, 1.4, 1.6, 1.8, 2.0, 2.4, 2.8)
"""Of the cameras asked for: so many are tried, until they are not held."""
OFFERED_SHARES = (0.85, 0.95, 1.05, 1.2)
"""Of what the bare loop does is offered by turns to saturate the pipeline: what is too much takes cores from it."""
RAMP_SECONDS = 40.0
HELD_AGE_SECONDS, HELD_SHARE = 1.0, 0.97


@dataclass(frozen=True, slots=True)
class Bench:
    """A running fleet, what watches it, and the cameras' addresses."""

    fleet: Fleet
    viewer: Viewer
    urls: list[str]

    def check(self) -> None:
        """Raise RuntimeError where a process of the fleet, or what watches it, has ended."""
        self.fleet.check()
        self.viewer.check()


def main() -> None:
    options = _parser().parse_args()
    clips = generate_clips(CLIPS, codec=options.codec, gop_seconds=options.gop)
    most = max([options.cameras, *(options.series or ()), *(_ramp(options) if options.ramp else ())])
    with ExitStack() as pool:
        folder = Path(pool.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        dense = [] if options.no_saturation else _dense_clips(options)
        farm = pool.enter_context(RtspFarm(most, clips))
        prepare_environment(folder / "run", options.weights, burst_detections=options.burst_detections, pool=pool)
        bare = [] if options.no_saturation else [bare_loop_fps(options.weights, clips)]
        session_key = _prepare_database()
        print("figures of one run:", json.dumps(vars(options)))
        fleet = pool.enter_context(
            running_fleet(folder / "run", captures=options.captures, detection_threads=options.detection_threads)
        )
        fleet.servers["rtsp_server"] = farm.pids
        viewer = Viewer(fleet.address, session_key)
        viewer.start()
        pool.callback(viewer.stop)
        bench = Bench(fleet, viewer, farm.urls)
        figures = _measure_as_asked(bench, options)
        if not options.no_saturation:
            figures["pipeline_fps"] = _saturate(bench, pool.enter_context(_dense_farm(bare[0], dense)))
        viewer.stop()
        fleet.stop()
        _print_complaints(folder / "run")
        if bare:
            bare.append(bare_loop_fps(options.weights, clips))
            figures |= {"bare_loop_fps": round(statistics.fmean(bare), 2), "bare_loop_runs": bare}
            figures["ratio"] = round(figures["pipeline_fps"] / figures["bare_loop_fps"], 3)
    print(json.dumps(figures))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120.0, help="measured, after everything has settled")
    parser.add_argument("--weights", required=True, help="OpenVINO folder, or any that ultralytics loads")
    parser.add_argument("--codec", choices=("h264", "h265"), default="h264")
    parser.add_argument("--gop", type=float, default=1.0, help="seconds between key frames")
    parser.add_argument("--sampling", choices=("burst", "key_frame"), default="burst")
    parser.add_argument("--burst-detections", type=int, choices=(1, 2, 3), default=1)
    parser.add_argument("--captures", type=int, default=1, help="capture processes")
    parser.add_argument("--detection-threads", type=int, default=2)
    parser.add_argument("--series", type=int, nargs="*", help="also measure these numbers of cameras")
    parser.add_argument("--ramp", action="store_true", help="find the most cameras that are held")
    parser.add_argument("--no-saturation", action="store_true", help="leave out the comparison with the bare loop")
    return parser


def bare_loop_fps(weights: str, clips: list[Path]) -> float:
    """Frames a second of ultralytics' own loop, alone on this machine."""
    command = [sys.executable, "-m", "tests.load.bare_loop", "--weights", weights, "--seconds", str(BARE_SECONDS)]
    ended = subprocess.run([*command, "--clip", *map(str, clips)], cwd=ROOT, check=True, capture_output=True, text=True)
    return float(json.loads(ended.stdout.splitlines()[-1])["fps"])


def _prepare_database() -> str:
    """Tables, and a session of somebody who may see every camera."""
    django.setup()
    from django.core.management import call_command
    from django.test import Client

    from trafficmon.accounts.models import User
    from trafficmon.accounts.roles import Role

    call_command("migrate", verbosity=0)
    User.objects.filter(username="bench").delete()
    client = Client()
    client.force_login(User.objects.create_user("bench", password=None, role=Role.ADMINISTRATOR))
    return str(client.cookies["sessionid"].value)


def _measure_as_asked(bench: Bench, options: argparse.Namespace) -> dict[str, Any]:
    _want(bench, options.cameras, sampling=options.sampling)
    figures = _measure(bench, options.cameras, options.seconds)
    if options.ramp:
        steps = list(_climb(bench, options))
        held = [step["cameras"] for step in steps if step["held"]]
        held += [options.cameras] if _is_held(figures, options.cameras) else []
        figures |= {"ramp": steps, "cameras_held": max(held, default=0)}
    if options.series:
        figures["series"] = [_step(bench, count, options) for count in sorted(options.series)]
    return figures


def _want(bench: Bench, count: int, *, sampling: str, interval: float = INTERVAL_SECONDS) -> None:
    """Let the fleet read the first `count` cameras and no others."""
    from cameras.frames import connect_redis
    from cameras.load import PACE_KEY
    from cameras.models import Camera, Wanted

    known = set(Camera.objects.filter(name__startswith="bench ").values_list("name", flat=True))
    names = [f"bench {number:03}" for number in range(1, count + 1)]
    for name, url in zip(names, bench.urls, strict=False):
        if name not in known:
            Camera.objects.create(name=name, source=url)
    cameras = Camera.objects.filter(name__startswith="bench ")
    cameras.exclude(name__in=names).update(wanted=Wanted.STOPPED)
    cameras.filter(name__in=names).update(wanted=Wanted.RUNNING, sampling=sampling, frame_interval=interval)
    _wait_until_seen(bench, count)
    # What stretched the interval while cameras were opened, or in the step before, takes minutes to wear off.
    connect_redis().delete(PACE_KEY)
    time.sleep(SETTLE_SECONDS)


def _wait_until_seen(bench: Bench, count: int) -> None:
    """Until the browser has seen a fresh picture of so many cameras; raises RuntimeError where it does not."""
    began = time.time()
    until = time.monotonic() + OPEN_SECONDS + count
    while len({sight.camera_id for sight in bench.viewer.since(began)}) < count:
        bench.check()
        if time.monotonic() > until:
            raise RuntimeError("not every camera was seen in time: see the logs")
        time.sleep(0.5)


def _measure(bench: Bench, cameras: int, seconds: float) -> dict[str, Any]:
    """What happens within so many seconds from now."""
    record = Record(bench.fleet.pids)
    before, began, began_at = bench.fleet.figures(), time.monotonic(), time.time()
    record.look(began)
    while (left := began + seconds - time.monotonic()) > 0:
        time.sleep(min(LOOK_SECONDS, left))
        record.look(time.monotonic())
        bench.check()
    took, after = time.monotonic() - began, bench.fleet.figures()
    return _summary(bench, cameras, took, _differences(before, after), record) | {
        "published_seconds": percentiles([sight.age_seconds for sight in bench.viewer.since(began_at)]),
        "seen_per_second": round(len(bench.viewer.since(began_at)) / took, 2),
        "stretch": after.get("frame_interval_stretch", 1.0),
    }


def _summary(bench: Bench, cameras: int, took: float, counted: dict[str, float], record: Record) -> dict[str, Any]:
    memory = record.memory()
    own = {kind: each["rss_mb"] for kind, each in memory.items() if kind != "rtsp_server"}
    dropped = {
        name.partition("{reason=")[2].rstrip("}"): round(value)
        for name, value in counted.items()
        if name.startswith("frames_dropped_total")
    }
    return {
        "bench": "pipeline",
        "cameras": cameras,
        "seconds": round(took, 1),
        "offered_per_second": round(_total(counted, "frames_captured_total") / took, 2),
        "completed_per_second": round(_total(counted, "detection_total") / took, 2),
        "dropped": {reason: count for reason, count in dropped.items() if count},
        "cpu_cores": record.cpu_cores(),
        "memory": memory,
        "rss_mb_per_camera": round(sum(own.values()) / cameras, 1),
        "open_files": record.files(),
    }


def _differences(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: value - before.get(name, 0.0) for name, value in after.items()}


def _total(counted: dict[str, float], name: str) -> float:
    return sum(value for key, value in counted.items() if key.partition("{")[0] == name)


def _step(bench: Bench, count: int, options: argparse.Namespace) -> dict[str, Any]:
    """A short measurement with so many cameras, in one row."""
    _want(bench, count, sampling=options.sampling)
    found = _measure(bench, count, RAMP_SECONDS)
    kept = (
        "cameras",
        "offered_per_second",
        "completed_per_second",
        "dropped",
        "published_seconds",
        "cpu_cores",
        "stretch",
    )
    row = {name: found[name] for name in kept} | {"rss_mb_per_camera": found["rss_mb_per_camera"]}
    row["held"] = _is_held(found, count)
    print(json.dumps(row), flush=True)
    return row


def _is_held(found: dict[str, Any], cameras: int) -> bool:
    """Whether all samples were taken at their own interval, none given up, and 95 of 100 seen within a second."""
    prompt = (found["published_seconds"]["p95"] or 9) < HELD_AGE_SECONDS
    complete = found["completed_per_second"] >= HELD_SHARE * cameras / INTERVAL_SECONDS
    return prompt and complete and not found["dropped"] and found["stretch"] == 1


def _ramp(options: argparse.Namespace) -> list[int]:
    return [round(share * options.cameras) for share in RAMP]


def _climb(bench: Bench, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Ever more cameras, until they are not held."""
    for count in _ramp(options):
        row = _step(bench, count, options)
        yield row
        if not row["held"]:
            return


def _dense_clips(options: argparse.Namespace) -> list[Path]:
    """Streams of key frames so frequent that no sample waits for one."""
    return generate_clips(CLIPS, codec=options.codec, gop_seconds=SATURATED_GOP_SECONDS)


def _dense_farm(bare_fps: float, clips: list[Path]) -> RtspFarm:
    return RtspFarm(_cameras_for(OFFERED_SHARES[-1] * bare_fps), clips)


def _cameras_for(per_second: float) -> int:
    return math.ceil(per_second * SATURATED_GOP_SECONDS)


def _saturate(bench: Bench, farm: RtspFarm) -> float:
    """The most frames detected a second, whatever is offered, when more and more is asked for.

    One picture a sample, as the bare loop decodes nothing either.
    """
    from cameras.models import Camera

    for number, url in enumerate(farm.urls, start=1):
        camera, _is_new = Camera.objects.get_or_create(name=f"bench {number:03}", defaults={"source": url})
        camera.source = url
        camera.save(update_fields=["source"])
    bench.fleet.servers["rtsp_server"] = farm.pids
    return max(_saturated_fps(bench, round(len(farm.urls) * each / OFFERED_SHARES[-1])) for each in OFFERED_SHARES)


def _saturated_fps(bench: Bench, cameras: int) -> float:
    _want(bench, cameras, sampling="key_frame", interval=SATURATED_GOP_SECONDS)
    with _at_own_pace():
        time.sleep(CONVERGE_SECONDS)
        found = _measure(bench, cameras, SATURATED_SECONDS)
    print("saturated:", json.dumps(found), flush=True)
    return float(found["completed_per_second"])


@contextmanager
def _at_own_pace() -> Iterator[None]:
    """Keep the fleet from stretching the interval: what is to be seen is how much is done, not how gently."""
    from cameras.frames import connect_redis
    from cameras.load import PACE_KEY

    over = threading.Event()

    def forget() -> None:
        while not over.wait(0.2):
            connect_redis().delete(PACE_KEY)

    thread = threading.Thread(target=forget, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _print_complaints(folder: Path) -> None:
    """What the fleet logged at warning or above, the first lines of each process."""
    for log in sorted(folder.glob("*.log")):
        lines = [
            line for line in log.read_text(errors="replace").splitlines() if "level=" in line or "Traceback" in line
        ]
        print(f"{log.name}: {len(lines)} lines at warning or above", *lines[:5], sep="\n  ")


if __name__ == "__main__":
    main()
