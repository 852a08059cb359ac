"""Encryption of secrets that are kept in the database (Fernet: AES-128-CBC with HMAC-SHA256)."""

from __future__ import annotations

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken


class UnreadableSecretError(Exception):
    """A stored secret cannot be decrypted: ALGO_FIELD_KEY is not the key it was encrypted with."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def _cipher(key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()))


def encrypt(plain: str, *, key: str) -> str:
    return _cipher(key).encrypt(plain.encode()).decode()


def decrypt(token: str, *, key: str) -> str:
    """The text that `encrypt` was given; raises UnreadableSecretError under another key."""
    try:
        return _cipher(key).decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise UnreadableSecretError from error
