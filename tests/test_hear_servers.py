# ruff: noqa: E501 (what servers write is kept in its own lines)
"""Reports as whole mails of the world's mail servers and providers: their headers, character sets and languages, with all
the addresses in them that are not meant. What each says was made up here, in the words that these servers use."""

from __future__ import annotations

import base64

import pytest

from digest.hear import understand
from digest.hear.report import Kind

OURS = "bounces+b-1db4528e1c3726bb1@news.example"
ADA, BOB = "ada@example.org", "bob@example.net"
HARD, SOFT, POLICY, DELAYED = Kind.HARD, Kind.SOFT, Kind.POLICY, Kind.DELAYED
LETTER = f"""Return-Path: <{OURS}>
Received: from news.example (news.example [192.0.2.9]) by mx.example.org; Mon, 23 Nov 2026 07:00:00 +0000
From: Daily <news@news.example>
To: {ADA}
Reply-To: editor@news.example
Message-ID: <1.71.abc@news.example>
Subject: News of Monday
Date: Mon, 23 Nov 2026 07:00:00 +0000

Hello, contact us at help@news.example.
"""


def packed(text: str, charset: str) -> str:
    return base64.encodebytes(text.encode(charset)).decode()


def mail(
    words: str,
    *,
    subject: str,
    sender: str = "MAILER-DAEMON@mx.example.org",
    charset: str = "utf-8",
    kind: str = "plain",
    more: str = "",
    path: str = "<>",
) -> bytes:
    """A mail of one part, as base64 where its letters want it."""
    shown = subject if subject.isascii() else f"=?{charset}?B?{base64.b64encode(subject.encode(charset)).decode()}?="
    head = f"Return-Path: {path}\nFrom: {sender}\nTo: {OURS}\nSubject: {shown}\nMIME-Version: 1.0\n{more}"
    head += f"Date: Mon, 23 Nov 2026 08:00:00 +0000\nContent-Type: text/{kind}; charset={charset}\n"
    if words.isascii():
        return f"{head}\n{words}".encode()
    return f"{head}Content-Transfer-Encoding: base64\n\n{packed(words, charset)}".encode()


def report(
    words: str, *fields: str, subject: str, sender: str = "postmaster@mx.example.org", kind: str = "plain"
) -> bytes:
    """A report with a part for machines (RFC 3464)."""
    body = f"--b\nContent-Type: text/{kind}; charset=utf-8\n\n{words}\n--b\nContent-Type: message/delivery-status\n\n"
    body += (
        "Reporting-MTA: dns;mx.example.org\n\n"
        + "\n\n".join(fields)
        + f"\n\n--b\nContent-Type: message/rfc822\n\n{LETTER}\n--b--\n"
    )
    head = f"Return-Path: <>\nFrom: {sender}\nTo: {OURS}\nSubject: {subject}\nMIME-Version: 1.0\nAuto-Submitted: auto-replied\n"
    return f'{head}Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n{body}'.encode()


def fields(email: str, status: str, words: str, action: str = "failed") -> str:
    return f"Final-Recipient: rfc822;{email}\nAction: {action}\nStatus: {status}\nDiagnostic-Code: {words}"


BELOW = "\n--- Below this line is a copy of the message.\n\n" + LETTER
QMAIL = "Hi. This is the qmail-send program at mx.example.org.\nI'm afraid I wasn't able to deliver your message to the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n"
EXIM = "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n"
POSTFIX = "This is the mail system at host mx.example.org.\n\nI'm sorry to have to inform you that your message could not\nbe delivered to one or more recipients. It's attached below.\n\nFor further assistance, please send mail to postmaster.\n\n                   The mail system\n\n"
MICROSOFT = "\n\nDiagnoseinformationen\n\nGenerating server: AM0PR01MB1234.eurprd01.prod.outlook.com\n\nada@example.org\nRemote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup'\n\nOriginal message headers:\n\n"

# Name: the mail, then each recipient and what is said.
SERVERS = {
    "netqmail": (
        mail(QMAIL + "<ada@example.org>:\nSorry, no mailbox here by that name. (#5.1.1)\n" + BELOW, subject="failure notice"),
        {ADA: HARD},
    ),
    "qmail, too long in its queue": (
        mail(QMAIL + "<ada@example.org>:\nSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\nI'm not going to try again; this message has been in the queue too long.\n" + BELOW, subject="failure notice"),
        {ADA: SOFT},
    ),
    "qmail, of a domain that is none": (
        mail(QMAIL + "<ada@example.org>:\nSorry, I couldn't find any host named example.org. (#5.1.2)\n" + BELOW, subject="failure notice"),
        {ADA: HARD},
    ),
    "qmail, of a filter": (
        mail(QMAIL + "<ada@example.org>:\nConnected to 192.0.2.1 but my name was rejected.\nRemote host said: 550 user unknown\n" + BELOW, subject="failure notice"),
        {ADA: POLICY},
    ),
    "Exim, a warning": (
        mail("This message was created automatically by mail delivery software.\nA message that you sent has not yet been delivered to one or more of its\nrecipients after more than 24 hours on the queue on mx.example.org.\n\nThe message identifier is:     1kABCd-0001Xy-7B\nThe subject of the message is: News of Monday\n\nThe address to which the message has not yet been delivered is:\n\n  ada@example.org\n    Delay reason: Connection timed out\n\nNo action is required on your part. Delivery attempts will continue for\nsome time, and this warning may be repeated at intervals.\n", subject="Warning: message 1kABCd-0001Xy-7B delayed 24 hours", more="Auto-Submitted: auto-replied\n"),
        {ADA: DELAYED},
    ),
    "Exim, at RCPT": (
        mail(EXIM + "  ada@example.org\n    host mx.example.org [192.0.2.1]\n    SMTP error from remote mail server after RCPT TO:<ada@example.org>:\n    550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown in virtual mailbox table\n\n------ This is a copy of the message, including all the headers. ------\n\n" + LETTER, subject="Mail delivery failed: returning message to sender", more="X-Failed-Recipients: ada@example.org\nAuto-Submitted: auto-replied\n"),
        {ADA: HARD},
    ),
    "Exim, after the letter": (
        mail(EXIM + "  ada@example.org\n    host mx.example.org [192.0.2.1]\n    SMTP error from remote mail server after end of data:\n    554 5.7.1 Spam message rejected; If this is not spam contact abuse@example.org\n\n" + LETTER, subject="Mail delivery failed: returning message to sender", more="X-Failed-Recipients: ada@example.org\n"),
        {ADA: POLICY},
    ),
    "Exim, who forwards to another": (
        mail(EXIM + "  bob@example.net\n    (generated from ada@example.org)\n    host mx.example.net [192.0.2.2]\n    SMTP error from remote mail server after RCPT TO:<bob@example.net>:\n    552 5.2.2 Mailbox full\n\n" + LETTER, subject="Mail delivery failed: returning message to sender", more="X-Failed-Recipients: bob@example.net\n"),
        {BOB: SOFT},
    ),
    "Exim, of itself, in words that say nothing of the reader": (
        report(EXIM + "  ada@example.org\n    lowest numbered MX record points to local host\n", "Final-Recipient: rfc822;ada@example.org\nAction: failed\nStatus: 5.0.0", subject="Mail delivery failed: returning message to sender"),
        {ADA: SOFT},
    ),
    "Exim, of a hosting company's limit": (
        report(EXIM + "  ada@example.org\n    Domain news.example has exceeded the max emails per hour (101/100 (101%)) allowed.  Message discarded.\n", "Final-Recipient: rfc822;ada@example.org\nAction: failed\nStatus: 5.0.0", subject="Mail delivery failed: returning message to sender"),
        {ADA: POLICY},
    ),
    "Gmail, in Japanese": (
        mail("** アドレス不明 **\n\nアドレスが見つからない、またはメールを受信できないため、ada@example.org にメールを配信できませんでした。\n", subject="Delivery Status Notification (Failure)", more="X-Failed-Recipients: ada@example.org\n"),
        {ADA: HARD},
    ),
    "Postfix, in German": (
        report("Dies ist das Mailsystem auf mx.example.org.\n\nIhre Nachricht konnte an einen oder mehrere Empfänger nicht zugestellt werden.\nBei Fragen wenden Sie sich an postmaster@mx.example.org.\n\n<ada@example.org>: unknown user: \"ada\"", fields(ADA, "5.1.1", "X-Postfix; unknown user: \"ada\""), subject="Unzustellbare Mail"),
        {ADA: HARD},
    ),
    "Postfix, whose status part was lost": (
        mail(POSTFIX + "<ada@example.org>: host mx.example.org[192.0.2.1] said: 550 5.1.1\n    <ada@example.org>: Recipient address rejected: User unknown (in reply to RCPT TO\n    command)\n\n<bob@example.net>: host mx.example.net[192.0.2.2] said: 452 4.2.2 The recipient's\n    inbox is out of storage space (in reply to RCPT TO command)\n", subject="Undelivered Mail Returned to Sender"),
        {ADA: HARD, BOB: SOFT},
    ),
    "Postfix, delayed": (
        report("This is the mail system at host mx.example.org.\n\n####################################################################\n# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\n####################################################################\n\n<ada@example.org>: connect to mx.example.org[192.0.2.1]:25: Connection timed out", fields(ADA, "4.4.1", "X-Postfix; connect to mx.example.org[192.0.2.1]:25: Connection timed out", "delayed"), subject="Delayed Mail (still being retried)"),
        {ADA: DELAYED},
    ),
    "Sendmail, a refusal of what was sent": (
        report("   ----- The following addresses had permanent fatal errors -----\n<ada@example.org>\n    (reason: 554 5.7.1 Message blocked by our content filter)\n\n   ----- Transcript of session follows -----\n... while talking to mx.example.org.:\n>>> DATA\n<<< 554 5.7.1 Message blocked by our content filter\n554 5.0.0 Service unavailable", fields(ADA, "5.7.1", "SMTP; 554 5.7.1 Message blocked by our content filter"), subject="Returned mail: see transcript for details"),
        {ADA: POLICY},
    ),
    "Exchange Online": (
        report("Your message to ada@example.org couldn't be delivered.\n\nada wasn't found at example.org.", fields(ADA, "5.1.10", "smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"), subject="Undeliverable: News of Monday", kind="html"),
        {ADA: HARD},
    ),
    "Exchange Online, of a rule": (
        report("Your message to ada@example.org was blocked by a custom mail flow rule.", fields(ADA, "5.7.1", "smtp;550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization policy"), subject="Undeliverable: News of Monday"),
        {ADA: POLICY},
    ),
    "Exchange Online, full": (
        report("Your message to ada@example.org couldn't be delivered. The mailbox is full.", fields(ADA, "5.2.2", "smtp;554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded"), subject="Undeliverable: News of Monday"),
        {ADA: SOFT},
    ),
    "Exchange Online, a group for members": (
        report("Your message to ada@example.org couldn't be delivered. Only people of the organization may write to it.", fields(ADA, "5.7.133", "smtp;550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery restriction check failed because the sender was not authenticated when sending to this group"), subject="Undeliverable: News of Monday"),
        {ADA: POLICY},
    ),
    "Gmail": (
        report("** Address not found **\n\nYour message wasn't delivered to ada@example.org because the address couldn't be found, or is unable to receive mail.\n\nThe response from the remote server was:\n550 5.1.1 The email account that you tried to reach does not exist.", fields(ADA, "5.1.1", "smtp; 550-5.1.1 The email account that you tried to reach does not exist. Please try\n 550-5.1.1 double-checking the recipient's email address for typos or\n 550 5.1.1 unnecessary spaces. h12si123456 - gsmtp"), subject="Delivery Status Notification (Failure)", sender="Mail Delivery Subsystem <mailer-daemon@googlemail.com>"),
        {ADA: HARD},
    ),
    "Gmail, full": (
        report("** Recipient inbox full **\n\nYour message couldn't be delivered to ada@example.org. Their inbox is full, or it's getting too much mail right now.", fields(ADA, "5.2.2", "smtp; 552-5.2.2 The recipient's inbox is out of storage space and inactive. Please\n 552 5.2.2 direct the recipient to their storage. - gsmtp"), subject="Delivery Status Notification (Failure)"),
        {ADA: SOFT},
    ),
    "Gmail, later": (
        mail("** Delivery incomplete **\n\nThere was a temporary problem delivering your message to ada@example.org. Gmail will retry for 47 more hours. You'll be notified if the delivery fails permanently.\n\nThe response was:\n\nThe recipient server did not accept our requests to connect. [mx.example.org 192.0.2.1: timed out]\n", subject="Delivery Status Notification (Delay)", more="X-Failed-Recipients: ada@example.org\n"),
        {ADA: DELAYED},
    ),
    "Gmail, blocked": (
        mail("** Message blocked **\n\nYour message to ada@example.org has been blocked. See technical details below for more information.\n\nThe response was:\n\n550 5.7.26 This mail has been blocked because the sender is unauthenticated.\n", subject="Delivery Status Notification (Failure)", more="X-Failed-Recipients: ada@example.org\n"),
        {ADA: POLICY},
    ),
    "Gmail, in German": (
        mail("** Die Adresse wurde nicht gefunden **\n\nIhre Nachricht wurde nicht an ada@example.org zugestellt, weil die Adresse nicht gefunden wurde oder keine E-Mails empfangen kann.\n", subject="Delivery Status Notification (Failure)", more="X-Failed-Recipients: ada@example.org\n"),
        {ADA: HARD},
    ),
    "Gmail, in French": (
        mail("** Adresse introuvable **\n\nVotre message n'est pas parvenu à ada@example.org, car l'adresse est introuvable ou ne peut pas recevoir d'e-mails.\n", subject="Delivery Status Notification (Failure)", more="X-Failed-Recipients: ada@example.org\n"),
        {ADA: HARD},
    ),
    "Gmail, in Spanish": (
        mail("** No se ha encontrado la dirección **\n\nTu mensaje no se ha entregado a ada@example.org porque no se ha encontrado la dirección o porque esta no puede recibir correo.\n", subject="Delivery Status Notification (Failure)", more="X-Failed-Recipients: ada@example.org\n"),
        {ADA: HARD},
    ),
    "Yahoo": (
        mail("Sorry, we were unable to deliver your message to the following address.\n\n<ada@example.org>:\n554: delivery error: dd This user doesn't have a yahoo.com account (ada@example.org) [0] - mta1234.mail.ne1.yahoo.com\n\n--- Below this line is a copy of the message.\n\n" + LETTER, subject="Failure Notice", sender="MAILER-DAEMON@yahoo.com"),
        {ADA: HARD},
    ),
    "Yahoo, disabled": (
        mail("Sorry, we were unable to deliver your message to the following address.\n\n<ada@example.org>:\n554: 30: Sorry, your message to ada@example.org cannot be delivered. This mailbox is disabled (554.30).\n\n--- Below this line is a copy of the message.\n\n" + LETTER, subject="Failure Notice"),
        {ADA: SOFT},
    ),
    "iCloud": (
        report("This is the mail system at host mx.example.org.\n\n<ada@example.org>: host mx01.mail.icloud.com[192.0.2.1] said: 550 5.1.1 <ada@example.org>: user does not exist (in reply to RCPT TO command)", fields(ADA, "5.1.1", "smtp; 550 5.1.1 <ada@example.org>: user does not exist"), subject="Undelivered Mail Returned to Sender"),
        {ADA: HARD},
    ),
    "iCloud, a filter": (
        report("<ada@example.org>: host mx01.mail.icloud.com said: 554 5.7.1 [HM08] Message rejected due to local policy. Please visit https://support.apple.com/", fields(ADA, "5.7.1", "smtp; 554 5.7.1 [HM08] Message rejected due to local policy."), subject="Undelivered Mail Returned to Sender"),
        {ADA: POLICY},
    ),
    "Zoho": (
        mail("This message was created automatically by mail delivery software.\n A message that you sent could not be delivered to one or more of its recipients. This is a permanent error. \n\nada@example.org, ERROR CODE :550 - <ada@example.org>: Recipient address rejected: User unknown in local recipient table\n\n\nReceived:from mail.zoho.com by mx.zohomail.com\n", subject="Undelivered Mail Returned to Sender", sender="mailer-daemon@mail.zoho.com"),
        {ADA: HARD},
    ),
    "Proofpoint": (
        report("The original message was received at Mon, 23 Nov 2026 07:00:00 GMT\n\n   ----- The following addresses had permanent fatal errors -----\n<ada@example.org>\n    (reason: 550 5.1.1 User Unknown)", fields(ADA, "5.1.1", "SMTP; 550 5.1.1 User Unknown"), subject="Returned mail: see transcript for details"),
        {ADA: HARD},
    ),
    "Proofpoint, of our address": (
        report("Delivery failed.", fields(ADA, "5.7.0", "smtp; 554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.9"), subject="Delivery Status Notification (Failure)"),
        {ADA: POLICY},
    ),
    "Mimecast": (
        report("Your message could not be delivered.", fields(ADA, "5.0.0", "smtp; 550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550 [x1y2z3AbCd.uk123]"), subject="[Postmaster] Email Delivery Failure"),
        {ADA: HARD},
    ),
    "Mimecast, a blocked sender": (
        report("Your message could not be delivered.", fields(ADA, "5.0.0", "smtp; 550 Rejected by header based manually Blocked Senders - https://community.mimecast.com/docs/DOC-1369#550 [x1y2z3AbCd.uk123]"), subject="[Postmaster] Email Delivery Failure"),
        {ADA: POLICY},
    ),
    "Barracuda": (
        mail("Your message to:\n ada@example.org\nwas not delivered: the recipient's mail server has refused it.\n\nThe message was returned with:\n 550 permanent failure for one or more recipients (ada@example.org:550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown)\n", subject="**Message you sent was not delivered**", sender="postmaster@barracuda.example.org"),
        {ADA: HARD},
    ),
    "Barracuda, a virus": (
        mail("Your message to: ada@example.org\nwas blocked by our Spam Firewall. The email you sent with the following subject has NOT BEEN DELIVERED:\n\nSubject: News of Monday\n\nThe attachment was banned: invoice.exe\n", subject="**Message you sent blocked by our bulk email filter**", sender="postmaster@barracuda.example.org"),
        {ADA: POLICY},
    ),
    "IronPort": (
        report("The following message to <ada@example.org> was undeliverable.\nThe reason for the problem:\n5.1.0 - Unknown address error 550-'5.1.1 <ada@example.org>... User unknown'", fields(ADA, "5.0.0", "smtp; 5.1.0 - Unknown address error 550-'5.1.1 <ada@example.org>... User unknown' (delivery attempts: 0)", "failed"), subject="Delivery Status Notification (Failure)", sender="MAILER-DAEMON@ironport.example.org"),
        {ADA: HARD},
    ),
    "IronPort, five days": (
        report("The following message to <ada@example.org> was undeliverable.\nThe reason for the problem:\n4.4.7 - Message expired", fields(ADA, "5.0.0", "smtp; 5.4.7 - Delivery expired (message too old) 'timeout' (delivery attempts: 47)"), subject="Delivery Status Notification (Failure)"),
        {ADA: SOFT},
    ),
    "Domino, in German": (
        mail("Ihr Dokument:  News of Monday\nwurde nicht zugestellt an:  ada@example.org\nam:  23.11.2026 08:00:00\nwegen:  Benutzer ada (ada@example.org) nicht im Domino-Verzeichnis aufgeführt\n", subject="ZUSTELLUNGSFEHLER: Benutzer ada (ada@example.org) nicht im Domino-Verzeichnis aufgeführt", sender="postmaster@example.org"),
        {ADA: HARD},
    ),
    "Domino, full": (
        mail("Your message\n\n  Subject: News of Monday\n\nwas not delivered to:\n\n  ada@example.org\n\nbecause:\n\n  Error transferring to SRV/MAIL.BOX; Maximum allowed database size exceeded: unable to deliver, database quota exceeded\n", subject="DELIVERY FAILURE: database quota exceeded", sender="postmaster@example.org"),
        {ADA: SOFT},
    ),
    "GroupWise": (
        mail("The message that you sent was undeliverable to the following:\n\tada@example.org (user not found)\n\nPossibly truncated original message follows:\n\n" + LETTER, subject="Message status - undeliverable", sender="Mailer-Daemon@gw.example.org"),
        {ADA: HARD},
    ),
    "GroupWise, full": (
        mail("The message that you sent was undeliverable to the following:\n\tada@example.org (mailbox has exceeded the limit)\n\nPossibly truncated original message follows:\n\n" + LETTER, subject="Message status - undeliverable", sender="Mailer-Daemon@gw.example.org"),
        {ADA: SOFT},
    ),
    "MDaemon": (
        mail("The attached message had PERMANENT fatal delivery errors!\n\nAfter one or more unsuccessful delivery attempts the attached message has been removed from the mail queue on this server.\n\n  Postmaster@mx.example.org\n\nFailed address: ada@example.org\n\n--- Session Transcript ---\n Mon 2026-11-23 08:00:00: --> MAIL From:<bounces+b-1db4528e1c3726bb1@news.example> SIZE=4321\n Mon 2026-11-23 08:00:00: <-- 250 2.1.0 Sender ok\n Mon 2026-11-23 08:00:00: --> RCPT To:<ada@example.org>\n Mon 2026-11-23 08:00:01: <-- 550 5.1.1 <ada@example.org>, Recipient unknown\n--- End Transcript ---\n\n: Message contains [1] file attachments\n", subject="Permanent Delivery Failure", sender="MDaemon@mx.example.org"),
        {ADA: HARD},
    ),
    "MDaemon, a warning": (
        mail("The following message had TEMPORARY delivery errors. This server will continue to try to deliver it for two days.\n\nFailed address: ada@example.org\n\n--- Session Transcript ---\n Mon 2026-11-23 08:00:00: <-- 451 4.7.1 Greylisting in action, please come back later\n--- End Transcript ---\n", subject="Temporary Delivery Failure", sender="MDaemon@mx.example.org"),
        {ADA: DELAYED},
    ),
    "hMailServer": (
        mail("Your message did not reach some or all of the intended recipients.\n\n   Sent: Mon, 23 Nov 2026 07:00:00 +0000\n   Subject: News of Monday\n\nThe following recipient(s) could not be reached:\n\nada@example.org\n   Error Type: SMTP\n   Remote server (192.0.2.1) issued an error.\n   hMailServer sent: RCPT TO:<ada@example.org>\n   Remote server replied: 550 5.1.1 No such user here\n\nbob@example.net\n   Error Type: SMTP\n   Connection to recipients server failed.\n   Error: Host name: example.net, message: Connection timed out.\n   Tried 4 times.\n\n\nhMailServer\n\nFor questions please contact:\n\ncarla@mx.example.org\n", subject="Message undeliverable: News of Monday", sender="mailer-daemon@mx.example.org"),
        {ADA: HARD, BOB: SOFT},
    ),
    "MessageLabs": (
        mail("This is the mail delivery agent at messagelabs.com.\nI was unable to deliver your message to the following addresses:\n\nada@example.org\n\nReason: 550 Invalid recipient <ada@example.org> (#5.1.1)\n\nThe message subject was: News of Monday\nThe message date was: Mon, 23 Nov 2026 07:00:00 +0000\nThe message identifier was: <1.71.abc@news.example>\nThe message reference was: server-5.tower-1.messagelabs.com!1234!1\n\nPlease do not reply to this email as it is sent from an unattended mailbox.\nPlease visit www.messagelabs.com/support for more details.\n", subject="Mail Delivery Failure: News of Monday", sender="MAILER-DAEMON@messagelabs.com"),
        {ADA: HARD},
    ),
    "Amazon SES, of its own list": (
        report("An error occurred while trying to deliver the mail to the following recipients:\nada@example.org", fields(ADA, "5.1.1", "Amazon SES has suppressed sending to this address because it has a recent history of bouncing as an invalid address."), subject="Delivery Status Notification (Failure)", sender="MAILER-DAEMON@eu-west-1.amazonses.com"),
        {ADA: HARD},
    ),
    "SendGrid": (
        mail("Hello, this is the mail server on mx.sendgrid.example.\n\nI am sending you this message to inform you on the delivery status of a\nmessage you previously sent.  Immediately below you will find a list of\nthe affected recipients;  also attached is a Delivery Status Notification\n(DSN) report in standard format, as well as the headers of the original\nmessage.\n\n  <ada@example.org>  delivery failed; will not continue trying\n\n  550 5.1.1 The email account that you tried to reach does not exist.\n", subject="Delivery report", sender="MAILER-DAEMON@sendgrid.example"),
        {ADA: HARD},
    ),
    "GMX": (
        mail("This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of\nits recipients. This is a permanent error. The following address\nfailed:\n\n\"ada@example.org\":\nSMTP error from remote server for RCPT TO command, host: mx.example.org (192.0.2.1) reason: 550 Requested action not taken: mailbox unavailable\nFor explanation visit https://postmaster.gmx.net/en/error-messages?ip=192.0.2.9\n\n--- The header of the original message is following. ---\n\n" + LETTER, subject="Mail delivery failed: returning message to sender", sender="GMX Mailer Daemon <mailer-daemon@gmx.net>"),
        {ADA: HARD},
    ),
    "WEB.DE, full": (
        mail("Diese Nachricht wurde automatisch erzeugt.\n\nDie folgende Adresse konnte nicht erreicht werden:\n\n\"ada@example.org\":\nSMTP error from remote server for RCPT TO command, host: mx.example.org (192.0.2.1) reason: 552 Quota exceeded\n\n" + LETTER, subject="Mail delivery failed: returning message to sender", sender="WEB.DE Mailer Daemon <mailer-daemon@web.de>"),
        {ADA: SOFT},
    ),
    "T-Online": (
        mail("|------------------------- Message log follows: -------------------------|\n no valid recipients were found for this message\n|------------------------- Failed addresses follow: ---------------------|\n <ada@example.org> ... unknown user\n|------------------------- Message text follows: ------------------------|\n\n" + LETTER, subject="mail failed, returning to sender", sender="MAILER-DAEMON@t-online.de"),
        {ADA: SOFT},  # nobody says that it was asked before the letter was read
    ),
    "mail.ru": (
        mail("This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n  ada@example.org\n    SMTP error from remote mail server after RCPT TO:<ada@example.org>:\n    550 Message was not accepted -- invalid mailbox. Local mailbox ada@example.org is unavailable: user not found\n\n" + LETTER, subject="Mail failure.", sender="Mail Delivery System <mailer-daemon@corp.mail.ru>", more="X-Failed-Recipients: ada@example.org\n"),
        {ADA: HARD},
    ),
    "mail.ru, an account that is disabled": (
        mail("**********************\n** ИНФОРМАЦИЯ СЕРВЕРА **\n**********************\n\nПисьмо, отправленное вами, не может быть доставлено одному или нескольким получателям:\n\n ada@example.org\n    550 account is disabled\n\n", subject="Письмо не доставлено", charset="koi8-r", sender="mailer-daemon@corp.mail.ru"),
        {ADA: SOFT},
    ),
    "Yandex": (
        mail("Это письмо создано автоматически сервером Яндекс.Почты, отвечать на него не нужно.\n\nК сожалению, Ваше письмо не может быть доставлено одному или нескольким адресатам.\nТехнические подробности можно найти ниже.\n\nПожалуйста, не отвечайте на это сообщение.\n\n----------\n\nThis is the mail delivery system at yandex.ru.\n\n<ada@example.org>: host mx.example.org[192.0.2.1] said: 550 5.7.1 No such user! (in reply to RCPT TO command)\n", subject="Недоставленное сообщение", sender="mailer-daemon@yandex.ru"),
        {ADA: HARD},  # its number is of policy, and its words are what that server says of nobody else
    ),
    "QQ": (
        mail("<html><body><p>很抱歉您的邮件被退回来了……</p><table><tr><td>原邮件信息</td></tr><tr><td>主 题：</td><td>News of Monday</td></tr><tr><td>收件人：</td><td>ada@example.org</td></tr><tr><td>退信原因：</td><td>该用户不存在。请检查收件人邮箱是否填写正确。</td></tr></table><p>host mx.example.org[192.0.2.1] said: 550 Mailbox not found (in reply to RCPT TO command)</p></body></html>", subject="系统退信", charset="gb18030", kind="html", sender="PostMaster@qq.com"),
        {ADA: HARD},
    ),
    "163": (
        mail("抱歉，您的邮件被退回来了……\n\n原邮件信息：\n时    间 2026-11-23 07:00:00\n主    题 News of Monday\n收 件 人 ada@example.org\n\n退信原因：\n收件人邮件地址（ada@example.org）不存在，邮件无法送达。\nSMTP error, RCPT TO: 550 User not found: ada@example.org\n\n建议解决方案：请核对收件人地址。\n", subject="系统退信/Systems bounce", charset="gbk", sender="Postmaster@163.com"),
        {ADA: HARD},
    ),
    "QQ, full": (
        mail("很抱歉您的邮件被退回来了\n收件人：ada@example.org\n退信原因：收件人邮箱空间不足，无法接收新邮件。\n", subject="系统退信", charset="gb18030", sender="PostMaster@qq.com"),
        {ADA: SOFT},
    ),
    "NAVER": (
        mail("메일을 전송하지 못했습니다.\n\n받는사람 : ada@example.org\n제목 : News of Monday\n\n실패 사유 : 받는 사람의 메일 주소가 존재하지 않습니다. (550 5.1.1 No such user)\n", subject="[메일 발송 실패 안내] News of Monday", charset="euc-kr", sender="MAILER-DAEMON@naver.com"),
        {ADA: HARD},
    ),
    "NAVER, full": (
        mail("메일을 전송하지 못했습니다.\n\n받는사람 : ada@example.org\n실패 사유 : 받는 사람의 메일함 용량이 초과되어 메일을 받을 수 없습니다.\n", subject="[메일 발송 실패 안내] News of Monday", charset="euc-kr", sender="MAILER-DAEMON@naver.com"),
        {ADA: SOFT},
    ),
    "Orange": (
        report("Ce rapport concerne un message que vous avez envoyé.\n\n<ada@example.org>: 550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]", fields(ADA, "5.1.1", "smtp; 550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]"), subject="Message non remis"),
        {ADA: HARD},
    ),
    "Orange, archived": (
        report("<ada@example.org>: 550 5.5.0 Boite du destinataire archivee. Archived recipient. OFR_417 [417]", fields(ADA, "5.5.0", "smtp; 550 5.5.0 Boite du destinataire archivee. Archived recipient. OFR_417 [417]"), subject="Message non remis"),
        {ADA: SOFT},
    ),
    "free.fr": (
        report("<ada@example.org>: host mx1.free.fr said: 550 5.2.1 This mailbox has been blocked due to inactivity (in reply to RCPT TO command)", fields(ADA, "5.2.1", "smtp; 550 5.2.1 This mailbox has been blocked due to inactivity"), subject="Undelivered Mail Returned to Sender"),
        {ADA: SOFT},
    ),
    "La Poste": (
        report("<ada@example.org>: host smtpz4.laposte.net said: 550 5.5.0 Service refuse. Veuillez essayer plus tard. service refused, please try later. LPN007_510", fields(ADA, "5.5.0", "smtp; 550 5.5.0 Service refuse. Veuillez essayer plus tard. service refused, please try later. LPN007_510"), subject="Undelivered Mail Returned to Sender"),
        {ADA: POLICY},
    ),
    "Libero": (
        mail("Non è stato possibile recapitare il messaggio ai seguenti destinatari:\n\n<ada@example.org>: 550 RCPT TO:<ada@example.org> Utente sconosciuto / User unknown\n\nPer assistenza: postmaster@libero.example\n", subject="Mancata consegna del messaggio", charset="iso-8859-1", sender="MAILER-DAEMON@libero.example"),
        {ADA: HARD},
    ),
    "Telenet": (
        mail("Uw bericht kon niet worden afgeleverd bij de volgende ontvanger:\n\nada@example.org\n550 5.1.1 Onbekende ontvanger\n\n", subject="Bericht niet afgeleverd", sender="MAILER-DAEMON@telenet.example"),
        {ADA: HARD},
    ),
    "docomo, after the letter": (
        mail("   ----- The following addresses had permanent fatal errors -----\n<ada@example.org>\n    (reason: 550 Unknown user ada@example.org)\n\n   ----- Transcript of session follows -----\n... while talking to mfsmax.docomo.example.:\n>>> DATA\n<<< 550 Unknown user ada@example.org\n554 5.0.0 Service unavailable\n", subject="Returned mail: see transcript for details"),
        {ADA: SOFT},
    ),
    "SoftBank": (
        mail("次のあて先へのメッセージはエラーのため送信できませんでした。\n送信先メールアドレスが見つかりません。メールアドレスをご確認のうえ、再送信してください。\n\n宛先：<ada@example.org>\n\n>>> RCPT TO:<ada@example.org>\n<<< 550 Invalid recipient: <ada@example.org>\n", subject="Mail System Error - Returned Mail", charset="iso-2022-jp", sender="MAILER-DAEMON@softbank.example"),
        {ADA: HARD},
    ),
    "au": (
        mail("Each of the following recipients was rejected by a remote mail server.\n\nRecipient: <ada@example.org>\n>>> RCPT TO:<ada@example.org>\n<<< 550 <ada@example.org>: User unknown\n", subject="Mail System Error - Returned Mail", sender="Mail Administrator <Postmaster@ezweb.example>"),
        {ADA: HARD},
    ),
    "Kerio": (
        mail("Your message has encountered delivery problems\nto the following recipient(s):\n\nada@example.org\nDelivery failed\n550 5.1.1 User unknown\n\n", subject="Delivery Status: Failed", sender="postmaster@kerio.example"),
        {ADA: HARD},
    ),
    "CommuniGate": (
        mail("Failed to deliver to 'ada@example.org'\nSMTP module(domain example.org) reports:\n host mx.example.org says:\n 550 5.1.1 unknown user account\n", subject="Undeliverable mail: News of Monday", sender="MAILER-DAEMON@cgp.example"),
        {ADA: HARD},
    ),
    "MailEnable": (
        mail("MailEnable: Message Delivery Failure.\n\nThe following recipient(s) could not be reached:\n\nRecipient: [SMTP:ada@example.org]\nReason: Remote SMTP Server Returned: 550 5.1.1 User unknown\n\nMessage headers follow:\n\n" + LETTER, subject="Message Delivery Failure", sender="postmaster@mailenable.example"),
        {ADA: HARD},
    ),
    "SmarterMail": (
        mail("Could not deliver message to the following recipient(s):\n\nFailed Recipient: ada@example.org\nReason: Remote host said: 550 5.1.1 <ada@example.org> User unknown\n\n   -- The header and top 20 lines of the message follows --\n\n" + LETTER, subject="Delivery Failure", sender="System Administrator <postmaster@smarter.example>"),
        {ADA: HARD},
    ),
    "James": (
        mail("Hi. This is the James mail server at mx.example.org.\nI'm afraid I wasn't able to deliver your message to the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.  Below\nI include the list of recipients and the reason why I was unable to deliver\nyour message.\n\nFailed recipient(s):\nada@example.org\n\nError message:\n550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown\n", subject="Re: News of Monday", sender="postmaster@james.example"),
        {ADA: HARD},
    ),
    "XMail": (
        mail("[<00>] XMail bounce: Rcpt=[ada@example.org];Error=[550 5.1.1 User unknown]\n\n[<01>] Error sending message [1.2.3] from [mx.example.org].\n\nID:        <S1.2>\nMail From: <bounces+b-1db4528e1c3726bb1@news.example>\nRcpt To:   <ada@example.org>\n", subject="Error sending message [1.2.3] from [mx.example.org]", sender="root@mx.example.org"),
        {ADA: HARD},
    ),
    "InterScan": (
        mail("Sent >>> RCPT TO: <ada@example.org>\nReceived <<< 550 5.1.1 <ada@example.org>: user unknown\n\nUnable to deliver message to <ada@example.org>.\n", subject="Mail could not be delivered", sender="isvw@mx.example.org"),
        {ADA: HARD},
    ),
    "Strato, of content, in German": (
        mail("Ihre E-Mail an ada@example.org konnte nicht zugestellt werden.\n\nGrund: Die Nachricht wurde als Spam eingestuft und abgelehnt.\n", subject="Unzustellbare E-Mail", sender="MAILER-DAEMON@strato.example"),
        {ADA: POLICY},
    ),
    "Domino, in French": (mail("Votre document :  News of Monday\nn'a pas pu être remis à :  ada@example.org\nle :  23/11/2026\ncar :  L'utilisateur ada (ada@example.org) n'est pas répertorié dans l'annuaire Domino\n",subject="ECHEC DE DISTRIBUTION : L'utilisateur ada n'est pas répertorié dans l'annuaire Domino",sender="postmaster@example.org"),{ADA:HARD}),
    "Domino, in Spanish": (mail("Su mensaje\n\n  Asunto: News\n\nno se ha entregado a:\n\n  ada@example.org\n\nporque:\n\n  El usuario ada (ada@example.org) no aparece en el directorio de Domino\n",subject="ERROR DE ENTREGA: El usuario ada no aparece en el directorio de Domino",sender="postmaster@example.org"),{ADA:HARD}),
    "Exim, in German": (mail("Diese Nachricht wurde automatisch von der Mailsoftware erstellt.\n\nEine von Ihnen gesendete Nachricht konnte an einen oder mehrere Empfänger nicht zugestellt werden. Dies ist ein permanenter Fehler. Folgende Adressen sind fehlgeschlagen:\n\n  ada@example.org\n    Empfänger unbekannt\n\n"+LETTER,subject="E-Mail-Zustellung fehlgeschlagen",more="X-Failed-Recipients: ada@example.org\n"),{ADA:HARD}),
    "a provider, with a name in quotes": (mail("Diese E-Mail wurde automatisch vom Mail-System erzeugt.\n\nFolgende Empfängeradresse konnte nicht erreicht werden:\n\n\"ada@example.org\":\n550 5.1.1 Requested action not taken: mailbox unavailable\n",subject="Mail delivery failed: returning message to sender",sender="Mail Delivery System <mailer-daemon@kundenserver.de>"),{ADA:HARD}),
    "a number and RCPT": (report("x",fields(ADA,"5.0.0","smtp; 550 RCPT TO: ada@example.org User unknown"),subject="Failure"),{ADA:HARD}),
    "fields in capitals and brackets": (report("x","Final-Recipient: RFC822; <ADA@EXAMPLE.ORG>\nAction: FAILED (bounced)\nStatus: 5.1.1 (bad destination mailbox)\nDiagnostic-Code: SMTP;550 5.1.1 user unknown",subject="Failure"),{"ADA@EXAMPLE.ORG":HARD}),
    "an address of other letters": (report("x","Final-Recipient: utf-8; \\x{7528}\\x{6237}@example.org\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 user unknown",subject="Failure"),{"用户@example.org":HARD}),
    "Exchange, as a page alone": (mail("<html><body><p><b>Your message couldn't be delivered to the recipients shown below.</b></p><table><tr><td>ada@example.org</td></tr></table><p>The e-mail address you entered couldn't be found. Please check the recipient's e-mail address and try to resend the message.</p></body></html>",subject="Undeliverable: News",kind="html",sender="postmaster@example.org"),{ADA:HARD}),
    "Exchange 2003": (mail("Your message\n\n  To:      ada@example.org\n  Subject: News\n  Sent:    Mon, 23 Nov 2026 07:00:00 +0000\n\ndid not reach the following recipient(s):\n\nada@example.org on Mon, 23 Nov 2026 08:00:00 +0000\n    The e-mail account does not exist at the organization this message was sent to.  Check the e-mail address, or contact the recipient directly to find out the correct address.\n    <mx.example.org #5.1.1>\n",subject="Undeliverable: News",sender="System Administrator <postmaster@example.org>"),{ADA:HARD}),
    "Dovecot": (mail("Your message to <ada@example.org> was automatically rejected:\nQuota exceeded (mailbox for user is full)\n",subject="Rejected: News of Monday",sender="Mail Delivery Subsystem <postmaster@mx.example.org>"),{ADA:SOFT}),
    "a provider, full, in French": (mail("Bonjour,\n\nVotre message adressé à ada@example.org n'a pas pu être distribué.\n\nMotif : la boîte aux lettres du destinataire est pleine.\n",subject="Échec de la distribution de votre message",sender="MAILER-DAEMON@sfr.example",charset="iso-8859-1"),{ADA:SOFT}),
    "a provider, full, in Italian": (mail("Il messaggio inviato a ada@example.org non è stato consegnato: la casella del destinatario è piena.\n",subject="Mancata consegna",sender="postmaster@pec.example",charset="iso-8859-1"),{ADA:SOFT}),
    "a provider, in Portuguese": (mail("Sua mensagem para ada@example.org não pôde ser entregue.\nMotivo: usuário inexistente.\n",subject="Mensagem não entregue",sender="MAILER-DAEMON@uol.example",charset="iso-8859-1"),{ADA:HARD}),
    "a provider, in Spanish": (mail("Su mensaje no pudo ser entregado a:\n\nada@example.org\n\nMotivo: el buzón no existe.\n",subject="Mensaje no entregado",sender="postmaster@movistar.example",charset="iso-8859-1"),{ADA:HARD}),
    "a provider, in Japanese": (mail("お客様が送信されたメールは、以下の理由により配送できませんでした。\n\n宛先：ada@example.org\n理由：宛先のメールアドレスが存在しません。\n",subject="メール配送エラー",charset="iso-2022-jp",sender="postmaster@ocn.example"),{ADA:HARD}),
    "a provider, in Hungarian": (mail("Az üzenetet nem lehetett kézbesíteni a következő címzettnek: ada@example.org\nHiba: 550 5.1.1 nincs ilyen felhasználó\n",subject="Kézbesítési hiba",sender="MAILER-DAEMON@freemail.example"),{ADA:HARD}),
    "a provider, in Chinese": (mail("您的郵件無法傳送給以下收件者：\nada@example.org\n原因：無此使用者\n",subject="郵件退回通知",charset="big5",sender="postmaster@hinet.example"),{ADA:HARD}),
}  # fmt: skip

# Exchange and Outlook in the languages of the world, with nothing for machines: a gateway took it away.
LANGUAGES = {
    "German": ("Unzustellbar: News of Monday", "Ihre Nachricht an ada@example.org konnte nicht zugestellt werden.<br>ada wurde unter example.org nicht gefunden."),
    "French": ("Non remis : News of Monday", "Votre message à ada@example.org n'a pas pu être remis.<br>ada est introuvable à example.org."),
    "Spanish": ("No se puede entregar: News of Monday", "No se pudo entregar su mensaje a ada@example.org.<br>No se encontró a ada en example.org."),
    "Italian": ("Non recapitabile: News of Monday", "Impossibile recapitare il messaggio a ada@example.org.<br>ada non è stato trovato in example.org."),
    "Portuguese": ("Não é possível entregar: News of Monday", "Não foi possível entregar a sua mensagem para ada@example.org.<br>ada não foi encontrado em example.org."),
    "Dutch": ("Niet te bezorgen: News of Monday", "Uw bericht aan ada@example.org kan niet worden bezorgd.<br>ada is niet gevonden in example.org."),
    "Polish": ("Nie można dostarczyć: News of Monday", "Nie można było dostarczyć wiadomości do ada@example.org.<br>Nie znaleziono adresu ada w domenie example.org."),
    "Russian": ("Не удается доставить: News of Monday", "Не удалось доставить ваше сообщение адресату ada@example.org.<br>Адрес ada не найден в домене example.org."),
    "Japanese": ("配信不能: News of Monday", "ada@example.org へのメッセージを配信できませんでした。<br>ada が example.org に見つかりませんでした。"),
    "Chinese": ("无法传递: News of Monday", "无法传递发往 ada@example.org 的邮件。<br>在 example.org 中找不到 ada。"),
    "Korean": ("배달되지 않음: News of Monday", "ada@example.org(으)로 보낸 메시지를 배달할 수 없습니다.<br>example.org에서 ada을(를) 찾을 수 없습니다."),
    "Swedish": ("Gick inte att leverera: News of Monday", "Det gick inte att leverera ditt meddelande till ada@example.org.<br>ada hittades inte på example.org."),
    "Danish": ("Kan ikke leveres: News of Monday", "Din meddelelse til ada@example.org kunne ikke leveres.<br>ada blev ikke fundet på example.org."),
    "Czech": ("Nedoručitelné: News of Monday", "Vaši zprávu pro ada@example.org se nepovedlo doručit.<br>Adresa ada se v doméně example.org nenašla."),
    "Turkish": ("Teslim edilemedi: News of Monday", "ada@example.org adresine gönderdiğiniz ileti teslim edilemedi.<br>ada, example.org üzerinde bulunamadı."),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "said"), SERVERS.values(), ids=SERVERS)
def test_a_whole_mail_of_a_server_says_what_became_of_whom(raw, said):
    assert {one.email: one.kind for one in understand(raw).recipients} == said


@pytest.mark.parametrize(("subject", "words"), LANGUAGES.values(), ids=LANGUAGES)
def test_a_report_in_any_language_is_about_its_recipient_and_hard_by_what_the_server_said(subject, words):
    page = f"<html><body><p>{words}</p></body></html>"
    sender = "Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@example.org>"
    plain = understand(mail(page, subject=subject, kind="html", sender=sender))
    assert [one.email for one in plain.recipients] == [ADA]
    assert plain.kind in (Kind.HARD, Kind.SOFT)
    told = words.replace("<br>", "\n") + MICROSOFT + LETTER
    whole = understand(mail(told, subject=subject, sender="postmaster@example.org"))
    assert {one.email: one.kind for one in whole.recipients} == {ADA: Kind.HARD}
    person = "It seems that I get no mails any more. My new address is ada2@example.org."
    writer = "Ada <ada@example.org>"
    assert understand(mail(person, subject=subject, sender=writer, path=f"<{ADA}>")).kind is Kind.REPLY


PEOPLE = [
    (
        "Newsletter not delivered",
        "Hi, your newsletter was not delivered. My new address is ada2@example.org.",
        f"<{ADA}>",
        Kind.REPLY,
    ),
    (
        "mail rejected",
        "My provider says 550 5.7.1 rejected; my address is ada2@example.org now.",
        f"<{ADA}>",
        Kind.REPLY,
    ),
    (
        "News of Monday",
        "I am away until Monday, call 555 1234. Please write to bob@example.net instead.",
        "<>",
        Kind.UNKNOWN,
    ),
    ("Re: News of Monday", "I am on vacation until Monday.", "<>", Kind.UNKNOWN),
    (
        "Out of office: News",
        "I have left the company, my address is not found. Write to bob@example.net.",
        "<>",
        Kind.VACATION,
    ),
]


@pytest.mark.parametrize(("subject", "words", "path", "kind"), PEOPLE)
def test_what_people_write_about_failures_and_absence_is_no_report_of_those_they_name(subject, words, path, kind):
    found = understand(mail(words, subject=subject, sender=f"Ada <{ADA}>", path=path))
    assert (found.kind, found.recipients) == (kind, ())
