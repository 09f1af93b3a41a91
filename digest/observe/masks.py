"""What a log must not hold: the secrets of the settings, logins in addresses, and whom a line is about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from pydantic import BaseModel, SecretStr

from digest.config.leaves import leaves
from digest.dataclass import dataclass
from digest.origin import shown

_HIDDEN = "[secret]"
_SOMEBODY = "[address]"
_SHORT = 4  # a secret of fewer characters would stand in every other word
_QUOTED = re.compile(r"""["'][^"'@]{1,64}["']@""")
_WORD = re.compile(r"[^\s<>\"'(),;]+")
_IN_URL = re.compile(r"[^/?&=#]+")
_MARKS = ("@", "%40", "\uff20")


@dataclass(frozen=True)
class Mask:
    """What takes out of text what is not to be logged. With `addresses` those of readers stay."""

    secrets: tuple[str, ...] = ()  # the longest first
    addresses: bool = False

    def __call__(self, words: str) -> str:
        for secret in self.secrets:
            words = words.replace(secret, _HIDDEN)
        words = shown(words)
        if self.addresses or not any(mark in words for mark in _MARKS):
            return words
        return _WORD.sub(_word, _QUOTED.sub(f"{_SOMEBODY}@", words))

    def of(self, value: Any) -> Any:
        """The same of all text in lists and mappings, names included."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {self(str(name)): self.of(one) for name, one in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.of(one) for one in value]
        return value


def _word(found: re.Match[str]) -> str:
    word = found[0]
    if not any(mark in word for mark in _MARKS):
        return word
    scheme, slashes, rest = word.partition("://")
    if not slashes:
        return _SOMEBODY if _is_address(word) else word
    # In a path, "@ada" is what places call somebody: `https://social.example/@ada` is a feed.
    return scheme + slashes + _IN_URL.sub(lambda part: _SOMEBODY if _is_address(part[0]) else part[0], rest)


def _is_address(part: str) -> bool:
    return any(mark in part[1:] for mark in _MARKS)


def secrets_of(settings: BaseModel) -> tuple[str, ...]:
    """Every secret that settings hold, however deep, the longest first: a piece of one may be another."""
    found = {one for value in leaves(settings) for one in _secrets(value) if len(one) >= _SHORT}
    return tuple(sorted(found, key=lambda one: (-len(one), one)))


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
        yield from _login(value.get_secret_value())
    elif isinstance(value, str):
        yield from _login(value)


def _login(url: str) -> Iterator[str]:
    """The password in an address, as it is written there and as it is sent."""
    login = url.partition("://")[2].rpartition("@")[0]
    password = login.partition(":")[2]
    if password:
        yield from {password, unquote(password)}
