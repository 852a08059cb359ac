"""Passwords of users in tests, hashed as the product does it but for the time that this is meant to take."""

from __future__ import annotations

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class QuickHasher(PBKDF2PasswordHasher):
    """One round in place of the million that cost half a second of a core; the product reads what it makes."""

    iterations = 1
