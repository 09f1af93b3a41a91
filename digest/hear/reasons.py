"""Why a letter was not delivered, and whose trouble that is: from status, code and the words of servers. Pure.

Words go before numbers where they are plain: servers give 5.1.1 for a full mailbox and 5.7.1 for one that is none.
What says that a mailbox does not exist is believed only of words, or of codes, that say just that.
"""

from __future__ import annotations

import re
from functools import lru_cache

from digest.hear.report import Kind, Reason

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
_CODE = re.compile(r"(?<![\d.\w/-])([245][0-7]\d)(?![\d.\w/@]|-\d\d)")
_SPACE = re.compile(r"[\s_]+")

_GONE = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10"})  # RFC 3463 §3.2, RFC 7505; of 1.0 nothing follows

# Small letters, white space as one blank. Ordered by who is heard first.
_FULL = """
folder is full|mailfolder is full|box space not enough|mailbox full|mailbox is full|mail box full|mailbox was full|mailbox quota|over quota|overquota|quota exceed|exceeded quota|quota is full
exceeds quota|exceeded their quota|exceeded his quota|exceeded its quota|exceeded the storage|exceeded storage
storage quota|storage limit|storage space|disk quota|over its disk|out of storage|user is over|exceeded the limit
mailbox size limit|mailbox has exceeded|exceeded mailbox|account is full|inbox is full|inbox full|insufficient space
not enough space|not enough storage|not enough disk|no space left|maildir over|over the maximum allowed
maximum allowed quota|over the allowed quota|out of space|too many messages in|full mailbox|user has too many messages
boîte pleine|boite pleine|postfach ist voll|postfach voll|buzón lleno|buzon lleno|casella piena|caixa cheia
ящик переполнен|メールボックスがいっぱい|receiver's mailbox is full|out of storage space
exceeded the max emails per hour for recipient|exceeds allowed message count|is over the limit
mailbox exceed|message exceeds mailbox|mailbox limit|mail quota|quota limit|limit of his|quota for mailbox
does not have enough space|doesn't have enough space|user's mailbox is at|over the limit of|mailbox for user is full
""".replace("\n", "|")
_SUSPENDED = """
disabled|suspended|inactive|deactivated|de-activated|discontinued|not active|is not activated|account expired
account has expired|temporarily unavailable|is blocked from receiving|account closed|has been closed|mailbox is frozen
account locked|account is locked|mailbox unavailable or access denied|not accepting messages|not accepting mail
not accepting email|is not accepting|currently not accepting|vacation|mailbox currently unavailable|mailbox is inactive
boxtrapper|user is locked|has been restricted|mailbox is currently unavailable|account is currently unavailable
domain has been suspended|被禁用|停止使用
""".replace("\n", "|")
_POLICY = """
recipient preferences|may not have permission|spam|blacklist|black list|blocklist|block list|blocked|block list|dnsbl|rbl|denylist|spamhaus|spamcop|barracuda|sorbs|uribl|surbl
reputation|unsolicited|bulk mail|junk mail|dmarc|dkim|sender policy framework|spf|not authenticated
authentication fail|unauthenticated|not allowed to send|policy|policies|prohibited|security polic|content filter|content reject
message content|content denied|content not|bad content|virus|malware|infected|phish|banned|dangerous|suspicious|malicious
executable|attachment|reverse dns|reverse lookup|rdns|no ptr|ptr record|fcrdns|reverse hostname|cannot find your hostname
find your reverse|greylist|graylist|grey-list|rate limit|rate-limit|too many connections|too many concurrent|too many messages
too many recipients|too many mails|too many errors|too fast|too much mail|throttl|concurrent connections|excessive|access denied
access restricted|relaying denied|relay access denied|relay denied|unable to relay|relaying not|relay not permitted
not permitted to relay|relaying mail|sender denied|sender rejected|sender address rejected|sender verify|sender domain
sender is not allowed|sender not|invalid sender|bad sender|your ip|your mail server|your host|your domain|your network|network not allowed|relay through|smtp authentication|client host
helo|ehlo|ip address|unverifyable sending|dynamic ip|dial-up|dialup|poor|local policy|administrative prohibition|administratively
not rfc|rfc-compliant|rfc compliant|rfc 5322|rfc 2822|rfc5322|rfc 822|rfc822 compliant|non-compliant|bare lf|bare line
missing header|headers are|duplicate header|invalid header|message-id|date header|must have a|starttls|encryption
tls is required|certificate|mail loop|too many hops|hop count|permission to post|moderat|not a member|not subscribed
only accept mail from|delivery restriction|not authorized|not authorised|unauthorized|recipnotreq|recipientnotauthorized
refused by user|whitelist|allowlist|domain filter|filtered|rejected by filter|rejected by recipient|transaction failed
message rejected|message refused|mail rejected|mail refused|rejected your message|message was rejected|connection refused by
connection rejected|service refused|administrative|bounce address tag|batv|spoof|forg|訊息|垃圾
""".replace("\n", "|")
_SIZE = """
too large|too big|message size exceeds|size limit|exceeds size|exceeds fixed|exceeds maximum|exceeds the maximum size
maximum message size|max message size|message length exceeds|size exceed|message is larger|larger than the
""".replace("\n", "|")
_NO_MAILBOX = """
user unknown|unknown user|no such user|user not found|no such mailbox|mailbox not found|unknown mailbox|mailbox unknown
unknown recipient|recipient unknown|recipient not found|recipient notfound|recipientnotfound|no such recipient
unknown address|address unknown|no such address|address not found|address does not exist|address doesn't exist
user does not exist|user doesn't exist|mailbox does not exist|mailbox doesn't exist|account does not exist
account doesn't exist|account that you tried to reach does not exist|recipient does not exist
recipient doesn't exist|email address does not exist|address couldn't be found|address wasn't found|wasn't found at
could not be found or|was not found in|not found in directory|not listed in|not a known user|not a valid user|no valid recipients|invalid recipient
invalid user|invalid mailbox|invalid address|bad destination mailbox|bad mailbox|bad address|bad recipient|undeliverable address
no mailbox here|no mailbox by|no mailbox found|no mail box|no account by|no account with|doesn't have a|does not have an account|does not have a
no such person|no such account|unknown account|unknown local|unknown or illegal|unknown or invalid|unrouteable user
not our customer|is not a user|user is unknown|user account is|not a local|does not like recipient|no user|user invalid
badrecipient|is unknown|are unknown|recipient address rejected: undeliverable|no local mailbox|isn't a|no existe
ungültige empfänger|unbekannter empfänger|empfänger unbekannt|destinataire inconnu|utilisateur inconnu|usuario desconocido
utente sconosciuto|destinatario sconosciuto|usuário desconhecido|нет такого пользователя|не существует|存在しません
宛先不明|見つかりません|邮箱不存在|用户不存在|用戶不存在|收件人不存在|recipient address was not found|mail address not found|no longer available at
has been terminated|user has moved|no longer works|no longer employed|left the company|address has been changed
ユーザは存在|user terminated|account has been deleted|user not known|not known at|name & address book
user  not listed|user not listed|can't find user|cannot find user|could not find user|addressee unknown|resolver.adr.recipnotfound
account not found|email address lookup|lookup failed|does not exist|doesn't exist|unknown in virtual|in local recipient table|in relay recipient table
in virtual mailbox table|in virtual alias table|unresolvable address|delivery to the following recipient failed permanently: no
unable to find user|user_unknown|mailbox_unknown|userunknown
""".replace("\n", "|")
_NO_DOMAIN = """
host unknown|unknown host|host not found|domain not found|no such domain|unknown domain|domain unknown|no such host
domain does not exist|domain doesn't exist|domain name not found|unrouteable mail domain|unrouteable address
unroutable|illegal host|bad destination system|bad destination host|invalid domain|nullmx|null mx|does not accept mail
couldn't find any host named|cannot find any host|name or service not known|nxdomain|host lookup failed
name service error|no dns records|no mx|mx or a record|could not be resolved|cannot be resolved|unable to resolve
domain couldn't be found|domain could not be found|domain wasn't found|no route to the domain|destination domain
name server: host not found|no a, aaaa|host or domain name|did not resolve|dns error|not-existent domain
""".replace("\n", "|")
_EXPIRED = """
expired|not delivered within|attempts|timed out|timeout|time out|retry time|too long|been in the queue|delivery time|not yet been delivered|could not be delivered for
could not be contacted|no route to host|connection refused|network is unreachable|connection reset|lost connection|not reachable
will be retried|conversation with|connect to|unreachable|could not connect|unable to connect|delayed|retries
""".replace("\n", "|")
_SERVER = """
internal error|system error|local configuration|configuration error|i/o error|input/output error|service unavailable
service not available|mailer error|command died|can't create|cannot create|unable to create|out of memory|local problem
insufficient system|system resources|system not accepting|server error|temporary|temporarily|try again|unknown mailer
""".replace("\n", "|")
_MOVED = "user has moved|has moved to|no longer works here|mailbox has moved|address has changed|has moved;"


_LATE = ("end of data", "after data", "in reply to data", ">>> data")


@lru_cache(maxsize=16)
def _compiled(words: str) -> tuple[str, ...]:
    return tuple(word for word in words.split("|") if word)


def _says(text: str, words: str) -> bool:
    return any(word in text for word in _compiled(words))


def status_in(text: str) -> str:
    """The enhanced status code in a server's words that says most, or ""."""
    found = [match.group() for match in _STATUS.finditer(text[:5000]) if match[1] != "2"]
    subjects = [one for one in found if not one.endswith(".0.0")]
    telling = [one for one in subjects if not one.endswith(".0")]
    return (telling or subjects or found or [""])[0]


def code_in(text: str) -> int:
    """The first SMTP code in a server's words that tells a failure, or 0."""
    return next((int(match[1]) for match in _CODE.finditer(text[:5000]) if match[1][0] in "45"), 0)


def judge(words: str, *, status: str = "", code: int = 0, action: str = "") -> tuple[Kind, Reason]:
    """What became of one recipient. `status` and `code` are what the report says, else what stands in the words."""
    action = action.lower()
    if action.startswith(("delivered", "relayed", "expanded", "deliverable")):
        return Kind.DELIVERED, Reason.NONE
    text = _SPACE.sub(" ", words[:5000].lower())
    reason = _reason(text, status, code)
    if action.startswith("delay"):
        return Kind.DELAYED, reason
    return _kind(reason, status, code, action, told=bool(code or text.strip())), reason


def _kind(reason: Reason, status: str, code: int, action: str, *, told: bool) -> Kind:
    if reason in (Reason.NO_MAILBOX, Reason.NO_DOMAIN, Reason.MOVED):
        # "Not now" is not "never": a domain whose name servers are down comes back.
        return Kind.SOFT if status.startswith("4") or (not status and 400 <= code < 500) else Kind.HARD
    if reason is Reason.UNSAID:
        # For good, and nobody says why: permanent, but nobody is barred for it at once (see `policy`).
        return Kind.HARD if action.startswith("fail") and status[:1] != "4" and not told else Kind.SOFT
    return Kind.POLICY if reason in (Reason.POLICY, Reason.SIZE) else Kind.SOFT


def _reason(text: str, status: str, code: int) -> Reason:
    kind = status.partition(".")[2]
    subject = kind.partition(".")[0]
    temporary = status.startswith("4") or (not status and 400 <= code < 500)
    if _says(text, _FULL):
        return Reason.FULL
    if "my name was rejected" in text:  # what we said in HELO, whatever follows
        return Reason.POLICY
    if _says(text, _MOVED):
        return Reason.MOVED
    gone = _says(text, _NO_MAILBOX)
    # What was taken at RCPT and called unknown after the letter was read is a filter that hides.
    if gone and kind not in _GONE and "doesn't have a" not in text and any(word in text for word in _LATE):
        return Reason.FILTERED
    if kind in _GONE and not temporary and (gone or not _says(text, _POLICY)):
        return Reason.NO_DOMAIN if kind in ("1.2", "1.10") and not gone else Reason.NO_MAILBOX
    if subject == "7" or kind in ("1.7", "1.8"):
        return Reason.POLICY
    if kind == "2.2":
        return Reason.FULL
    if kind == "4.4" and not temporary:
        return Reason.NO_DOMAIN
    if kind == "2.3" or kind == "3.4" or _says(text, _SIZE):
        return Reason.SIZE
    if gone:
        return Reason.NO_MAILBOX
    if _says(text, _NO_DOMAIN):
        return Reason.NO_DOMAIN
    if _says(text, _POLICY) or subject == "6":
        return Reason.POLICY
    if kind == "2.1" or _says(text, _SUSPENDED):
        return Reason.SUSPENDED
    if subject in ("4",) or _says(text, _EXPIRED):
        return Reason.EXPIRED
    if subject == "3" or _says(text, _SERVER):
        return Reason.SERVER
    return Reason.UNSAID
