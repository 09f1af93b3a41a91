# ruff: noqa: E501 (what servers write is kept in its own lines)
"""Reports as the mail servers of the world word them: whom they are about, and what became of each."""

from __future__ import annotations

import hearing
import pytest

from digest.hear import understand
from digest.hear.report import Kind

OURS = "news-71@news.example"
LETTER = f"""Return-Path: <{OURS}>
Received: from news.example by mx.example.org; Mon, 23 Nov 2026 07:00:00 +0000
From: Daily <news@news.example>
To: ada@example.org
Message-ID: <1@news.example>
Subject: News
"""
ADA, BOB = "ada@example.org", "bob@example.net"


def mail(words: str, *, subject: str = "failure notice", sender: str = "MAILER-DAEMON@mx.example.org", more: str = ""):
    return hearing.person(words, sender=sender, subject=subject, to=OURS, more=more)


def status(*recipients: str, text: str = "It did not work.", subject: str = "Undelivered") -> bytes:
    """A report with a part for machines: the fields of each recipient."""
    blocks = "\n\n".join(("Reporting-MTA: dns; mx.example.org", *recipients))
    body = f"""--b
Content-Type: text/plain

{text}

--b
Content-Type: message/delivery-status

{blocks}

--b
Content-Type: message/rfc822

{LETTER}
Hello
--b--
"""
    kind = 'MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\n'
    return mail(body, subject=subject, more=kind)


def about(email: str, code: str, words: str, *, action: str = "failed") -> str:
    return f"Final-Recipient: rfc822; {email}\nAction: {action}\nStatus: {code}\nDiagnostic-Code: {words}"


# Name: the mail, then each recipient and what is said.
SHAPES = {
    "Exim, of two": (
        mail(
            "This message was created automatically by mail delivery software.\n\nA message that you sent could not be "
            "delivered to one or more of its\nrecipients. This is a permanent error. The following address(es) "
            "failed:\n\n"
            "  ada@example.org\n    host mx.example.org [192.0.2.1]\n    SMTP error from remote mail server after RCPT "
            "TO:<ada@example.org>:\n    550 5.1.1 No such user here\n  bob@example.net\n    mailbox is full: retry "
            "timeout exceeded\n\n------ This is a copy of the message, including all the headers. ------\n\n" + LETTER,
            subject="Mail delivery failed: returning message to sender",
            more="X-Failed-Recipients: ada@example.org,\n  bob@example.net\n",
        ),
        {ADA: Kind.HARD, BOB: Kind.SOFT},
    ),
    "Exim, without domain": (
        mail(
            "The following address(es) failed:\n\n  ada@example.org\n    all relevant MX records point to non-existent "
            "hosts\n\n" + LETTER,
            subject="Mail delivery failed: returning message to sender",
        ),
        {ADA: Kind.HARD},
    ),
    "Exim, of our sender": (
        mail(
            "The following address(es) failed:\n\n  ada@example.org\n    SMTP error from remote mail server after MAIL "
            "FROM:<news@news.example>:\n    550-Verification failed for <news@news.example>\n    550-Unrouteable "
            "address"
            "\n    550 Sender verify failed\n\n" + LETTER,
            subject="Mail delivery failed: returning message to sender",
        ),
        {ADA: Kind.POLICY},
    ),
    "qmail, of two": (
        mail(
            "Hi. This is the qmail-send program at mx.example.org.\nI'm afraid I wasn't able to deliver your message "
            "to "
            "the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n"
            "<ada@example.org>:\n192.0.2.1 does not like recipient.\nRemote host said: 550 User unknown\nGiving up on "
            "192.0.2.1.\n\n<bob@example.net>:\nThe users mailfolder is over the allowed quota (size). (#5.2.2)\n\n"
            "--- Below this line is a copy of the message.\n\n" + LETTER
        ),
        {ADA: Kind.HARD, BOB: Kind.SOFT},
    ),
    "qmail, after the letter": (
        mail(
            "Hi. This is the qmail-send program.\n\n<ada@example.org>:\n192.0.2.1 failed after I sent the message.\n"
            "Remote host said: 550 User unknown\n\n--- Below this line is a copy of the message.\n\n" + LETTER
        ),
        {ADA: Kind.SOFT},
    ),
    "qmail, of our sender": (
        mail(
            "Hi. This is the qmail-send program.\n\n<ada@example.org>:\nConnected to 192.0.2.1 but sender was "
            "rejected.\n"
            "Remote host said: 550 no such user\n\n--- Below this line is a copy of the message.\n\n" + LETTER
        ),
        {ADA: Kind.POLICY},
    ),
    "a webmail, of what it does not say": (
        mail(
            "Sorry, we were unable to deliver your message to the following address.\n\n<ada@example.org>:\n550: User "
            "unknown\n\n--- Below this line is a copy of the message.\n\n" + LETTER,
            subject="Failure Notice",
        ),
        {ADA: Kind.SOFT},
    ),
    "a webmail, at RCPT": (
        mail(
            "Sorry, we were unable to deliver your message to the following address.\n\n<ada@example.org>:\nRemote "
            "host "
            "said: 550 User unknown [RCPT_TO]\n\n--- Below this line is a copy of the message.\n\n" + LETTER,
            subject="Failure Notice",
        ),
        {ADA: Kind.HARD},
    ),
    "Sendmail, of three": (
        status(
            about(ADA, "5.1.1", "SMTP; 550 5.1.1 <ada@example.org>... User unknown"),
            about(BOB, "5.2.1", "SMTP; 550 5.2.1 <bob@example.net>... User unknown"),
            about("eve@example.com", "5.2.2", "SMTP; 552 5.2.2 over quota"),
            text="   ----- Transcript of session follows -----\n... while talking to mx.example.org.:\n>>> DATA\n"
            "<<< 550 5.2.1 <bob@example.net>... User unknown",
        ),
        {ADA: Kind.HARD, BOB: Kind.SOFT, "eve@example.com": Kind.SOFT},
    ),
    "Sendmail, whose transcript says when": (
        status(
            about(ADA, "5.0.0", "SMTP; 550 User unknown"),
            text="   ----- Transcript of session follows -----\n... while talking to mx.example.org.:\n"
            ">>> RCPT To:<ada@example.org>\n<<< 550 User unknown",
        ),
        {ADA: Kind.HARD},
    ),
    "an old Sendmail": (
        mail(
            "   ----- Transcript of session follows -----\nWhile talking to mx.example.org:\n>>> RCPT To:"
            "<ada@example.org>\n<<< 550 <ada@example.org>... User unknown\n550 <ada@example.org>... User unknown\n"
            "554 <bob@example.net>... 550 Host unknown (Authoritative answer from name server)\n\n"
            "   ----- Unsent message follows -----\n" + LETTER,
            subject="Returned mail: User unknown",
        ),
        {ADA: Kind.HARD, BOB: Kind.HARD},
    ),
    "Postfix, of a filter": (
        status(about(ADA, "5.0.0", "smtp; 550 Unknown user"), text="<ada@example.org>: host mx said: 550 Unknown user "
               "(in reply to end of DATA command)"),
        {ADA: Kind.SOFT},
    ),
    "Postfix at RCPT": (
        status(about(ADA, "5.0.0", "smtp; 550 Unknown user"), text="<ada@example.org>: host mx said: 550 Unknown user "
               "(in reply to RCPT TO command)"),
        {ADA: Kind.HARD},
    ),
    "Domino": (
        status(
            about(ADA, "5.0.0", "X-Notes; User ada (ada@example.org) not listed in Domino Directory"),
            text="Your message\n\n  Subject: News\n\nwas not delivered to:\n\n  ada@example.org\n\nbecause:\n\n  User "
            "ada (ada@example.org) not listed in Domino Directory",
        ),
        {ADA: Kind.HARD},
    ),
    "Domino, which found too many": (
        status(about(ADA, "5.0.0", "X-Notes; Several matches found in Domino Directory")), {ADA: Kind.SOFT}
    ),
    "a machine's words, no server's": (
        status(about(ADA, "5.0.0", "The account that you tried to reach does not exist.")), {ADA: Kind.SOFT}
    ),
    "Exchange of old": (
        mail(
            "Your message\n\n  To:      ada@example.org\n  Subject: News\n  Sent:    Mon, 23 Nov 2026 07:00:00 "
            "+0000\n\n"
            "did not reach the following recipient(s):\n\nada@example.org on Mon, 23 Nov 2026 07:00:01 +0000\n"
            "    The recipient name is not recognized\n\tThe MTS-ID of the original message is: c=us;a= ;p=x;l=1\n"
            "    MSEXCH:IMS:EXAMPLE:MX 0 (000C05A6) Unknown Recipient\n",
            subject="Undeliverable: News", sender="System Administrator <postmaster@mx.example.org>",
        ),
        {ADA: Kind.HARD},
    ),
    "Exchange, of a group": (
        status(about(ADA, "5.7.133", "smtp;550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication "
                                     "required")),
        {ADA: Kind.POLICY},
    ),
    "Courier": (
        mail(
            "This is a delivery status notification from mx.example.org,\nrunning the Courier mail server, version "
            "0.65.\n"
            "\nThe original message was received on Mon, 23 Nov 2026 07:00:00 +0000\n\n"
            "---------------------------------------------------------------------------\n\n"
            "                           UNDELIVERABLE MAIL\n\nYour message to the following recipients cannot be "
            "delivered:\n\n<ada@example.org>:\n    mx.example.org [192.0.2.1]:\n>>> RCPT TO:<ada@example.org>\n<<< 550 "
            "<ada@example.org>... User Unknown\n\n" + LETTER,
            subject="NOTICE: mail delivery status.",
        ),
        {ADA: Kind.HARD},
    ),
    "OpenSMTPD, of two": (
        mail(
            "    Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY to this email.\n\n    An error has occurred "
            "while attempting to deliver a message for\n    the following list of recipients:\n\nada@example.org: 550 "
            "5.1.1 <ada@example.org>... User Unknown\nbob@example.net: 550 5.2.2 <bob@example.net>... Mailbox Full\n\n"
            "    Below is a copy of the original message:\n\n" + LETTER,
            subject="Delivery status notification: error",
        ),
        {ADA: Kind.HARD, BOB: Kind.SOFT},
    ),
    "OpenSMTPD's warning": (
        mail(
            "    Hi!\n\n    A message is delayed for more than 4 hours for the following\n    list of recipients:\n\n"
            "ada@example.org: Network error on destination MXs\n\n    Please note that this is a temporary failure "
            "report.\n    The message is kept in the queue for up to 4 days.\n",
            subject="Delivery status notification: delayed",
        ),
        {ADA: Kind.DELAYED},
    ),
    "GMX": (
        mail(
            "This message was created automatically by mail delivery software (TheBat).\n\nA message that you sent "
            "could "
            "not be delivered to one or more of its\nrecipients. The following addresses "
            "failed:\n\n\"ada@example.org\":"
            "\nSMTP error from remote server after RCPT command:\nhost: mx.example.org\n550 unknown user\n\n"
            "--- The header of the original message is following. ---\n\n" + LETTER,
            subject="Mail delivery failed: returning message to sender", sender="mailer-daemon@gmx.example",
        ),
        {ADA: Kind.HARD},
    ),
    "a provider, for this reason": (
        mail(
            "This message was created automatically by mail delivery software.\n\nA message that you have sent could "
            "not "
            "be delivered to one or more\nrecipients. This is a permanent error. The following address failed:\n\n"
            "ada@example.org\n\nFor the following reason:\n\nMail size limit exceeded. For explanation visit\n"
            "http://postmaster.example/size\n\n--- The header of the original message is following. ---\n\n" + LETTER,
            subject="Mail delivery failed: returning message to sender",
        ),
        {ADA: Kind.POLICY},
    ),
    "a Japanese filter": (
        mail(
            "以下のメールアドレスへの送信に失敗しました。\nada@example.org\n\n-------server message\n550 5.1.1 <ada@example.org>... "
            "User unknown\n\n-------original message\n" + LETTER,
            subject="failure notice",
        ),
        {ADA: Kind.HARD},
    ),
    "a Japanese telephone": (
        mail(
            "The user(s) account is disabled.\n\n<ada@example.org>\n\n" + LETTER,
            subject="Mail System Error - Returned Mail", sender="Postmaster@mobile.example",
        ),
        {ADA: Kind.SOFT},
    ),
    "a Japanese telephone, at RCPT": (
        mail(
            "The user(s) account is not known, or this:\n\n<<< RCPT TO:<ada@example.org>\n>>> 550 <ada@example.org>: "
            "User"
            " unknown\n\n" + LETTER,
            subject="Mail System Error - Returned Mail", sender="Postmaster@mobile.example",
        ),
        {ADA: Kind.HARD},
    ),
    "a Japanese provider, full": (
        mail(
            "Your mail sent on: Mon, 23 Nov 2026 07:00:00 +0900\n\n  Could not be delivered to: <ada@example.org>\n\n"
            "  As their mailbox is full.\n\nYour mail was as follows:\n\n" + LETTER,
            subject="Mail delivery failed", sender="no-reply@app.example",
        ),
        {ADA: Kind.SOFT},
    ),
    "a Japanese provider, without domain": (
        mail(
            "Your mail sent on: Mon, 23 Nov 2026 07:00:00 +0900\n\n  Could not be delivered to: <ada@example.org>\n\n"
            "  As the remote domain doesn't exist.\n\n" + LETTER,
            subject="Mail delivery failed", sender="no-reply@app.example",
        ),
        {ADA: Kind.HARD},
    ),
    "brackets only": (
        mail(
            "The original message was received at Mon, 23 Nov 2026 07:00:00 +0900\nfrom [192.0.2.1]\n\n"
            "---The following addresses had delivery errors---\n\nada@example.org [User unknown]\n\n" + LETTER,
            subject="Mail Delivery Subsystem",
        ),
        {ADA: Kind.SOFT},
    ),
    "numbered errors": (
        mail(
            "We had trouble delivering your message. Full details follow:\n\nSubject: 'News'\nDate: 'Mon, 23 Nov "
            "2026'\n"
            "\n1 error(s):\n\nThe following recipients returned permanent errors: ada@example.org.\nReason: SMTP "
            "Server "
            "<mx.example.org> rejected recipient <ada@example.org> (Error following RCPT command). It responded as "
            "follows: [550 User unknown]\n\n" + LETTER,
            subject="There was an error sending your mail",
        ),
        {ADA: Kind.HARD},
    ),
    "IMail": (
        mail("Unknown user: ada@example.org\n\nOriginal message follows.\n\n" + LETTER, subject="Undeliverable Mail",
             sender="Postmaster@mx.example.org", more="X-Mailer: <SMTP32 v8.22>\n"),
        {ADA: Kind.SOFT},
    ),
    "IMail, full": (
        mail("User mailbox exceeds allowed size: ada@example.org\n\nOriginal message follows.\n\n" + LETTER,
             subject="Undeliverable Mail", sender="Postmaster@mx.example.org", more="X-Mailer: <SMTP32 v8.22>\n"),
        {ADA: Kind.SOFT},
    ),
    "MailMarshal": (
        mail(
            "Your message:\n   From:    news-71@news.example\n   Subject: News\n\nCould not be delivered because of\n\n"
            "550 5.1.1 User unknown\n\nThe following recipients were affected: \n    ada@example.org\n\n"
            "Additional Information\n======================\n\nOriginal Sender:    <news-71@news.example>\n",
            subject="Undeliverable Mail: \"News\"",
        ),
        {ADA: Kind.HARD},
    ),
    "MailFoundry": (
        mail(
            "Unable to deliver message to: <ada@example.org>\nDelivery failed for the following reason:\nServer "
            "mx.example.org[192.0.2.1] failed with: 550 <ada@example.org> No such user here\n\nThis has been a "
            "permanent "
            "failure.  No further delivery attempts will be made.\n",
            subject="Message delivery has failed",
        ),
        {ADA: Kind.HARD},
    ),
    "DragonFly, for one that it got the letter for": (
        mail(
            "This is the DragonFly Mail Agent v0.13 at df.example.org.\n\nThere was an error delivering your mail to "
            "<ada@example.org>.\n\nmx.example.org [192.0.2.1] did not like our RCPT TO:\n550 <ada@example.org>: "
            "Recipient"
            " address rejected: User unknown\n\nOriginal message follows.\n\n" + LETTER,
            subject="Mail delivery failed", more="X-Original-To: <ada@example.org>\n",
        ),
        {ADA: Kind.HARD},
    ),
    "Zoho": (
        mail(
            "This message was created automatically by mail delivery software.\n A message that you sent could not be "
            "delivered to one or more of its recipients. This is a permanent error. \n\nada@example.org Invalid "
            "Address, "
            "ERROR_CODE :550, ERROR_CODE :5.1.1 <ada@example.org>... User unknown\n\nReceived:from mail.example.com\n",
            subject="Undelivered Mail Returned to Sender", sender="mailer-daemon@mail.example.com",
        ),
        {ADA: Kind.HARD},
    ),
    "a Russian webmail": (
        mail(
            "Это письмо создано автоматически\nсервером, отвечать на него не нужно.\n\nК сожалению, Ваше письмо не "
            "может\n"
            "быть доставлено одному или нескольким получателям:\n\n**********************\n\nada@example.org\nSMTP "
            "error "
            "from remote mail server after RCPT TO:<ada@example.org>:\nhost mx.example.org [192.0.2.1]: 550 User "
            "unknown"
            "\n\n**********************\n\n" + LETTER,
            subject="Mail failure.", sender="mailer-daemon@mail.example.com",
        ),
        {ADA: Kind.HARD},
    ),
    "Messaging Server": (
        status(
            "Original-recipient: rfc822;ada@example.org\nFinal-recipient: rfc822;ada@example.org\nAction: failed\n"
            "Status: 5.4.4 (Illegal host/domain name found)",
            text="This report relates to a message you sent with the following header fields:\n\n  From: "
                 "news@news.example"
            "\n  To: ada@example.org\n\nYour message cannot be delivered to the following recipients:\n\n  Recipient "
            "address: ada@example.org\n  Reason: Illegal host/domain name found",
        ),
        {ADA: Kind.HARD},
    ),
    "Messaging Server, full": (
        status(
            "Original-recipient: rfc822;ada@example.org\nFinal-recipient: rfc822;ada@example.org\nAction: failed\n"
            "Status: 5.2.2 (Over quota)",
        ),
        {ADA: Kind.SOFT},
    ),
    "a report of a report": (
        status(
            about(ADA, "5.0.0", "SMTP; 554 delivery error: dd This user doesn't have a example.org account (x) [0] - "
                       "mta1")
        ).replace(
            LETTER.encode(),
            b"Return-Path: <>\nFrom: Mail Delivery Subsystem <MAILER-DAEMON>\nMIME-Version: 1.0\nContent-Type: "
             b"multipart/"
            b"report; report-type=delivery-status;\n\tboundary=\"inner\"\n\n--inner\nContent-Type: "
             b"message/delivery-status"
            b"\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; bob@example.net\nAction: failed\nStatus: 5.1.1\n"
            b"\n--inner--\n",
        ),
        {ADA: Kind.HARD},
    ),
    "a bounce that a person forwards": (
        hearing.person(
            "Look at this.\n\nBegin forwarded message:\n\n> From: Mail Delivery Subsystem <MAILER-DAEMON>\n> Date: "
            "today\n"
            "> Subject: Returned mail\n> \n> The following addresses had permanent fatal errors\n> "
            "<ada@example.org>\n>   "
            "  (reason: 550 5.1.1 <ada@example.org>... User unknown)\n> \n> Final-Recipient: RFC822; ada@example.org\n"
            "> Action: failed\n> Status: 5.1.1\n",
            sender="Carla <carla@example.com>", subject="Fwd: Returned mail", to="news@news.example",
        ),
        {ADA: Kind.HARD},
    ),
    "a bounce in words that a person forwards": (
        hearing.person(
            "FYI\n\n-----Original Message-----\nFrom: postmaster@mx.example.org\nSent: today\nSubject: "
            "Undeliverable\n\n"
            "Delivery to the following recipients failed.\n\n   ada@example.org\n   550 5.1.1 user unknown\n",
            sender="Carla <carla@example.com>", subject="FW: Undeliverable", to="news@news.example",
        ),
        {ADA: Kind.HARD},
    ),
    "a service's mail, in English and German": (
        mail(
            "Your message wasn't delivered to ada@example.org because the address couldn't be found, or is unable to "
            "receive mail.\n\nThe response from the remote server was:\n550 5.1.1 user unknown\n",
            subject="Delivery Status Notification (Failure)", more="X-Failed-Recipients: ada@example.org\n",
        ),
        {ADA: Kind.HARD},
    ),
    "a group that may not be there": (
        mail(
            "Hello news@news.example,\n\nWe're writing to let you know that the group you tried to contact (ada) may "
            "not "
            "exist, or you may not have permission to post messages to the group.\n",
            subject="Delivery Status Notification (Failure)", more="X-Failed-Recipients: ada@example.org\n",
        ),
        {ADA: Kind.POLICY},
    ),
    "an account moved": (
        status(about(ADA, "5.1.6", "smtp; 551 5.1.6 The user has moved; please try ada@example.com")), {ADA: Kind.HARD}
    ),
    "a domain that takes no mail": (
        status(about(ADA, "5.1.10", "smtp; 556 5.1.10 Domain example.org does not accept mail (nullMX)")),
        {ADA: Kind.HARD},
    ),
    "a number for none, with other words": (
        status(
            about(ADA, "5.1.1", "smtp; 550 5.1.1 this account is suspended"),
            about(BOB, "5.1.2", "smtp; 550 5.1.2 Sender domain not found"),
            about("eve@example.com", "5.1.1", "smtp; 550 5.1.1 Service unavailable"),
        ),
        {ADA: Kind.SOFT, BOB: Kind.POLICY, "eve@example.com": Kind.SOFT},
    ),
    "unavailable, at RCPT and not": (
        status(
            about(ADA, "5.0.0", "smtp; 550 Requested action not taken: mailbox unavailable (in reply to RCPT TO "
                       "command)"),
            about(BOB, "5.0.0", "smtp; 550 Requested action not taken: mailbox unavailable"),
            about("eve@example.com", "5.0.0", "smtp; 550 Requested action not taken: mailbox unavailable. Blocked by "
                  "IP "
                                              "address (in reply to RCPT TO command)"),
        ),
        {ADA: Kind.HARD, BOB: Kind.SOFT, "eve@example.com": Kind.POLICY},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "said"), SHAPES.values(), ids=SHAPES)
def test_a_report_says_what_became_of_whom(raw, said):
    assert {one.email: one.kind for one in understand(raw).recipients} == said
