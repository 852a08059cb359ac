# Two images of one service. `light` runs every process, and detects on a CPU through OpenVINO; `detection` adds torch and
# ultralytics (AGPL-3.0: docs/decisions/0005-licences.md) for GPUs and for .pt weights.
FROM python:3.12.12-slim-trixie AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/opt/venv/bin:$PATH
# OpenCV and PyAV bring their own codecs; OpenCV's window code still links these. The client is for `manage.py backup`, and
# no older than the compose file's server. Debian keeps no older versions to pin.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0t64 postgresql-client-17 \
    && rm -rf /var/lib/apt/lists/*

FROM base AS installed
WORKDIR /srv/trafficmon
COPY requirements/base.txt requirements/export.txt requirements/tracing.txt requirements/
RUN python -m venv /opt/venv \
    && pip install --no-cache-dir -r requirements/base.txt -r requirements/export.txt -r requirements/tracing.txt

FROM installed AS installed-detection
COPY requirements/detection.txt requirements/
RUN pip install --no-cache-dir -r requirements/detection.txt

FROM base AS service
RUN useradd --system --uid 10001 --create-home trafficmon \
    && install -d -o trafficmon -g trafficmon /srv/media /srv/weights /srv/metrics /run/trafficmon
WORKDIR /srv/trafficmon
ENV ALGO_RUN_DIR=/run/trafficmon ALGO_MEDIA_ROOT=/srv/media ALGO_WEIGHTS_DIR=/srv/weights \
    PROMETHEUS_MULTIPROC_DIR=/srv/metrics
COPY . .

FROM service AS detection
COPY --from=installed-detection /opt/venv /opt/venv
USER 10001
CMD ["celery", "-A", "trafficmon", "worker", "--queues", "detect", "--hostname", "detection@%h", "--pool", "threads", "--concurrency", "16"]

FROM service AS light
COPY --from=installed /opt/venv /opt/venv
USER 10001
CMD ["daphne", "-b", "0.0.0.0", "-p", "5000", "trafficmon.asgi:application"]
