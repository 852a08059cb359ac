"""A real RTSP server for the tests, run by the system's own Python: GStreamer's bindings come with the system.

Usage: /usr/bin/python3 tests/rtsp_server.py [--port N] [--password P] [--key-every N] [--width W] [--height H]

Serves rtsp://127.0.0.1:PORT/live, a moving ball in H.264 at 25 pictures a second, and prints the port once it listens.
With a password the user is "operator". It ends when its standard input is closed, so that none is left behind.
"""

from __future__ import annotations

import argparse
import sys

import gi  # type: ignore[import-not-found]  # the system's, not ours

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import (  # type: ignore[import-not-found]  # noqa: E402  # the versions are chosen first
    GLib,
    Gst,
    GstRtspServer,
)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--password", default="")
    parser.add_argument("--key-every", type=int, default=25)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=240)
    return parser.parse_args()


def make_factory(arguments: argparse.Namespace) -> GstRtspServer.RTSPMediaFactory:
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        "( videotestsrc is-live=true pattern=ball"
        f" ! video/x-raw,width={arguments.width},height={arguments.height},framerate=25/1"
        " ! x264enc tune=zerolatency sliced-threads=false speed-preset=ultrafast bitrate=500"
        f" key-int-max={arguments.key_every}"
        " ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
    )
    factory.set_shared(True)
    return factory


def require_password(server: GstRtspServer.RTSPServer, factory: GstRtspServer.RTSPMediaFactory, password: str) -> None:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "operator")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic("operator", password), token)
    server.set_auth(auth)
    role = GstRtspServer.RTSPPermissions()
    role.add_permission_for_role("operator", GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS, True)  # noqa: FBT003  # GStreamer takes it so
    role.add_permission_for_role("operator", GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, True)  # noqa: FBT003
    factory.set_permissions(role)


def main() -> None:
    arguments = read_arguments()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(arguments.port))
    factory = make_factory(arguments)
    if arguments.password:
        require_password(server, factory, arguments.password)
    server.get_mount_points().add_factory("/live", factory)
    server.attach(None)
    loop = GLib.MainLoop()
    GLib.io_add_watch(sys.stdin, GLib.PRIORITY_DEFAULT, GLib.IO_HUP | GLib.IO_IN, lambda *_: loop.quit())
    sys.stdout.write(f"{server.get_bound_port()}\n")
    sys.stdout.flush()
    loop.run()


if __name__ == "__main__":
    main()
