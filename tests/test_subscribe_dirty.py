"""subscribe: lists as they come, written another way than CSV, with what stands above, beside and beyond their rows.

Who somebody is says the part before the @: act is active, gone may be anything else, or refused, but never active.
"""

from __future__ import annotations

import io

import pytest
from test_subscribe_lists import export, take, terms

from digest import subscribe
from digest.errors import BadInput
from digest.subscribe import mailboxes, transfer


def taken(text: str, **more):
    """The people of a list by the part before the @, and the reasons of the rows that are refused."""
    found, columns = transfer._understood(io.BytesIO(text.encode()), terms(**more))
    people, refused = {}, []
    for record in found.records:
        try:
            person = columns.person(record)
        except BadInput as error:
            refused.append(str(error))
        else:
            state = person.state if not person.reason else person.reason.partition(" ")[0]
            people[person.email.partition("@")[0]] = (state, person.name)
    return people, refused


def nobody_gone_is_active(people) -> None:
    assert {who for who, (state, _name) in people.items() if state == "active"} == {
        who for who in people if who.startswith("act")
    }


WRITTEN = {
    "backslashes": 'email,name,status\n"act1@example.com","Ada \\"C, D\\" L","subscribed"\n'
    '"gone1@example.com","B \\"x\\" z","unsubscribed"\n"act2@example.com","says ""hi""","subscribed"\n',
    "backslash, line break": '"email","name","status"\n"act1@example.com","Ada \\"C\\"\nD","subscribed"\n'
    '"gone1@example.com","B","unsubscribed"\n"act2@example.com","a\\\\","subscribed"\n',
    "a folder at the end": 'email,name,status\n"act1@example.com","C:\\x\\","subscribed"\n'
    '"gone1@example.com","B","unsubscribed"\n"act2@example.com","C","subscribed"\n',
    "a blank before quotes": '"email", "name", "status"\n"act1@example.com", "Lovelace, Ada", "subscribed"\n'
    '"gone1@example.com", "Y, Z", "unsubscribed"\n"act2@example.com", "C", "subscribed"\n',
    "rows in quotes": 'email,name,status\n"act1@example.com,""X, Y"",subscribed"\n'
    '"gone1@example.com,Z,unsubscribed"\n"act2@example.com,C,subscribed"\n',
    "all in quotes": '"email,name,status"\n"act1@example.com,X,subscribed"\n"gone1@example.com,Z,unsubscribed"\n'
    '"act2@example.com,C,subscribed"\n',
    "all in quotes, semicolons": '"email,name,status";;\n"act1@example.com,X,subscribed";;\n'
    '"gone1@example.com,Z,unsubscribed";;\n"act2@example.com,C,subscribed";;\n',
    "sep line and blank": "sep=;\r\n\r\nMy list;\r\nemail;name;status\r\nact1@example.com;X;subscribed\r\n"
    "gone1@example.com;Z;unsubscribed\r\nact2@example.com;C;subscribed\r\n",
    "title with an address": "Members for news@example.org\nemail,name,status\nact1@example.com,X,subscribed\n"
    "gone1@example.com,Z,unsubscribed\nact2@example.com,C,subscribed\n",
    "first column #": "#,What is your email?,Newsletter?\n7,act1@example.com,yes\n8,gone1@example.com,no\n"
    "9,act2@example.com,yes\n",
    "marks in titles": "\u200bemail\u200b,\u00a0name,sta\u200btus\nact1@example.com,X,\u200bsubscribed\n"
    "gone1@example.com,Z,unsubscribed\u00a0\nact2@example.com,C,subscribed\n",
    "hints in titles": "Email Address [Required],Group Email [Required],Status [READ ONLY]\n"
    "act1@example.com,all@example.org,subscribed\ngone1@example.com,all@example.org,unsubscribed\n"
    "act2@example.com,all@example.org,active\n",
}


@pytest.mark.parametrize("how", WRITTEN)
def test_a_list_that_was_written_another_way_than_csv_is_read(how):
    people, refused = taken(WRITTEN[how])
    assert set(people) == {"act1", "act2", "gone1"} and not refused
    nobody_gone_is_active(people)


def test_names_behind_backslashes_and_null_are_what_they_were():
    people, _ = taken(
        'email,name,unsubscribed_at\n"act1@example.com","Ada \\"C\\" L",\\N\n"act2@example.com",\\N,\\N\n'
    )
    assert people == {"act1": ("active", 'Ada "C" L'), "act2": ("active", "")}


GONE = {
    "a heading": "act1@example.com\n\nAbgemeldet (2):\ngone1@example.com\ngone2@example.com\n",
    "a comment": "# active\nact1@example.com\n# unsubscribed\ngone1@example.com\n# active\nact2@example.com\n",
    "a heading in CSV": "email,name\nact1@example.com,A\n--- Bounced ---,\ngone1@example.com,B\ngone2@example.com,C\n",
    "one heading, then another": "act1@example.com\nUnsubscribed\n\nPage 2\ngone1@example.com\n",
    "more cells": "email,status\nact1@example.com,subscribed\ngone1@example.com,subscribed,unsubscribed\n",
    "a shifted row": "email,name,unsubscribed_at\nact1@example.com,A,\ngone1@example.com,Lovelace, Ada,2024-01-13\n"
    "gone2@example.com,B,2024-01-13\n",
    "two in a row": "email\nact1@example.com\nact2@example.com,gone1@example.com\n",
    "struck out": "email,name\nact1@example.com,A\n#gone1@example.com,B\n//gone2@example.com,C\n-gone3@example.com,D\n",
    "notes": "act1@example.com\ngone1@example.com - unsubscribed\ngone2@example.com left the list\n"
    "gone3@example.com # left\ngone4@example.com Gone Away\ngone5@example.com\tunsubscribed\n",
    "a name that is none": "Ada <act1@example.com>\nUnsubscribed <gone1@example.com>\n"
    "Hard Bounce <gone2@example.com>\n",
    "a word beside": "act1@example.com,Ada\n" + "".join(f"act{n}@example.com,R {n}\n" for n in range(2, 90))
    + "gone1@example.com,unsubscribed\n",
}  # fmt: skip


@pytest.mark.parametrize("how", GONE)
def test_what_stands_above_beside_or_beyond_a_row_is_heeded_and_told(how):
    people, refused = taken(GONE[how])
    nobody_gone_is_active(people)
    assert "act1" in people and len(refused) >= GONE[how].count("gone") - len([p for p in people if p[:4] == "gone"])


def test_a_list_whose_first_line_says_that_nobody_reads_is_asked_about():
    for text in (
        "Unsubscribed contacts\n\nEmail,Name\ngone@example.com,A\n",
        "# unsubscribed\ngone@example.com\n",
        "Unsubscribed Email,Name\ngone@example.com,A\n",
        "Bounced e-mail addresses\ngone@example.com\n",
        "Email,Date,Reason\ngone@example.com,2024-01-13,I get too many of them\n",
        "address,code,error\ngone@example.com,550,unknown user\n",
    ):
        if text.startswith("address"):
            assert taken(text)[0]["gone"][0] == "bounced"
            continue
        with pytest.raises(subscribe.MeaningWanted):
            taken(text)
        assert taken(text, meaning="unsubscribed")[0]["gone"][0] == "unsubscribed"


@pytest.mark.parametrize(
    "text",
    [
        "act1@example.com;active\ngone@example.com;unsubscribed\n",
        "act1@example.com;yes\ngone@example.com;no\n",
        "act1@example.com;Ada;1\ngone@example.com;Ben;0\n",
        "act1@example.com,other1@example.com,Ada\nact2@example.com,other2@example.com,Ben\n",
        "Seller email,Buyer email\na@example.com,b@example.com\nc@example.com,d@example.com\n",
        "email,error\ngone@example.com,550 5.1.1 user unknown\nact1@example.com,\n",
    ],
)
def test_what_no_title_tells_is_asked_about(text):
    with pytest.raises(BadInput, match=r"it has no title|several columns of addresses|takes no mail"):
        taken(text)


ABOUT_LETTERS = "Receive updates|Werbung|Im Verteiler|Liste de diffusion|Infos per Mail|Stay in touch?|Weekly digest"
ABOUT_LETTERS += "|Email notifications|Publicidad|Announcements|Excluded from campaigns|suspended_at|Expired|Keep?"


@pytest.mark.parametrize("title", ABOUT_LETTERS.split("|"))
def test_a_yes_or_a_no_under_a_title_that_may_be_about_letters_is_asked_about(title):
    for no in ("no", "0", ""):
        with pytest.raises(BadInput, match="is not understood"):
            taken(f"email,{title}\nact1@example.com,{'1' if no == '0' else 'yes'}\ngone@example.com,{no}\n")


@pytest.mark.parametrize(
    "title", ["VIP", "Member", "Paid", "Emails opened", "Emails sent", "Informatik", "Has account", "Invoice by post"]
)
def test_a_yes_or_a_no_about_something_else_is_kept(title):
    values = ("1", "0") if title.startswith("Emails") else ("yes", "no")
    people, refused = taken(f"email,{title}\nact1@example.com,{values[0]}\nact2@example.com,{values[1]}\n")
    assert {state for state, _ in people.values()} == {"active"} and not refused


def test_pasted_people_are_found_and_names_are_what_they_were():
    people, refused = taken(
        "- act1@example.com\n2) act2@example.com\nact3@example.com act4@example.com\nact5@example.com Ada de la Tour\n"
        'Ben act6@example.com\n=?utf-8?q?J=C3=BCrgen?= <act7@example.com>\nElmer Sperry <act8@example.com>\n'
        "act9@example.com\tAnna Quaranta\n'act10@example.com\nTo: act11@example.com\n"
    )  # fmt: skip
    assert not refused and len(people) == 11
    names = {who: name for who, (_state, name) in people.items() if name}
    assert names == {
        "act5": "Ada de la Tour",
        "act6": "Ben",
        "act7": "Jürgen",
        "act8": "Elmer Sperry",
        "act9": "Anna Quaranta",
    }


@pytest.mark.parametrize(
    "cell",
    [
        '=HYPERLINK("mailto:act@example.com","act@example.com")',
        '<a href="mailto:act@example.com">Act@example.com</a>',
        "[act@example.com](mailto:act@example.com)",
        "<mailto:act@example.com|act@example.com>",
    ],
)
def test_the_address_of_a_link_that_shows_it_is_read(cell):
    assert mailboxes.mailbox(cell)[0].lower() == "act@example.com"
    with pytest.raises(BadInput):
        mailboxes.mailbox(cell.replace("act@", "other@", 1))


def test_who_is_paused_in_one_column_is_so_whatever_another_says():
    text = "email,status,delivery status\nz@example.com,active,paused\nact1@example.com,active,enabled\n"
    assert {who: state for who, (state, _) in taken(text)[0].items()} == {"z": "paused", "act1": "active"}


def test_a_google_group_says_who_gets_mail():
    people, refused = taken(
        "Members for news@example.org\nEmail address,Nickname,Group status,Email status,Email preference\n"
        "act1@example.com,A,member,,email\npaused@example.com,B,member,,no email\n"
        "gone1@example.com,C,member,bouncing,email\n"
        "gone2@example.com,D,banned,,email\nasked@example.com,E,invited,,email\n"
    )
    assert not refused and {who: state for who, (state, _) in people.items()} == {
        "act1": "active",
        "paused": "paused",
        "gone1": "bounced",
        "gone2": "blocklisted",
        "asked": "pending",
    }


def test_when_and_from_where_somebody_confirmed_counts_and_the_rest_is_kept():
    titles = "Signup timestamp,Signup IP address,Confirmation timestamp,Confirmation IP address"
    found, columns = transfer._understood(
        io.BytesIO(f"Email,{titles}\na@example.com,2024-01-05 10:00,192.0.2.1,2024-01-05 10:05,192.0.2.2\n".encode()),
        terms(),
    )
    person = columns.person(next(found.records))
    assert (person.since.strftime("%H:%M"), person.ip) == ("10:05", "192.0.2.2")
    assert person.fields == {"Signup timestamp": "2024-01-05 10:00", "Signup IP address": "192.0.2.1"}


@pytest.mark.parametrize(
    ("title", "cell"),
    [
        ("Date Created", "2024-01-13"),
        ("Fecha de alta", "13/01/2024"),
        ("登録日", "2024年1月13日 10時00分"),
        ("Timestamp Opt", "2024-01-13T10:00:00Z"),
        ("Registered", "Sat Jan 13 10:00:00 UTC 2024"),
    ],
)
def test_since_when_is_read_under_any_title_that_says_so(title, cell):
    found, columns = transfer._understood(io.BytesIO(f"email,{title}\na@example.com,{cell}\n".encode()), terms())
    assert columns.person(next(found.records)).since.strftime("%Y-%m-%d") == "2024-01-13"


def test_a_list_of_suppressions_says_why(database):
    rows = "HardBounce,bounced|SpamComplaint,complained|ManualSuppression,blocklisted|USER_SUPPRESSED,blocklisted"
    pairs = [row.split(",") for row in rows.split("|")]
    take(
        database,
        "EmailAddress,SuppressionReason\n" + "".join(f"g{n}@x.example,{w}\n" for n, (w, _) in enumerate(pairs)),
    )
    written = export(database)
    for number, (_word, why) in enumerate(pairs):
        assert any(f"g{number}@" in line and why in line for line in written.splitlines())


@pytest.mark.parametrize("text", ["act1@example.com\nLeft us:\ngone@example.com\n",
    "email,subscribed\nact1@example.com,yes\nemail,unsubscribed\ngone@example.com,yes\n"])  # fmt: skip
def test_who_was_refused_for_what_stood_above_is_not_taken_from_the_file_of_refused_rows(database, tmp_path, text):
    kept = tmp_path / "rejects.csv"
    take(database, text, rejects=kept)
    take(database, kept)
    assert "gone@example.com" not in export(database)
    take(database, kept, meaning="unsubscribed")
    assert "gone@example.com,,active" not in export(database)
    assert ("gone@example.com,,unsubscribed" in export(database)) == ("Left" in text)
    people, _ = taken("line,reason,email\n4,mended,act1@example.com\n")
    assert people == {"act1": ("active", "")}


def test_a_state_with_a_note_behind_it_is_the_state_unless_the_note_may_turn_it():
    told = "Unsubscribed (by admin),Subscribed (confirmed),Bounced (hard),En attente de confirmation,Blacklist,pausiert"
    rows = "".join(f"r{n}@example.com,{state}\n" for n, state in enumerate(told.split(",")))
    people, refused = taken(f"email,status\n{rows}r9@example.com,Active (bounced 2x)\nr8@example.com,Yes (by post)\n")
    states = [state for state, _name in people.values()]
    assert states == ["unsubscribed", "active", "bounced", "pending", "blocklisted", "paused"] and len(refused) == 2


@pytest.mark.parametrize(
    "text",
    [
        '"Ada Lovelace" <act1@example.com>, "Roth, Ben" <act2@example.com>, act3@example.com',
        "Lovelace, Ada <act1@example.com>; Roth, Ben <act2@example.com>; Cem <act3@example.com>",
        "Lovelace, Ada <act1@example.com>\nRoth, Ben <act2@example.com>\nact3@example.com\n",
        "Ada Lovelace (act1@example.com)\nBen Roth (act2@example.com)\n[act3@example.com]\n",
    ],
)
def test_people_that_were_copied_from_a_mail_program_are_all_found(text):
    people, refused = taken(text)
    assert set(people) == {"act1", "act2", "act3"} and not refused
    assert "Lovelace" in people["act1"][1] and "Roth" in people["act2"][1]


def test_a_token_says_nothing_of_who_has_it():
    people, refused = taken("email,confirmation_token,Unsubscribe URL\nact1@example.com,a1b2,https://x.example/1\n")
    assert people == {"act1": ("active", "")} and not refused
