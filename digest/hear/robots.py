"""Who wrote this: a robot for its master, a robot that asks us something, a mail server, or a person? Pure."""

from __future__ import annotations

import re

from digest.hear.mime import Mail

_SPACE = re.compile(r"\s+")

# How subjects of automatic answers begin, or what stands in them; small letters.
_AWAY_SUBJECT = (
    "out of office", "out-of-office", "out of the office", "auto reply", "autoreply", "auto-reply", "automatic reply",
    "automatic response", "auto response", "auto-response", "autoresponse", "automated reply", "automated response",
    "vacation", "on holiday", "away from my mail", "i am away", "auto:", "away:", "ooo:", "abwesen", "automatische antwort",
    "absence du bureau", "réponse automatique", "reponse automatique", "absent du bureau", "message d'absence",
    "respuesta automática", "respuesta automatica", "fuera de la oficina", "risposta automatica", "fuori ufficio",
    "assente", "resposta automática", "resposta automatica", "fora do escritório", "ausência", "automatisch antwoord",
    "afwezig", "autosvar", "frånvaro", "fravær", "poissa", "automatická odpověď", "odpowiedź automatyczna", "автоответ",
    "автоматический ответ", "нет на месте", "自動応答", "自動返信", "不在", "自动回复", "自動回覆", "자동 회신", "otomatik",
)  # fmt: skip
_CHALLENGE = (
    "challenge-response", "challenge/response", "spam arrest", "spamarrest", "boxbe", "tmda", "bluebottle",
    "sender verification", "verify that you are", "verify you are", "please verify your email", "sender confirmation",
    "prove that you are human", "prove you are human", "confirm that you are a human", "confirm you are human",
    "not a spammer", "complete this verification", "complete the following", "click the link below to be added to my list",
    "your message is awaiting verification", "held until you", "requires verification", "antispam uol", "bitte bestätigen sie ihre e-mail",
)  # fmt: skip
_DAEMON = (
    "mailer-daemon", "mailerdaemon", "mail-daemon", "postmaster", "mail delivery", "maildelivery", "mail_delivery", "mailer_daemon",
    "delivery subsystem", "delivery system", "bounce@", "bounces@", "mdaemon", "microsoftexchange", "smtp-daemon", "mailadmin",
    "post_master", "mail administrator", "system administrator", "systemadministrator", "mmsc ndr", "daemon@",
    "no-reply@app.", "mail system", "mailmaster", "majordomo-owner",
)  # fmt: skip
_UNDELIVERED = (
    "your message could not be delivered to", "message could not be delivered to", "could not be delivered to one or more",
    "n'a pas pu etre delivre", "n'a pas pu être délivré", "n'a pas pu être remis", "konnte nicht zugestellt werden",
    "delivery to the following recipient", "unable to deliver message to the following", "your mail cannot be delivered",
    "no se pudo entregar", "non è stato possibile recapitare", "não pôde ser entregue", "не может быть доставлено",
    "were not delivered to", "was undeliverable", "not be delivered to the following", "error delivering your mail",
    "sorry, we were unable to deliver", "you are not a member of this mailing list",
)  # fmt: skip
_FAILURE_SUBJECT = (
    "undeliver", "delivery fail", "delivery status", "delivery notification", "delivery report", "delivery error",
    "delivery problem", "failure notice", "failure delivery", "failed delivery", "mail delivery", "returned mail", "returned email",
    "return mail", "mail failure", "message failure", "mail error", "mail returned", "message not delivered", "not delivered", "could not be delivered",
    "could not deliver", "cannot be delivered", "can't be delivered", "couldn't be delivered", "unable to deliver", "non delivery", "non-delivery", "nondeliver",
    "not deliver", "non remis", "nicht zugestellt", "unzustellbar", "zustellung", "delivery has failed", "message status", "send failed", "sending failed", "error sending",
    "no se pudo entregar", "no se ha podido", "mensaje no entregado", "impossibile recapitare", "mancata consegna",
    "não entregue", "nao entregue", "falha na entrega", "échec de", "echec de la remise", "niet bezorgd", "onbestelbaar", "недоставл", "не доставлено",
    "配信不能", "配信できません", "配達できません", "送信できません", "エラー", "退信", "無法投遞", "系统退信", "rejected", "user unknown", "address error", "permanent error", "warning: message", "message delayed", "message you sent", "bounce",
    "delayed", "delivery delay", "problem delivering", "mail could not", "email could not", "quota", "notification d'état",
)  # fmt: skip


def plain(text: str) -> str:
    """Small letters, white space as one blank."""
    return _SPACE.sub(" ", text[:20_000].lower()).strip()


def from_server(mail: Mail) -> bool:
    """Does a mail server seem to speak, by who sent it or how its subject begins?"""
    sender = plain(mail.get("from") + " " + mail.get("sender"))
    if any(word in sender for word in _DAEMON) or mail.get("x-failed-recipients"):
        return True
    path = mail.all("return-path")
    return bool(path) and path[0].strip() in ("<>", "") and not away(mail) or failure_subject(mail)


def failure_subject(mail: Mail) -> bool:
    subject = plain(mail.get("subject"))
    return any(word in subject for word in _FAILURE_SUBJECT) and not subject.startswith(("re:", "aw:", "fwd:", "fw:"))


def says_undelivered(text: str) -> bool:
    """Do the first words say that a letter was not delivered, as people do not say it?"""
    said = plain(text[:1500])
    return any(word in said for word in _UNDELIVERED)


def automatic(mail: Mail) -> bool:
    """Does it say, or look as if, no person sent it? Nobody answers such a mail (RFC 3834 §2)."""
    submitted = mail.get("auto-submitted").strip().lower()
    if submitted and not submitted.startswith("no"):
        return True
    if mail.get("precedence").strip().lower() in ("bulk", "junk", "list", "auto_reply", "auto-reply"):
        return True
    if any(name in ("list-id", "list-unsubscribe", "x-failed-recipients") for name, _ in mail.headers):
        return True
    path = mail.all("return-path")
    return away(mail) or (bool(path) and path[0].strip() == "<>")


def away(mail: Mail) -> bool:
    """Is it the automatic answer of somebody who is away (RFC 3834, and what was usual before)?"""
    submitted = mail.get("auto-submitted").strip().lower()
    if submitted.startswith(("auto-replied", "auto-notified")):
        return True
    if mail.get("precedence").strip().lower() in ("auto_reply", "auto-reply"):
        return True
    names = {name for name, _ in mail.headers}
    if names & {"x-autoreply", "x-autorespond", "x-auto-reply", "x-autoresponder", "x-autoreply-from", "x-mail-autoreply"}:
        return True
    if "all" in mail.get("x-auto-response-suppress").lower() and not mail.get("x-failed-recipients"):
        return _away_subject(mail)
    return _away_subject(mail)


def _away_subject(mail: Mail) -> bool:
    subject = plain(mail.get("subject"))
    for prefix in ("re: ", "aw: ", "sv: "):
        subject = subject.removeprefix(prefix)
    return any(word in subject[:80] for word in _AWAY_SUBJECT)


def challenge(mail: Mail, text: str) -> bool:
    """Does a robot ask the sender to prove to be a person?"""
    said = plain(mail.get("subject") + " " + mail.get("from") + " " + text[:3000])
    return any(name.startswith("x-tmda") for name, _ in mail.headers) or any(word in said for word in _CHALLENGE)
