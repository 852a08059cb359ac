FROM python:3.12-slim

# OpenCV and PyAV bring their own codecs; OpenCV's window code still links these.
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 && rm -rf /var/lib/apt/lists/*

WORKDIR /srv/trafficmon
# `detection` instead of `base` adds torch and ultralytics (AGPL-3.0): docs/decisions/0005-licences.md
ARG REQUIREMENTS=base
COPY requirements requirements
RUN pip install --no-cache-dir -r requirements/base.txt -r requirements/${REQUIREMENTS}.txt

COPY . .
RUN useradd --system --create-home trafficmon && mkdir -p /srv/media /srv/weights /srv/metrics var \
    && chown -R trafficmon /srv/media /srv/weights /srv/metrics var
USER trafficmon
