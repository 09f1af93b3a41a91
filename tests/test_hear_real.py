"""Real parts: a Postfix that brings back what it cannot deliver, and a Dovecot that keeps it. On loopback, their own
configuration in a folder of their own, and skipped where they are not installed."""

from __future__ import annotations

import grp
import imaplib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import dovecot
import hearing
import pytest
from conftest import MONDAY, on_sqlite
from mailing import owe, send
from test_hear_reading import ADA, BOB, kept, standing

from digest import hear, line
from digest.errors import ConfigError
from digest.store import suppressions

GONE, THERE = "gone@readers.example", "there@readers.example"
ROOT = Path(__file__).parent.parent


def _program(name: str) -> str:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""


def _user(name: str) -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwnam(name))
    return False


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _until(there: Callable[[], object], what: str, log: Path) -> None:
    """Wait for something that happens in another process, and say what its log has where it does not."""
    until = time.monotonic() + 60
    while not there():
        assert time.monotonic() < until, f"{what} in a minute: {log.read_text()[-3000:] if log.exists() else 'no log'}"
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder whose path is short, as sockets want it, and that other users may look into."""
    folder = Path(tempfile.mkdtemp(prefix="hear", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------- Postfix


@pytest.fixture
def postfix(place: Path) -> Iterator[int]:
    """The port of a Postfix that has a mailbox for bounces+anything@news.example and for one reader."""
    if not _program("postfix") or not _user("postfix"):
        pytest.skip("Postfix is not installed (apt-get install --no-install-recommends postfix)")
    if os.getuid():
        pytest.skip("Postfix is started by root only")
    port, nobody = _port(), pwd.getpwnam("nobody")
    for name in ("etc", "queue", "data", "mail", "here"):
        (place / name).mkdir()
        (place / name).chmod(0o755)  # whatever the umask is
    for name in ("mail", "here"):
        os.chown(place / name, nobody.pw_uid, nobody.pw_gid)
    os.chown(place / "data", pwd.getpwnam("postfix").pw_uid, grp.getgrnam("postfix").gr_gid)
    daemons = subprocess.run(
        [_program("postconf"), "-d", "-h", "daemon_directory"], capture_output=True, text=True, check=True
    ).stdout.strip()
    (place / "etc/main.cf").write_text(f"""compatibility_level = 3.6
myhostname = mx.readers.example
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
queue_directory = {place}/queue
data_directory = {place}/data
daemon_directory = {daemons}
maillog_file = {place}/log
maillog_file_prefixes = {place}
virtual_mailbox_domains = news.example, readers.example
virtual_mailbox_base = {place}/mail
virtual_mailbox_maps = texthash:{place}/etc/mailboxes
virtual_uid_maps = static:{nobody.pw_uid}
virtual_gid_maps = static:{nobody.pw_gid}
recipient_delimiter = +
propagate_unmatched_extensions =
smtpd_reject_unlisted_recipient = no
smtpd_relay_restrictions = permit_mynetworks, reject
transport_maps = texthash:{place}/etc/transport
digest_destination_recipient_limit = 1
""")
    (place / "etc/mailboxes").write_text(f"bounces@news.example bounces/\n{THERE} there/\n")
    (place / "etc/transport").write_text("piped.example digest:\n")
    inner = "bounce defer trace verify error retry discard virtual"
    services = {"cleanup": "cleanup", "rewrite": "trivial-rewrite", "smtp": "smtp", "anvil": "anvil"}
    lines = [f"127.0.0.1:{port} inet n - n - - smtpd", "qmgr unix n - n 300 1 qmgr"]
    lines += ["postlog unix-dgram n - n - 1 postlogd", "proxymap unix - - n - - proxymap"]
    for name in inner.split():
        of = "bounce" if name in ("defer", "trace") else name.replace("retry", "error")
        lines.append(f"{name} unix - n n - {0 if of == 'bounce' else '-'} {of}")
    for name, of in services.items():
        lines.append(f"{name} unix {'n' if name == 'cleanup' else '-'} - n - {0 if name == 'cleanup' else '-'} {of}")
    command = f"{sys.executable} -m digest -c {place}/here/digest.toml mail read --to ${{recipient}} -"
    lines.append(f"digest unix - n n - - pipe flags=DRhu user=nobody directory={place}/here argv={command}")
    (place / "etc/master.cf").write_text("\n".join(lines) + "\n")
    for file in (place / "etc").iterdir():
        file.chmod(0o644)
    start, log, said = [_program("postfix"), "-c", place / "etc", "start"], place / "log", place / "said"
    with said.open("w") as file:  # no pipe: what goes on in the background would keep it open
        began = subprocess.run(start, stdout=file, stderr=file, check=False)
    assert not began.returncode, said.read_text() + (log.read_text() if log.exists() else "")
    try:
        _until(lambda: _listens(port), "Postfix does not listen", log)
        yield port
    finally:
        subprocess.run([_program("postfix"), "-c", place / "etc", "stop"], capture_output=True, check=False)


@pytest.mark.long
@on_sqlite
def test_what_postfix_cannot_deliver_comes_back_is_read_suppresses_and_is_undone(
    database, configure, clock, postfix, place
):
    box = place / "mail/bounces"
    config = configure(
        smtp={"url": f"smtp://127.0.0.1:{postfix}"}, mail={"address": "bounces@news.example", "source": str(box)}
    )
    owe(database, config, GONE, THERE)
    send(database, config, clock)
    _until(lambda: list(box.glob("new/*")), "no report has come back", place / "log")
    _until(lambda: list((place / "mail/there").glob("new/*")), "no letter has arrived", place / "log")

    found = line.listen(database, config, clock=clock)
    assert (found.read, found.acts) == (1, {"suppress": 1})
    (row,) = kept(database)
    assert (row.kind, row.status, row.proof, row.address) == ("hard", "5.1.1", "verp", GONE)
    assert standing(database, GONE) == ("active", suppressions.BOUNCED)
    assert standing(database, THERE) == ("active", "")
    assert len(list(box.glob("cur/*:2,S"))) == 1
    assert line.listen(database, config, clock=clock).read == 0
    assert hear.undo(database, [row.id], how="test", now=clock()) == [row.id]
    assert standing(database, GONE) == ("active", "")


@pytest.mark.long
@on_sqlite
def test_postfix_pipes_a_mail_and_keeps_it_while_it_cannot_be_stored(
    database, configure, clock, postfix, place, upgraded_sqlite
):
    import smtplib

    try:
        subprocess.run([sys.executable, "-c", "import digest"], user="nobody", cwd=place, check=True)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("nobody may not run what is installed here")
    here, nobody = place / "here", pwd.getpwnam("nobody")
    config = configure(mail={"address": "bounces@news.example"})
    owe(database, config, ADA)
    send(database, config, clock)
    raw = hearing.bounce(hearing.sent(config)[ADA], to="digest@piped.example")

    def mail() -> None:
        with smtplib.SMTP("127.0.0.1", postfix) as client:
            client.sendmail("", ["digest@piped.example"], raw)

    log = place / "log"
    mail()  # there are no settings yet
    _until(lambda: "status=deferred" in log.read_text(), "the mail was not put off", log)
    assert "there is no settings file" in log.read_text()
    settings = (
        'secret_key = "a key for tests, long enough"\n[newsletters.daily]\ntitle = "D"\nfrom = "d@news.example"\n'
    )
    (here / "digest.toml").write_text(settings)
    shutil.copy(upgraded_sqlite, here / "digest.db")
    for path in here.iterdir():
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    mail()
    _until(lambda: "status=sent (delivered via digest service)" in log.read_text(), "the mail was not taken", log)


# ---------------------------------------------------------------- Dovecot


@pytest.fixture
def imaps(place: Path) -> Iterator[str]:
    """The address of a mailbox with TLS; the certificate to trust lies in `place`/ca.pem."""
    if why := dovecot.missing():
        pytest.skip(why)
    with dovecot.running(place) as url:
        yield url


@pytest.mark.long
@on_sqlite
def test_dovecot_is_read_by_two_at_once_moved_and_read_anew_when_its_numbers_change(
    database, configure, clock, imaps, place
):
    config = configure(mail={"address": "bounces@news.example"})
    owe(database, config, ADA, BOB)
    send(database, config, clock)
    letters = hearing.sent(config)
    mails = [hearing.bounce(letters[ADA])]
    mails += [hearing.person(f"hello {number}", sender="Eve <eve@example.org>") for number in range(60)]
    url = f"{imaps}/Zurückgekommen"
    login = {"password": dovecot.PASSWORD, "ca_file": str(place / "ca.pem"), "move_to": "Gelesen"}
    config = configure(mail={"address": "bounces@news.example", "source": url, **login})
    by_hand = imaplib.IMAP4_SSL("127.0.0.1", int(imaps.rpartition(":")[2]), ssl_context=_trusting(place))
    by_hand.login("back", dovecot.PASSWORD)
    folder = '"Zur&APw-ckgekommen"'

    def fill(*raws: bytes) -> None:
        by_hand.create(folder)
        for raw in raws:
            by_hand.append(folder, None, None, raw.replace(b"\n", b"\r\n"))

    def listened(_: object = None) -> hear.Readings:
        with closing(line.mailbox(config, url)) as source:
            return hear.read(database, config, source, clock=lambda: MONDAY)

    fill(*mails)
    with closing(line.mailbox(config, url)) as source:
        assert source.look("").startswith("61 mails, 61 of them to read, by TLS; what is understood moves to Gelesen")
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(listened, range(2)))
    assert sum(one.read - one.copies for one in found) == 61
    assert standing(database, ADA) == ("active", suppressions.BOUNCED)
    assert _count(by_hand, folder, "ALL") == 60
    assert _count(by_hand, folder, "SEEN FLAGGED") == 60
    assert _count(by_hand, "Gelesen", "SEEN") in (1, 2)  # two that move it at the same moment may both have a copy
    assert listened().read == 0

    by_hand.delete(folder)
    fill(mails[0], mails[1], hearing.bounce(letters[BOB]))
    anew = listened()
    assert (anew.read, anew.copies, anew.acts) == (3, 2, {"suppress": 1})
    assert len(kept(database)) == 62
    by_hand.logout()
    with pytest.raises(ConfigError, match="is not trusted"):
        line.mailbox(configure(mail={"source": url, "password": dovecot.PASSWORD}), url).look("")
    with pytest.raises(ConfigError, match="refuses the login of back"):
        wrong = configure(mail={"source": url, "password": "another", "ca_file": str(place / "ca.pem")})
        line.mailbox(wrong, url).look("")


@pytest.mark.long
@on_sqlite
def test_a_reader_of_dovecot_that_gets_sigkill_in_the_middle_reads_on_and_counts_once(
    database, configure, clock, imaps, place
):
    config = configure(mail={"address": "bounces@news.example"})
    owe(database, config, ADA, BOB)
    send(database, config, clock)
    letters = hearing.sent(config)
    mails = [hearing.person(f"hello {number}", sender="Eve <eve@example.org>") for number in range(58)]
    mails[52:52] = [hearing.bounce(letters[ADA]), hearing.complaint(letters[BOB])]
    login = {"password": dovecot.PASSWORD, "ca_file": str(place / "ca.pem"), "move_to": "Read"}
    config = configure(mail={"address": "bounces@news.example", "source": imaps, **login})
    by_hand = imaplib.IMAP4_SSL("127.0.0.1", int(imaps.rpartition(":")[2]), ssl_context=_trusting(place))
    by_hand.login("back", dovecot.PASSWORD)
    for raw in mails:
        by_hand.append("INBOX", None, None, raw.replace(b"\n", b"\r\n"))
    for at, stored in (("mail", 50), ("commit", 50), ("mark", 60)):
        hearing.killed(config, imaps, at=at, after=3 if len(kept(database)) else 53)
        assert len(kept(database)) == stored
    with closing(line.mailbox(config, imaps)) as source:
        found = hear.read(database, config, source, clock=lambda: MONDAY)
    assert (found.read, found.copies) == (10, 10)
    assert standing(database, ADA) == ("active", suppressions.BOUNCED)
    assert standing(database, BOB)[0] == "unsubscribed"
    assert len(kept(database, acts=("suppress", "complaint"))) == 2
    assert (_count(by_hand, "INBOX", "SEEN FLAGGED"), _count(by_hand, "Read", "SEEN")) == (58, 2)
    by_hand.logout()


def _trusting(place: Path) -> imaplib.ssl.SSLContext:
    return imaplib.ssl.create_default_context(cafile=place / "ca.pem")


def _count(client: imaplib.IMAP4, folder: str, what: str) -> int:
    client.select(folder, readonly=True)
    _, (found,) = client.search(None, *what.split())
    client.close()
    return len(found.split())
