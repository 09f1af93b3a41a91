"""A name server on loopback that answers from the lines of a zone, over UDP and TCP."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterable

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset


class DnsServer:
    """Lines are as in a zone: `name. IN TYPE what`. `silent` names are not answered, `broken` ones with SERVFAIL."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.silent: set[str] = set()
        self.broken: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        for line in lines:
            self.add(line)

    def add(self, line: str) -> None:
        name, kind, rest = self._parts(line)
        self.records.setdefault((name, kind), []).append(rest)

    def put(self, line: str) -> None:
        """In place of what is there of that name and kind; TXT records are told apart by their first word."""
        name, kind, rest = self._parts(line)
        word = rest.strip('"').split(" ")[0].split(";")[0]
        kept = [
            one for one in self.records.get((name, kind), ()) if kind == "TXT" and not one.strip('"').startswith(word)
        ]
        self.records[name, kind] = [*kept, rest]

    @staticmethod
    def _parts(line: str) -> tuple[str, str, str]:
        name, in_, kind, rest = line.split(" ", 3)
        assert in_ == "IN" and name.endswith("."), line
        return name.lower(), kind, rest

    def __enter__(self) -> DnsServer:
        self._stream = socket.create_server(("127.0.0.1", 0))
        self.port = self._stream.getsockname()[1]
        self._packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._packets.bind(("127.0.0.1", self.port))
        for serve in (self._udp, self._tcp):
            threading.Thread(target=serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._stream.shutdown(socket.SHUT_RDWR)
        self._stream.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _udp(self) -> None:
        with self._packets:
            while True:
                packet, peer = self._packets.recvfrom(4096)
                if not packet:
                    return
                answer = self._answer(packet)
                if answer is not None:
                    self._packets.sendto(answer.to_wire(max_size=65535), peer)

    def _tcp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._stream.accept()
                with connection, connection.makefile("rwb") as both:
                    (length,) = struct.unpack("!H", both.read(2))
                    answer = self._answer(both.read(length))
                    if answer is not None:
                        wire = answer.to_wire(max_size=65535)
                        both.write(struct.pack("!H", len(wire)) + wire)

    def _answer(self, packet: bytes) -> dns.message.Message | None:
        query = dns.message.from_wire(packet)
        question = query.question[0]
        name, kind = str(question.name).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if name in self.silent:
            return None
        answer = dns.message.make_response(query, recursion_available=True)
        if name in self.broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
            return answer
        found = self.records.get((name, kind), [])
        if found:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *found))
        elif not any(at == name or at.endswith(f".{name}") for at, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer
