"""Secrets of the demo: made at its first start and kept beside its data, so that a second start can read them."""

from __future__ import annotations

import json
import secrets
from pathlib import Path


def demo_secrets(run_dir: Path) -> dict[str, str]:
    """The demo's signing key, field key and password; the file is readable by its owner alone."""
    path = run_dir / "demo-secrets.json"
    if not path.exists():
        run_dir.mkdir(parents=True, exist_ok=True)
        made = {
            "secret_key": secrets.token_hex(32),
            "field_key": secrets.token_hex(32),
            "operator_password": secrets.token_urlsafe(9),
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(made), encoding="utf-8")
    kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return kept
