"""Watches road cameras, judges dangerous driving, and tells operators as it happens."""

__version__ = "0.1.0"
