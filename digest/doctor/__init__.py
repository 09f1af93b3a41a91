"""Look at an installation and judge it: findings, the DNS of senders, links, and what a receiver said of a mail.

Asking (`dns`, `links`) is apart from judging (`spf`, `dkim_key`, `dmarc`, `rules`, `results`), which is pure. Checks
that need other rooms are put together at the door, which hands in what they have found.
"""

from digest.doctor.checking import Check as Check
from digest.doctor.checking import run as run
from digest.doctor.findings import Cure as Cure
from digest.doctor.findings import Finding as Finding
from digest.doctor.findings import Level as Level
from digest.doctor.findings import Place as Place
