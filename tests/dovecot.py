"""A Dovecot with a configuration of its own, on loopback and by TLS only: for tests, and for `benchmarks/hear.py`."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

USER, PASSWORD = "back", "a-pass-word"
PROGRAM = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""


def missing() -> str:
    """Why there can be none here, "" where there can."""
    if not PROGRAM:
        return "Dovecot is not installed (apt-get install --no-install-recommends dovecot-imapd)"
    names = {one.pw_name for one in pwd.getpwall()}
    return "" if os.getuid() or {"dovecot", "dovenull"} <= names else "Dovecot has no users of its own here"


def maildir(folder: Path) -> Path:
    """Where the inbox of `running` lies."""
    return folder / f"home/{USER}/Maildir"


@contextlib.contextmanager
def running(folder: Path, *, more: str = "") -> Iterator[str]:
    """The address of a mailbox; the certificate to trust lies in `folder`/ca.pem. `more` goes into the settings.

    What lies in `folder`/home is given to its user. The folder's path must be short, as sockets want it.
    """
    import trustme

    root = os.getuid() == 0
    owner = pwd.getpwnam("nobody") if root else pwd.getpwuid(os.getuid())
    internal, login = ("dovecot", "dovenull") if root else (owner.pw_name, owner.pw_name)
    group = grp.getgrgid(pwd.getpwnam(internal).pw_gid).gr_name
    chroots = "" if root else "service imap-login {\n  chroot =\n}\nservice anvil {\n  chroot =\n}\n"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "cert.pem").write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
    (folder / "home").mkdir(exist_ok=True)
    for one in (folder, folder / "home"):
        one.chmod(0o755)
    subprocess.run(["chown", "-R", f"{owner.pw_uid}:{owner.pw_gid}", folder / "home"], check=True)
    (folder / "dovecot.conf").write_text(f"""base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
default_internal_user = {internal}
default_internal_group = {group}
default_login_user = {login}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{folder}/home/%u/Maildir
passdb {{
  driver = static
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid={owner.pw_uid} gid={owner.pw_gid} home={folder}/home/%u
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
{chroots}{more}""")
    server = subprocess.Popen([PROGRAM, "-F", "-c", folder / "dovecot.conf"], stderr=subprocess.DEVNULL)
    try:
        _wait(port, folder / "log")
        yield f"imaps://{USER}@127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _wait(port: int, log: Path) -> None:
    """Until it listens; with what its log has, where it does not."""
    until = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        said = log.read_text()[-3000:] if log.exists() else "no log"
        assert time.monotonic() < until, f"Dovecot does not listen in a minute: {said}"
        time.sleep(0.05)
