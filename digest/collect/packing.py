"""Bodies unpacked piece by piece, whatever a server calls its packing; no piece is larger than the bound. Pure.

64 kB of gzip may hold 64 MB, and of Brotli or Zstandard far more: what is taken out at once is bounded here, and how
much in all by who asks.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from typing import Any, Protocol

from digest.errors import FetchError


def _library(name: str) -> Any:
    """A package of the extra `packed`, or None where it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        return None


brotli, zstandard = _library("brotli"), _library("zstandard")

_PLAIN = ("", "identity", "none", "utf-8", "utf8", "binary", "8bit", "7bit", "text", "chunked")
_TEXT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<[?!a-zA-Z]|[{\[]\s*[\"{])")
_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
_BYTES = re.compile(rb"[\x00-\x08\x0e-\x1f\x80-\xff]")
# What has such bytes and is not packed: UTF-16, pictures (JPEG, PNG, GIF, WebP, AVIF, BMP, ICO), PDF.
_KNOWN = re.compile(
    rb"\xff\xfe|\xfe\xff|<\0|\0<|\xff\xd8\xff|\x89PNG|GIF8|RIFF|BM|\0\0[\1\2]\0|%PDF|\0\0\0.ftyp", re.DOTALL
)
_CALLED = {"brotli": "br", "zstandard": "zstd", "zst": "zstd", "gz": "gzip", "zlib": "deflate"}  # by mistake
_SNIFF = 16  # bytes that tell what a body is
_PIECE = 64 * 1024  # unpacked at once, about
_SLICE = 256  # of Zstandard, of which four bytes may be 128 kB
_ZSTD_WINDOW = 8 * 1024 * 1024  # RFC 9659
_LAYERS = 3


def accepted(brotli: Any, zstandard: Any) -> str:
    """What we say that we can unpack (RFC 9110 §12.5.3): what is installed."""
    return ", ".join(["gzip", "deflate", *(["br"] if brotli else []), *(["zstd"] if zstandard else [])])


ACCEPTED = accepted(brotli, zstandard)


class _Damaged(Exception):
    pass


class _Unpacker(Protocol):
    """Takes packed bytes, gives unpacked ones in small pieces."""

    def feed(self, data: bytes) -> Iterator[bytes]: ...

    @property
    def whole(self) -> bool:
        """Whether what came so far could be all."""


class _Zlib:
    """gzip of one member or several, zlib's format, or bare deflate."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._unpack = zlib.decompressobj(window)
        self._rest = b""  # after a member: the next one, or padding
        self._over = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data and not self._over:
            if self._unpack.eof and not (data := self._next_member(data)):
                return
            try:
                piece = self._unpack.decompress(data, _PIECE)
            except zlib.error:
                raise _Damaged from None
            if piece:
                yield piece
            data = self._unpack.unused_data if self._unpack.eof else self._unpack.unconsumed_tail

    def _next_member(self, data: bytes) -> bytes:
        """What to go on with after the end of a member; nothing while two bytes are not there, or it is padding."""
        self._rest += data
        if len(self._rest) < 2:
            return b""
        data, self._rest = self._rest, b""
        if self._window != 31 or data[:2] != _GZIP[:2]:
            self._over = True
            return b""
        self._unpack = zlib.decompressobj(31)
        return data

    @property
    def whole(self) -> bool:
        return self._unpack.eof


class _Brotli:
    def __init__(self) -> None:
        self._unpack = brotli.Decompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            if not self._unpack.is_finished():
                piece = self._unpack.process(data, output_buffer_limit=_PIECE)
                while piece or not self._unpack.can_accept_more_data():
                    yield piece
                    piece = self._unpack.process(b"", output_buffer_limit=_PIECE)
        except brotli.error:
            raise _Damaged from None

    @property
    def whole(self) -> bool:
        return bool(self._unpack.is_finished())


class _Zstandard:
    def __init__(self) -> None:
        self._unpack = self._frame()

    def _frame(self) -> Any:
        return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            for start in range(0, len(data), _SLICE):
                part = data[start : start + _SLICE]
                while part:
                    if self._unpack.eof:
                        self._unpack = self._frame()
                    if piece := self._unpack.decompress(part):
                        yield piece
                    part = self._unpack.unused_data if self._unpack.eof else b""
        except zstandard.ZstdError:
            raise _Damaged from None

    @property
    def whole(self) -> bool:
        return bool(self._unpack.eof)


_KINDS: dict[str, Callable[[bytes], _Unpacker | None]] = {
    "gzip": lambda start: _Zlib(31) if start[:2] == _GZIP[:2] else _Zlib(15) if _is_zlib(start) else None,
    # RFC 9110 §8.4.1.2 means zlib's format, some servers send the bare one.
    "deflate": lambda start: _Zlib(15) if _is_zlib(start) else None if _TEXT.match(start) else _Zlib(-15),
}
if brotli:
    _KINDS["br"] = lambda start: None if _TEXT.match(start) else _Brotli()
if zstandard:
    _KINDS["zstd"] = lambda start: _Zstandard() if start[:4] == _ZSTD else None


def _is_zlib(start: bytes) -> bool:
    """Whether this is how zlib's format begins (RFC 1950 §2.2)."""
    return len(start) > 1 and start[0] & 0x0F == 8 and int.from_bytes(start[:2]) % 31 == 0


class _Layer:
    """One packing of a body. What says that it is packed and is not comes as it is: some hosts do that."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._start: bytes | None = b""
        self._unpacker: _Unpacker | None = None

    def feed(self, data: bytes, *, over: bool = False) -> Iterator[bytes]:
        if self._start is not None:
            self._start += data
            if len(self._start) < _SNIFF and not over:
                return
            data, self._start = self._start, None
            self._unpacker = self._chosen(data)
        if self._unpacker is None:
            if data:
                yield data
        else:
            yield from self._unpacker.feed(data)

    def _chosen(self, start: bytes) -> _Unpacker | None:
        if start[:3] == _GZIP:  # whatever it is called; and also where nobody says that it is packed
            return _Zlib(31)
        if zstandard and start[:4] == _ZSTD:
            return _Zstandard()
        if self._label == "":
            return None
        found = _KINDS[self._label](start)
        # Brotli has no beginning of its own; what is packed, and as nothing else, is that.
        if found is None and brotli and _BYTES.search(start) and not (_TEXT.match(start) or _KNOWN.match(start)):
            return _Brotli()
        return found

    def finish(self) -> Iterator[bytes]:
        yield from self.feed(b"", over=True)
        if self._unpacker is not None and not self._unpacker.whole:
            raise EOFError


async def decompress(chunks: AsyncIterator[bytes], encoding: str, *, url: str) -> AsyncIterator[bytes]:
    """The body unpacked, in small pieces; `encoding` is its Content-Encoding. Raises FetchError."""
    said = [name.strip().strip("\"'").lower().removeprefix("x-") for name in encoding.split(",")]
    labels = [_CALLED.get(name, name) for name in said if name not in _PLAIN]
    stranger = next((name for name in labels if name not in _KINDS), "")
    if len(labels) > _LAYERS:
        raise FetchError(url, f"is packed {len(labels)} times over")
    layers = [_Layer(name) for name in ([] if stranger else reversed(labels))] + [_Layer("")]
    what = labels[-1] if labels else "gzip"
    start = b""
    try:
        async for chunk in chunks:
            if stranger and len(start) < _SNIFF:
                start += chunk
                if not _known(start, stranger, url, over=False):
                    continue
                chunk = start
            for piece in _through(layers, chunk):
                yield piece
        if stranger and len(start) < _SNIFF and _known(start, stranger, url, over=True):
            for piece in _through(layers, start):
                yield piece
        for place, layer in enumerate(layers):
            for part in layer.finish():
                for piece in _through(layers[place + 1 :], part):
                    yield piece
    except _Damaged:
        raise FetchError(url, f"sends damaged {what} data") from None
    except EOFError:
        raise FetchError(url, f"ends in the middle of its {what} data") from None


def _known(start: bytes, label: str, url: str, *, over: bool) -> bool:
    """Whether a body under a label that nobody knows can be told: text is taken as it is. Raises FetchError."""
    if len(start) < _SNIFF and not over:
        return False
    if start[:3] != _GZIP and not _TEXT.match(start):
        raise FetchError(url, f"answers in an encoding that was not asked for ({label[:20]})")
    return True


def _through(layers: list[_Layer], data: bytes) -> Iterator[bytes]:
    if not layers:
        yield data
        return
    for piece in layers[0].feed(data):
        yield from _through(layers[1:], piece)
