"""A transport's trouble as the end of a sentence that begins with the feed."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator

from digest.collect.client import httpx
from digest.collect.wire import refused
from digest.means import lacking

# What OpenSSL calls it (X509_V_ERR_…), and what an operator can do something with.
_CERTIFICATES = {
    9: "has a certificate that is not valid yet, or this machine's clock is wrong",
    10: "has a certificate that has expired",
    18: "has a certificate that it signed itself",
    19: "has a certificate whose chain ends in one that is self-signed and not trusted here",
    20: "has a certificate of an issuer that is not trusted here, or sends its chain without the certificates between",
    21: "has a certificate of an issuer that is not trusted here, or sends its chain without the certificates between",
    23: "has a certificate that was revoked",
    66: "has a certificate with a key that is too weak",
    67: "has a certificate of an issuer with a key that is too weak",
    68: "has a certificate with a signature that is too weak",
}
_OTHER_NAME = (62, 64)  # host, address
_TOO_OLD = re.compile(
    r"UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|VERSION_TOO_LOW|DH_KEY_TOO_SMALL|EE_KEY_TOO_SMALL|CA_MD_TOO_WEAK"
    r"|UNSAFE_LEGACY_RENEGOTIATION|NO_PROTOCOLS_AVAILABLE|INAPPROPRIATE_FALLBACK"
)
_NO_TLS = re.compile(r"WRONG_VERSION_NUMBER|HTTP_REQUEST|UNKNOWN_PROTOCOL|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG")
_NO_COMMON = re.compile(r"HANDSHAKE_FAILURE|NO_SHARED_CIPHER|INSUFFICIENT_SECURITY|NO_CIPHERS")


def in_words(error: Exception) -> str:
    """What went wrong; what this machine lacks is raised instead, since it is not the feed's fault."""
    if (lack := lacking(error)) is not None:
        raise lack from error
    said = str(error).strip()
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return _tls(cause)
    match error:
        case httpx.ProxyError():
            return f"cannot be asked through the proxy ({said[:200]})"
        case httpx.ConnectError() if refused(error):
            return "cannot be reached (connection refused)"
        case httpx.ConnectError():
            return "cannot be reached" + (f" ({said})" if said and "All connection attempts" not in said else "")
        case httpx.LocalProtocolError() if "header" in said:  # whose value, which it has in it, may be secret
            return "cannot be asked: a header that is set for it cannot be sent"
        case httpx.RemoteProtocolError():
            return "ends before its announced end" if "complete" in said else f"does not speak HTTP properly ({said})"
        case httpx.ReadError() | httpx.WriteError():
            return "broke the connection"
        case httpx.InvalidURL():
            return f"is no web address ({said})"
        case _:
            return f"cannot be fetched ({said or type(error).__name__})"


def _tls(error: ssl.SSLError) -> str:
    """Trouble with TLS: whose fault it is, and how it is called without OpenSSL's words."""
    said = f"{error.reason or ''} {error}"
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _OTHER_NAME:
            return "has a certificate for another name: " + (error.verify_message or "").rpartition(", ")[2].rstrip(".")
        return _CERTIFICATES.get(error.verify_code) or (
            f"has a certificate that does not verify: {error.verify_message or said.strip()}"
        )
    if _TOO_OLD.search(said):
        return "speaks only a version of TLS that is too old to be safe"
    if _NO_TLS.search(said):
        return "does not speak TLS at this port; its address may be one with http://"
    if _NO_COMMON.search(said):
        return "finds no way of TLS that both sides hold safe"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "ends the connection while TLS begins"
    return f"has trouble with TLS ({(error.reason or str(error)).lower().replace('_', ' ')[:100]})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
