"""What goes wrong on the way to a server and back, by the names that httpx gives it.

WireError
├── TimeoutException: ConnectTimeout, ReadTimeout, WriteTimeout, PoolTimeout
├── NetworkError: ConnectError, ReadError, WriteError
├── ProtocolError: RemoteProtocolError, LocalProtocolError
├── ProxyError
└── InvalidURL
"""

from __future__ import annotations


class WireError(Exception):
    """An exchange with a server that did not come to its end."""


class TimeoutException(WireError):
    pass


class ConnectTimeout(TimeoutException):
    pass


class ReadTimeout(TimeoutException):
    pass


class WriteTimeout(TimeoutException):
    pass


class PoolTimeout(TimeoutException):
    pass


class NetworkError(WireError):
    pass


class ConnectError(NetworkError):
    pass


class ReadError(NetworkError):
    pass


class WriteError(NetworkError):
    pass


class ProtocolError(WireError):
    pass


class RemoteProtocolError(ProtocolError):
    """The server does not keep to the protocol."""


class LocalProtocolError(ProtocolError):
    """We would not."""


class ProxyError(WireError):
    pass


class InvalidURL(WireError):
    pass


def refused(error: BaseException | None) -> bool:
    """Whether an error means that nothing listens there."""
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False
