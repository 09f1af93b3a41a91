"""subscribe: how a list is read before any of it is taken: columns, dates, encodings, the plan; and taking it back."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from conftest import MONDAY, on_sqlite
from people import enrol
from test_subscribe_lists import export, exported, take, terms

from digest import subscribe
from digest.errors import BadInput
from digest.store import Database, history, import_log, imports, listing, newsletters, renames
from digest.subscribe import Evidence, charset, columns, dates, moves, sheet, survey, titles

LATER = Evidence("undo", MONDAY)


def read(text: str, **more):
    """The columns of a list, decided over all of it, and its rows."""
    content = text if isinstance(text, bytes) else text.encode()
    first = sheet.read(io.BytesIO(content), name="list.csv")
    seen = survey.look(first.header, max(len(first.header), len(first.first)), first.records)
    found = columns.Columns.find(first.header, first.first, {}, terms(**more), seen)
    return found, list(sheet.read(io.BytesIO(content), name="list.csv").records)


def states(text: str, **more) -> list[str]:
    where, rows = read(text, **more)
    people = [where.person(row) for row in rows]
    return [person.state or person.reason.partition(" ")[0] for person in people]


# ---------------------------------------------------------------- what smells

SMELLS = [
    "Email Consent",
    "GDPR permission",
    "Einwilligung",
    "Abgemeldet am",
    "Consentement",
    "Désabonné",
    "Consentimiento",
    "Fecha de baja",
    "Consenso privacy",
    "Disiscritto",
    "Descadastrado",
    "Autorização",
    "Toestemming",
    "Uitgeschreven",
    "Zgoda",
    "Wypisany",
    "Согласие",
    "Дата отписки",
    "Samtycke",
    "Avregistrerad",
    "İzin",
    "Ayrıldı mı",
    "同意",
    "購読状態",
    "订阅状态",
    "退订",
    "Hard bounces",
    "Is blacklisted?",
    "Spam complaints",
    "Do not mail",
    "Gesperrt",
    "Bestätigt",
    "Unsubscribed",
    "Status",
    "Suppressed",
    "Confirmed",
    "Opt-Out",
    "OptedIn",
    "Statut",
    "Durum",
    "Newsletter",
]


@pytest.mark.parametrize("title", SMELLS)
def test_a_column_that_smells_of_consent_and_is_not_understood_stops_the_import(title):
    text = f"email,{title}\na@example.com,purple\nb@example.com,green\n"
    with pytest.raises(BadInput, match="is not understood") as told:
        read(text)
    assert title in str(told.value) and "purple" in str(told.value) and f"--ignore-column {title!r}" in told.value.hint
    assert states(text, ignore=[title]) == ["active", "active"]


@pytest.mark.parametrize(
    "title", ["City", "Company", "Birthday", "Notes", "Plan", "Subscriber ID", "Kundennummer", "都市"]
)
def test_a_column_of_the_operators_own_is_kept(title):
    where, rows = read(f"email,{title}\na@example.com,purple\n")
    assert where.person(rows[0]).fields == {title: "purple"}


@pytest.mark.parametrize("value", ["Unsubscribed by user", "HARD_BOUNCED today", "abgemeldet am Telefon"])
def test_values_that_smell_stop_it_under_any_title(value):
    with pytest.raises(BadInput, match="stands in it"):
        read(f"email,remark\na@example.com,fine\nb@example.com,{value}\n")
    assert states("email,remark\na@example.com,subscribed\nb@example.com,UNSUBSCRIBED\n") == ["active", "unsubscribed"]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("consent:Yes,No", ["active", "unsubscribed"]),
        ("Einwilligung:ja,nein", ["active", "unsubscribed"]),
        ("Zgoda:tak,nie", ["active", "unsubscribed"]),
        ("Согласие:да,нет", ["active", "unsubscribed"]),
        ("同意:はい,いいえ", ["active", "unsubscribed"]),
        ("Accepts Email Marketing:yes,no", ["active", "unsubscribed"]),
        ("Abgemeldet:x,", ["unsubscribed", "active"]),
        ("unsubscribed:false,true", ["active", "unsubscribed"]),
        ("Bounced:0,1", ["active", "bounced"]),
        ("suppressed:no,yes", ["active", "blocklisted"]),
        ("Is blacklisted?:no,yes", ["active", "blocklisted"]),
        ("Désabonné le:,2021-02-03", ["active", "unsubscribed"]),
        ("email verified:true,", ["active", "pending"]),
        ("Marketing status:SUBSCRIBED,NEVER_SUBSCRIBED", ["active", "pending"]),
        ("SMS consent:no,no", ["active", "active"]),
        ("Statut:abonné,désabonné", ["active", "unsubscribed"]),
        ("DSGVO-Einwilligung am:2021-02-03,", ["active", "pending"]),
        ("subscribed:2021-02-03,2021-02-04", ["active", "active"]),
        ("Contactable:yes,no", ["active", "unsubscribed"]),
        ("Locked:0,1", ["active", "blocklisted"]),
        ("Status:ingeschreven,uitgeschreven", ["active", "unsubscribed"]),
        ("Statut:abonnée,désinscrite", ["active", "unsubscribed"]),
        ("Estado:suscrita,dada de baja", ["active", "unsubscribed"]),
        ("Stato:iscritta,cancellata", ["active", "unsubscribed"]),
        ("Status:zapisana,wypisana", ["active", "unsubscribed"]),
        ("Статус:подписана,отписалась", ["active", "unsubscribed"]),
        ("Status:tilmeldt,afmeldt", ["active", "unsubscribed"]),
        ("状態:配信中,配信停止", ["active", "unsubscribed"]),
        ("상태:구독중,수신거부", ["active", "unsubscribed"]),
        ("סטטוס:פעיל,הוסר", ["active", "unsubscribed"]),
        ("Plainte:non,oui", ["active", "complained"]),
        ("Beschwerden:0,1", ["active", "complained"]),
        ("Жалоба:нет,да", ["active", "complained"]),
        ("accept:1,0", ["active", "unsubscribed"]),
        ("Newsletter?:Ja!,Nein!", ["active", "unsubscribed"]),
    ],
)
def test_what_smells_and_is_understood_in_every_row_counts(column, expected):
    title, _, values = column.partition(":")
    one, other = values.split(",")
    assert states(f"email,{title}\na@example.com,{one}\nb@example.com,{other}\n") == expected


GONE = [
    "Newsletter abbestellt am",
    "Newsletter cancelled on",
    "Subscription ended",
    "Inactive since",
    "Left",
    "Austritt",
    "ShouldForget",
]
GONE += ["abonnement annulé", "suscripción cancelada", "fecha de baja", "iscrizione annullata", "data cancelamento"]
GONE += ["abonnement gestopt", "opgezegd op", "подписка отменена", "prenumeration avslutad", "ophørt", "iptal tarihi"]
GONE += ["předplatné zrušeno", "tilaus päättynyt", "購読停止", "订阅终止", "מנוי בוטל", "اشتراك ملغى", "deactivated at"]


@pytest.mark.parametrize("title", GONE)
@pytest.mark.parametrize("values", [",2024-02-01", "no,yes"])
def test_what_says_that_somebody_has_gone_is_never_consent(title, values):
    one, other = values.split(",")
    assert states(f"email,{title}\na@example.com,{one}\nb@example.com,{other}\n") == ["active", "unsubscribed"]


@pytest.mark.parametrize(
    ("titles", "cells"),
    [
        ("City,State,Zip", ["Omaha,NE,1", "Ottawa,ON,2", "Albany,NY,3"]),
        ("Città,Provincia,Stato", ["Novara,NO,SI", "Siena,SI,NO", "Roma,RM,RM"]),
        ("address1,city,state", ["x,Ulm,", "y,Bonn,", "z,Köln,"]),
        ("Company,State", ["A,NE", "B,CA", "C,ON"]),
        ("Subscriptions gifted,Type", ["0,Free", "1,Free", "2,Free"]),  # how many they gave to others
        ("Subscription price,Subscription plan", ["0,free", "0,premium", "1,free"]),
        ("Subscribe Source,Opt-in page", ["Import,/", "Form,/", "API,/"]),
        ("Anmeldequelle,Lead Status", ["Messe,New", "Formular,Open", "Messe,New"]),
        ("ConsentToTrack,Cookie consent", ["No,No", "Yes,No", "Unchanged,Yes"]),
        ("Consenso profilazione,Photo consent", ["No,no", "Sì,yes", "No,no"]),
        ("MailingCity,MailingState,Mailing Address", ["Omaha,NE,no", "Ottawa,ON,x", "Albany,NY,y"]),
        ("Attendee Status,Postal code", ["Attending,1", "Not attending,2", "Attending,3"]),
        ("Email tracking consent,Einwilligung an Dritte", ["No,nein", "No,ja", "Yes,nein"]),
    ],
)
def test_what_is_told_of_somebody_besides_whether_they_want_it_takes_nobody_off_the_list(titles, cells):
    people = "".join(f"r{n}@example.com,{line}\n" for n, line in enumerate(cells))
    assert states(f"email,{titles}\n{people}") == ["active"] * 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Subscription plan:premium,cancelled", ["active", "unsubscribed"]),
        ("Newsletter page:yes,no", ["active", "unsubscribed"]),
        ("Number of newsletters:0,1", "is not understood"),
        ("Consent to marketing and tracking:yes,no", "is not understood"),
        ("City,State:x,NO;y,ON", ["unsubscribed", "active"]),
        ("City,State:x,active;y,NY", "the state 'NY' is not one we know"),
    ],
)
def test_what_may_say_whether_they_want_it_counts_or_is_asked_about(text, expected):
    title, _, cells = text.partition(":")
    one, other = cells.split(";" if ";" in cells else ",")
    text = f"email,{title}\na@example.com,{one}\nb@example.com,{other}\n"
    if isinstance(expected, list):
        assert states(text) == expected
    else:
        with pytest.raises(BadInput, match=expected):
            states(text)


@pytest.mark.parametrize(
    ("title", "cells"),
    [
        ("Photo club subscription", ["yes", "no"]),  # letters with pictures are letters
        ("Subscribed to photo digest", ["yes", "no"]),
        ("Consenso comunicazioni e profilazione", ["sì", "no"]),
        ("Consenso e-mail e profilazione", ["sì", "no"]),
        ("Autorizzazione invio offerte e cessione a terzi o terze parti", ["sì", "no"]),
        ("Newsletter?", ["Yes, by post", "No"]),
        ("Newsletter?", ["Ja, aber nicht per Mail", "Nein"]),
        ("Newsletter?", ["Yes. No mails", "No"]),
        ("Invalid mailing address", ["no", "yes"]),
        ("Bounced e-mail ID", ["no", "yes"]),
        ("Estado", ["SI", "NO", "NS"]),
        ("Estado", ["SI", "NO", "NC"]),
    ],
)
def test_what_may_be_a_no_to_letters_is_asked_about(title, cells):
    people = "".join(f'r{n}@example.com,"{cell}"\n' for n, cell in enumerate(cells))
    with pytest.raises(BadInput, match=r"is not understood|is not one we know"):
        states(f"email,{title}\n{people}")


@pytest.mark.parametrize(
    "title",
    [
        "Student newsletter",
        "Lead opt-in",
        "Family newsletter",
        "Job alerts subscribed",
        "Order status newsletter",
        "Email ID status",
        "Subscriber ID confirmed",
        "Patron mailing list",
        "Project updates subscribed",
    ],
)
def test_whose_letters_they_are_is_no_state_of_something_else(title):
    told = states(f"email,{title}\na@example.com,1\nb@example.com,0\n")
    assert told[0] == "active" and told[1] in ("unsubscribed", "pending")


@pytest.mark.parametrize(
    "note", ["unsubscribed", "do not mail", "abgemeldet", "bounced", "désabonnée", "退订", "left", "no", "inactive"]
)
def test_a_note_behind_an_address_that_they_get_no_letters_is_no_name(note):
    with pytest.raises(BadInput, match="stands behind the address"):
        states(f"email\nmina@example.com ({note})\njon@example.com\n")


@pytest.mark.parametrize("between", ["email;name;PLZ\n", "\ufeffemail;name;PLZ\n", '\ufeff"email";"name";"PLZ"\n'])
def test_cells_are_read_as_a_spreadsheet_shows_them_and_a_header_that_comes_again_is_none(between):
    one = '="mina@example.com";="Mina";="01234"\n'
    other = '"=""jon@example.com""";"=""Jon """"J"""" H""";#NAME?\n'
    where, rows = read(f"email;name;PLZ\n{one}{between}{other}")
    told = [(who.email, who.name, who.fields) for who in map(where.person, rows)]
    assert told == [("mina@example.com", "Mina", {"PLZ": "01234"}), ("jon@example.com", 'Jon "J" H', {})]


@pytest.mark.parametrize(
    "text",
    [
        "email,subscribed\na@example.com,yes\nemail,unsubscribed\nb@example.com,yes\nc@example.com,yes\n",
        "email,name,city\na@example.com,A,X\nname,email,left\nb@example.com,x@example.com,yes\nB,c@example.com,\n",
        "email,name\na@example.com,A\n\n\ufeffE-Mail,unsubscribed\nb@example.com,yes\nc@example.com,yes\n",
    ],
)
def test_below_a_header_of_other_columns_nobody_is_taken_and_each_row_is_told(text):
    found = list(sheet.read(io.BytesIO(text.encode()), name="list.csv").records)
    assert [bool(row.problem) for row in found] == [False, True, True, True]
    assert "a header of other columns" in found[-1].problem


def test_below_the_first_header_again_people_are_taken_again():
    text = "email,name\na@example.com,A\nemail,left\nb@example.com,yes\nemail,name\nc@example.com,C\n"
    text += "E-Mail,Name\nd@example.com,D\n"
    found = list(sheet.read(io.BytesIO(text.encode()), name="list.csv").records)
    assert [row.cells[0] for row in found if not row.problem] == [
        "a@example.com",
        "c@example.com",
        "E-Mail",
        "d@example.com",
    ]


def test_a_row_without_an_address_that_says_e_mail_is_no_header():
    text = "email,name,reached by\na@example.com,A,email\n,Jon,email\nb@example.com,B,post\n"
    assert [row.problem for row in sheet.read(io.BytesIO(text.encode()), name="list.csv").records] == ["", "", ""]


@pytest.mark.parametrize(("yes", "no"), [("Yes, please", "No, thanks"), ("Ja, gerne", "Nein."), ("Oui !", "Non merci")])
def test_what_people_answer_in_a_form_is_a_yes_or_a_no_or_is_asked_about(yes, no):
    text = f'email,Would you like our newsletter?\na@example.com,"{yes}"\nb@example.com,"{no}"\n'
    if "merci" in no:
        with pytest.raises(BadInput, match="is not understood"):
            states(text)
    else:
        assert states(text) == ["active", "unsubscribed"]


@pytest.mark.parametrize("lead", ["", "# the list of 2026\n", "#\n\n"])
def test_a_name_in_brackets_behind_an_address_is_its_name(lead):
    where, rows = read(f"{lead}mina@example.com (Mina Harker)\njon@example.com\n")
    told = [(who.email, who.name) for who in map(where.person, rows)]
    assert told == [("mina@example.com", "Mina Harker"), ("jon@example.com", "")]


@pytest.mark.parametrize("typed", ["mina＠example.com", "ｍｉｎａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "\u3000mina@example。com"])
def test_an_address_in_the_full_width_letters_of_an_east_asian_keyboard_is_one(typed):
    assert subscribe.address(typed) == "mina@example.com"


@pytest.mark.parametrize("error", ["#NAME?", "#REF!", "#N/A", "#WERT!", "#VALEUR!", "########"])
def test_what_a_spreadsheet_shows_for_a_formula_that_came_to_nothing_is_no_name(error):
    where, rows = read(f"email,name,city\nmina@example.com,{error},Ulm\n")
    assert where.person(rows[0]).name == ""


def test_a_state_in_the_words_of_more_services_counts():
    told = "neu,wartend,Beschwerde,abused,unzustellbar,plainte,nowy"
    rows = "".join(f"{n}@example.com,{state}\n" for n, state in enumerate(told.split(",")))
    assert states(f"email,status\n{rows}") == (
        ["pending", "pending", "complained", "complained", "bounced", "complained", "pending"]
    )
    where, plain = read("email,remark\na@example.com,neu\nb@example.com,wartend\n")
    assert where.person(plain[0]).fields == {"remark": "neu"}


@pytest.mark.parametrize("title", ["Subscription end date", "Newsletter expires", "fin d'abonnement", "購読終了"])
def test_the_end_of_a_subscription_is_asked_about(title):
    with pytest.raises(BadInput, match="is not understood"):
        states(f"email,{title}\na@example.com,\nb@example.com,2024-02-01\n")


TURNED = ["No newsletter", "Kein Newsletter", "Geen nieuwsbrief"]
TURNED += ["Mag Newsletter nicht", "Ohne Newsletter", "配信不可"]
TURNED += [
    "Отказ от рассылки",
    "Exclude from mailing",
    "No consent",
    "Sans consentement",
    "Brak zgody",
    "未同意",
    "同意なし",
]
TURNED += [
    "Consent missing",
    "Consent pending",
    "Needs consent",
    "Consent denied",
    "Newsletter unerwünscht",
    "GDPR erasure",
]
TURNED += [
    "Unconfirmed",
    "Not confirmed",
    "Email not verified",
    "Nicht bestätigt",
    "Non confirmé",
    "未確認",
    "Niepotwierdzony",
]
TURNED += ["Newsletter paused", "Subscription suspended"]
TURNED += ["Not subscribed", "Не подписан", "Verification failed"]
TURNED += ["Not unsubscribed", "Not bounced", "Deliverable"]
TURNED += ["Zustellbar", "Is inactive", "Not active", "On hold"]
TURNED += [
    "Ne pas contacter",
    "No contactar",
    "Nie wysyłać",
    "Не писать",
    "Don't mail",
    "Email unwanted",
    "Cannot email",
]
TURNED += [
    "Kontakt erlaubt",
    "May contact",
    "Email valid",
    "Werbung erlaubt",
    "Wants mail",
    "Excluded",
    "Erased",
    "拒否",
]


@pytest.mark.parametrize("title", TURNED)
@pytest.mark.parametrize("values", ["yes,no", ",2024-02-01", "1,0"])
def test_what_turns_consent_into_its_opposite_or_leaves_it_open_is_asked_about(title, values):
    one, other = values.split(",")
    text = f"email,{title}\na@example.com,{one}\nb@example.com,{other}\n"
    with pytest.raises(BadInput, match="is not understood"):
        states(text)
    assert states(text, ignore=[title]) == ["active", "active"]


NO_CONSENT = [
    "no consent",
    "kein Einverständnis",
    "ne plus contacter",
    "no contactar",
    "не писать",
    "verstorben",
    "deceased",
]


@pytest.mark.parametrize("value", NO_CONSENT)
def test_a_value_that_forbids_to_write_stops_it_under_any_title(value):
    with pytest.raises(BadInput, match="stands in it"):
        read(f"email,remark\na@example.com,fine\nb@example.com,{value}\n")


OWN = [
    "Contact name",
    "Contact No",
    "Interests",
    "Non-profit",
    "Mobile No",
    "Email format",
    "Has email",
    "NIE",
    "Contacted",
]
OWN += [
    "Active member",
    "Werber",
    "Почта России",
    "Sans gluten",
    "Unit",
    "Invited by",
    "Volunteer",
    "Order No",
    "Mail owner",
]


@pytest.mark.parametrize("title", OWN)
def test_what_only_has_a_word_for_mail_or_for_no_in_it_is_kept(title):
    where, rows = read(f"email,{title}\na@example.com,yes\nb@example.com,purple\n")
    assert where.person(rows[1]).fields == {title: "purple"}


SERVICES = [
    ("Address,Role,Delivery Status\n", "a@example.com,member,enabled", "active"),
    ("Address,Role,Delivery Status\na@example.com,member,enabled\n", "b@example.com,nonmember,enabled", "refused"),
    ("Address,Role,Delivery Status\na@example.com,member,enabled\n", "b@example.com,owner,enabled", "refused"),
    ("email,name,subscribed_to_emails,email_disabled\n", "a@example.com,A,true,1", "blocklisted"),
    ("email,name,subscribed_to_emails,email_disabled\n", "a@example.com,A,true,0", "active"),
    ("id,email_address,type,creation_date,unsubscription_reason\n", "1,a@example.com,regular,,", "active"),
    ("email,status\na@example.com,active\n", "b@example.com,Do Not Contact", "unsubscribed"),
    ("email,status\na@example.com,active\n", "b@example.com,DNC", "unsubscribed"),
    ("email,Zgoda\na@example.com,PRAWDA\n", "b@example.com,FAŁSZ", "unsubscribed"),  # as spreadsheets write it there
    ("email,Согласие\na@example.com,ИСТИНА\n", "b@example.com,ЛОЖЬ", "unsubscribed"),
]


@pytest.mark.parametrize(("before", "row", "state"), SERVICES)
def test_what_services_and_spreadsheets_say_of_somebody(before, row, state):
    where, rows = read(f"{before}{row}\n")
    if state == "refused":
        with pytest.raises(BadInput, match="is not one we know"):
            where.person(rows[-1])
        return
    person = where.person(rows[-1])
    assert (person.state or person.reason.partition(" ")[0]) == state


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("BEGIN:VCARD\r\nVERSION:3.0\r\nEMAIL:a@example.com\r\nEND:VCARD\r\n", "vCard"),
        ("version: 1\n\ndn: cn=Ann,dc=example\nmail: a@example.com\n", "LDIF"),
        ("dn:: Y249QW5u\nmail: a@example.com\n", "LDIF"),
        ("date 1580000000\nemail a@example.com\nreception nomail\n", "Sympa"),
    ],
)
def test_an_address_book_is_called_what_it_is(text, what):
    with pytest.raises(BadInput, match=what):
        read(text)


def test_a_name_in_quotes_may_have_a_comma_in_it():
    where, rows = read('"Roth, Ann" <a@example.com>, b@example.com\n"Lee; Ben"<c@example.com>\n')
    told = [(person.email, person.name) for person in map(where.person, rows)]
    assert told == [("a@example.com", "Roth, Ann"), ("b@example.com", ""), ("c@example.com", "Lee; Ben")]


HARMLESS = [
    "Trabaja",
    "Weekend newsletter",
    "Recommended by",
    "Annual revenue",
    "Handicap",
    "Carretera",
    "Script alerts",
]
HARMLESS += [
    "Script alerts",
    "Investor notes",
    "Orders cancelled",
    "Event cancelled",
    "Accepts cancellation policy",
    "Planta Baja",
]
HARMLESS += [
    "Permission to send",
    "Newsletter Studierende",
    "Newsletter for friends",
    "Newsletter Wochenende",
    "Front-End newsletter",
]
HARMLESS += ["Newsletter back end"]


@pytest.mark.parametrize("title", HARMLESS)
def test_what_only_sounds_like_leaving_is_none(title):
    assert states(f"email,{title}\na@example.com,yes\nb@example.com,yes\n") == ["active", "active"]


@pytest.mark.parametrize("value", ["Granular", "Campanula", "Carretera", "Rebaja", "Order cancelled", "Script Alley"])
def test_a_value_that_only_sounds_like_leaving_is_kept(value):
    where, rows = read(f"email,remark\na@example.com,{value}\nb@example.com,fine\n")
    assert where.person(rows[0]).fields == {"remark": value} and where.person(rows[0]).state == "active"


def test_states_say_who_ended_it_and_whether_a_mailbox_was_only_full():
    told = "Unsubscribed by Admin,removed_by_owner,Soft bounced,softBounced,Hard bounced"
    rows = "".join(f"{n}@example.com,{state}\n" for n, state in enumerate(told.split(",")))
    assert states(f"email,status\n{rows}") == ["unsubscribed", "unsubscribed", "active", "active", "bounced"]


@pytest.mark.parametrize(
    "lead",
    [
        "# exported 2026-05-01\n",
        "# of a@b.example\n# two, three, four, five\n\n",
        "Subscribers\n",
        '"Report, whole"\nGenerated:;1 May\n\n',
    ],
)
def test_what_a_report_says_before_its_header_is_left_out(lead):
    found = sheet.read(io.BytesIO(f"{lead}Name;E-Mail\nAnn;a@example.com\n".encode()), name="list.csv")
    assert (found.separator, found.header) == (";", ["Name", "E-Mail"])
    assert [(row.line, row.cells) for row in found.records] == [(lead.count("\n") + 2, ["Ann", "a@example.com"])]


@pytest.mark.parametrize("text", ["#,Email\n1,a@example.com\n", "Kontakt,Kanal,Ort\nAnn,email,Bonn\n", "# only this\n"])
def test_a_header_stays_one_whatever_follows(text):
    assert sheet.read(io.BytesIO(text.encode()), name="list.csv").header == text.splitlines()[0].split(",")


@pytest.mark.parametrize(
    "text", ["email\r\na@example.com\r\n\x1a", "email\na@example.com\x1a\0\0", "#\na@example.com\n\x1a"]
)
def test_the_sign_by_which_dos_ends_a_file_is_no_row(text):
    found = sheet.read(io.BytesIO(text.encode()), name="list.csv")
    assert [row.cells for row in found.records] == [["a@example.com"]]


@pytest.mark.parametrize(
    ("titles", "cells", "name"),
    [
        ("Prénom,Nom", "Zoé,Lefèvre", "Zoé Lefèvre"),
        ("Vorname,Name", "Änne,von Öhr", "Änne von Öhr"),
        ("Name,Voornaam", "Bakker,Piet", "Piet Bakker"),
        ("Name,First Name", "Ann Bell,Ann", "Ann Bell"),
        ("Name,First Name,Last Name", "A. Bell,Ann,Bell", "A. Bell"),
        ("Prénom,Nom", "Zoé,", "Zoé"),
        ("Prénom,Nom", ",Lefèvre", "Lefèvre"),
        ("Nome,Cognome", "Ada,Rossi", "Ada Rossi"),
        ("Name,Nachname", "Ada Roth,Roth", "Ada Roth"),
    ],
)
def test_a_name_beside_a_first_name_is_the_last_one(titles, cells, name):
    where, rows = read(f"email,{titles}\na@example.com,{cells}\n")
    assert where.person(rows[0]).name == name


@pytest.mark.parametrize("cell", ["mailto:a@example.com", "MailTo:a@example.com?subject=Hi", "'a@example.com'"])
def test_an_address_that_was_a_link_or_quoted_is_one(cell):
    where, rows = read(f"email\n{cell}\n")
    assert where.person(rows[0]).email == "a@example.com"


def test_a_state_of_a_postal_address_is_none_of_consent():
    where, rows = read("email,State,City\na@example.com,CA,Fresno\n")
    assert where.person(rows[0]).state == "active" and where.person(rows[0]).fields["State"] == "CA"


# ---------------------------------------------------------------- dates


NOTHING = ["", "NULL", "null", "-", "--", "never", "n/a", "N/A", "none", "0", "0000-00-00", "nunca", "00/00/0000"]
NOTHING += ["0000-00-00 00:00:00", "1970-01-01", "0001-01-01T00:00:00Z", r"\N"]


@pytest.mark.parametrize("cell", NOTHING)
def test_what_says_nothing_as_a_date_of_leaving_ends_nobody(cell):
    assert states(f"email,unsubscribed_at\na@example.com,{cell}\nb@example.com,2021-01-02\n") == [
        "active",
        "unsubscribed",
    ]


def test_a_cell_that_is_no_date_says_nothing_and_its_row_is_named(database):
    plans = []
    done = take(database, "email,created_at\na@example.com,soon\nb@example.com,2021-01-02\n", agree=plans.append)
    assert (done.added, done.unread) == (2, 1)
    assert plans[0].unread == ("line 2: 'soon' in 'created_at' is no date, and says nothing",)


@pytest.mark.parametrize("cell", ["13 Smarch 2024", "yes (by telephone)", "2024-13-13", "last week", "01/2024", "2024"])
def test_who_left_at_a_time_that_cannot_be_read_is_refused_and_told(cell):
    where, rows = read(f"email,unsubscribed_at\na@example.com,{cell}\nb@example.com,2021-01-02\n")
    with pytest.raises(BadInput, match="which we do not understand"):
        where.person(rows[0])
    assert where.person(rows[1]).state == "unsubscribed"


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("31/12/2021 14:05", datetime(2021, 12, 31, 14, 5, tzinfo=UTC)),
        ("12/31/2021 2:05 PM", datetime(2021, 12, 31, 14, 5, tzinfo=UTC)),
        ("Jan 5, 2024", datetime(2024, 1, 5, tzinfo=UTC)),
        ("5. Januar 2024", datetime(2024, 1, 5, tzinfo=UTC)),
        ("5 января 2024", datetime(2024, 1, 5, tzinfo=UTC)),
        ("2024年1月5日", datetime(2024, 1, 5, tzinfo=UTC)),
        ("Fri, 05 Jan 2024 10:00:00 +0100", datetime(2024, 1, 5, 9, tzinfo=UTC)),
        ("2024/1/5", datetime(2024, 1, 5, tzinfo=UTC)),
        ("1609459200", datetime(2021, 1, 1, tzinfo=UTC)),
        ("1609459200000", datetime(2021, 1, 1, tzinfo=UTC)),
        ("44197", datetime(2021, 1, 1, tzinfo=UTC)),
        ("31.12.21", datetime(2021, 12, 31, tzinfo=UTC)),
        ("31/02/2021", None),
        ("yesterday", None),
    ],
)
def test_dates_are_read_as_people_and_services_write_them(cell, moment):
    assert dates.read(cell) == moment


def test_the_order_of_day_and_month_is_decided_over_the_column_and_told():
    where, rows = read("email,created_at\na@example.com,03/04/2021\nb@example.com,31/12/2021\n")
    assert where.reading.uses[1].why == "read as day/month: 31/12/2021 in row 3"
    assert where.person(rows[0]).since == datetime(2021, 4, 3, tzinfo=UTC)
    where, rows = read("email,created_at\na@example.com,03.04.2021\n")
    assert where.person(rows[0]).since == datetime(2021, 4, 3, tzinfo=UTC)


def test_an_order_that_nobody_can_know_is_asked_for():
    text = "email,created_at\na@example.com,03/04/2021\n"
    with pytest.raises(subscribe.Ambiguous, match="in two ways: 03/04/2021 in row 2"):
        read(text)
    for order, month in (("day-first", 4), ("month-first", 3)):
        where, rows = read(text, dates=order)
        assert where.person(rows[0]).since.month == month
    with pytest.raises(BadInput, match="13/04/2021 in row 2 is day/month, 05/16/2021 in row 3 month/day"):
        read("email,created_at\na@example.com,13/04/2021\nb@example.com,05/16/2021\n")


def test_a_date_to_come_refuses_its_row(database):
    done = take(database, "email,created_at\na@example.com,2099-01-01\nb@example.com,2021-01-01\n")
    assert (done.added, done.refused_first[0].reason) == (1, "the date '2099-01-01' in 'created_at' is still to come")


# ---------------------------------------------------------------- what a name says, and encodings


BARE = ["unsubscribed.txt", "bounces.csv", "désabonnés.csv", "Abgemeldete 2024.txt", "blocklist.csv", "optouts.csv"]
BARE += ["nonsubscribed_segment_export_1.csv", "members-nomail.txt", "non-members.txt", "bybounces.txt"]
BARE += ["spam-reports.csv", "отписавшиеся.csv", "unconfirmed.csv", "suppression_bounces.csv", "cleaned members.csv"]


@pytest.mark.parametrize("name", BARE)
def test_a_bare_list_whose_name_says_otherwise_is_asked_for_its_meaning(name):
    with pytest.raises(subscribe.MeaningWanted, match="its name sounds as if nobody did"):
        read("a@example.com\n", name=name)
    assert states("email,status\na@example.com,subscribed\n", name=name) == ["active"]
    for meaning, state in (("active", "active"), ("pending", "pending"), ("unsubscribed", "unsubscribed")):
        assert states("a@example.com\n", name=name, meaning=meaning) == [state]
    assert states("a@example.com\n", name=name, meaning="suppressed") == ["suppressed"]


NAMES = {
    "cp1250": ["Jiří Dvořák", "Łukasz Wąs", "Szűcs Gábor", "Žaneta Nováková"],
    "cp1251": ["Иван Петров", "Ольга", "Олександр Їжак"],
    "shift_jis": ["山田太郎", "さとう はなこ", "鈴木", "タナカ"],
    "gb18030": ["张伟", "王芳", "李娜", "北京"],
    "mac_roman": ["Jürgen Müßig", "Élodie Lefèvre", "François", "Muñoz"],
    "cp1252": ["Jürgen Müßig", "Élodie Lefèvre", "François", "Muñoz", "Søren"],
    "koi8_r": ["Иван Петров"],
    "utf-8": ["Jiří", "Иван", "山田"],
}


@pytest.mark.parametrize("encoding", NAMES)
def test_names_are_read_in_the_encoding_they_were_written_in(encoding):
    lists = [[name] for name in NAMES[encoding]] + [NAMES[encoding]]
    for names in lists:
        text = "email;name\n" + "".join(f"r{i}@example.com;{name}\n" for i, name in enumerate(names))
        found = sheet.read(io.BytesIO(text.encode(encoding)), name="list.csv")
        assert [row.cells[1] for row in found.records] == names, found.charset


@pytest.mark.parametrize(
    ("encoding", "text", "name"),
    [
        ("cp949", "이메일,이름\nr@example.com,김철수\n", "김철수"),
        ("gb18030", "邮箱,姓名\nr@example.com,李\n", "李"),
        ("mac_roman", "email;name\rr@example.com;Jürgen Møller\r", "Jürgen Møller"),
        ("cp850", "email;name\r\nr@example.com;Jürgen Müller\r\n", "Jürgen Müller"),
    ],
)
def test_titles_and_the_ends_of_lines_tell_how_names_are_written(encoding, text, name):
    where, rows = read(text.encode(encoding))
    assert where.person(rows[0]).name == name


def test_an_encoding_can_be_said_and_must_be_one(database):
    take_in = "email;name\nr@example.com;Äпп\n".encode()
    stream = io.BytesIO(take_in)
    subscribe.import_csv(database, stream, terms(encoding="latin-1"), newsletter="daily")
    assert exported(database)["r@example.com"][1] == "Ã\x84Ð¿Ð¿".replace("\x84", "")
    with pytest.raises(BadInput, match="no encoding that we know"):
        charset.named("klingon")


# ---------------------------------------------------------------- known people, fields, tags


@pytest.mark.long
def test_known_people_are_updated_where_it_is_asked_for_and_never_in_their_consent(database):
    take(database, "email,name,tags,city,topics\nmina@example.com,Mina,VIP,Whitby,ai\njon@example.com,Jon,,,\n")
    with database.write() as session:
        subscribe.remove(session, "jon@example.com", newsletter="daily", evidence=Evidence("web", MONDAY))
    text = (
        'email,status,name,tags,city,topics\nmina@example.com,subscribed,Mina Harker,"vip,new",London,web\n'
        "jon@example.com,subscribed,Jonathan,,,\n"
    )
    assert take(database, text).updated == 0
    assert take(database, text, update=("name", "tags", "fields", "topics")).updated == 2
    with database.read() as session:
        mina, jon = (subscribe.known(session, f"{who}@example.com") for who in ("mina", "jon"))
        assert (mina.name, mina.tags, mina.fields) == ("Mina Harker", ["VIP", "new"], {"city": "London"})
        assert history.standings(session, mina)[0].topics == ("web",)
        assert (jon.name, history.standings(session, jon)[0].state) == ("Jonathan", "unsubscribed")


def test_fields_come_with_a_list_are_found_and_go_with_an_export(database):
    take(
        database, 'email,city,data\nmina@example.com,Zürich,"{""age"": 42, ""pet"": ""cat""}"\nlucy@example.com,Rome,\n'
    )
    with database.read() as session:
        assert subscribe.known(session, "mina@example.com").fields == {"city": "Zürich", "age": "42", "pet": "cat"}
        for words, found in (
            ("city=zürich", ["mina"]),
            ("city", ["lucy", "mina"]),
            ("age=42", ["mina"]),
            ("city=42", []),
        ):
            page = listing.listed(session, subscribe.search(field=words), limit=9)
            assert [row.email.partition("@")[0] for row in page.rows] == found, words
    line = next(line for line in export(database).splitlines() if line.startswith("mina"))
    assert json.dumps({"city": "Zürich", "age": "42", "pet": "cat"}, ensure_ascii=False).replace('"', '""') in line


def test_tags_compare_without_case(database):
    take(database, 'email,tags\nmina@example.com,"VIP, vip,Été"\n')
    with database.write() as session:
        assert subscribe.known(session, "mina@example.com").tags == ["VIP", "Été"]
        enrol(session, "lucy@example.com", tags=["Press", "PRESS"])
        assert subscribe.known(session, "lucy@example.com").tags == ["Press"]
        for tag in ("vip", "été", "ÉTÉ"):
            assert len(listing.listed(session, subscribe.search(tag=tag), limit=9).rows) == 1, tag


# ---------------------------------------------------------------- taking it back

BEFORE = "email,name\nmina@example.com,Mina\njon@example.com,Jon\nlucy@example.com,Lucy\n"
WRONG = (
    "email,name,status,tags\nmina@example.com,M,unsubscribed,\njon@example.com,J,bounced,\nlucy@example.com,L,subscribed,x\n"
    "new@example.com,New,subscribed,\ngone@example.com,Gone,unsubscribed,\nbad@example.com,,bounced,\n"
)


def unstamped(database) -> list[str]:
    """The export without when a state was reached, which an undo is part of."""
    return [",".join(line.split(",")[:11]) for line in export(database).splitlines()]


def test_an_import_is_taken_back_to_the_list_that_there_was(database):
    take(database, BEFORE)
    before = unstamped(database)
    done = take(database, WRONG, update=("name", "tags"))
    assert (done.added, done.left, done.ended, done.suppressed, done.updated) == (1, 1, 1, 2, 2)
    assert unstamped(database) != before
    rehearsed = import_log.undo(database, done.number, evidence=LATER, dry_run=True)
    assert unstamped(database) != before
    undone = import_log.undo(database, done.number, evidence=LATER)
    assert undone == rehearsed and undone.kept == 0
    assert unstamped(database) == before
    assert take(database, WRONG, update=("name", "tags")).added == 1  # and none of it stands in the way


def test_who_was_changed_since_stays_as_they_are(database):
    take(database, BEFORE)
    done = take(database, WRONG)
    with database.write() as session:
        subscribe.change(session, "new@example.com", newsletter="daily", name="Newman", evidence=LATER, known_topics=())
        subscribe.add(session, "mina@example.com", subscribe.Joining("daily", (), "s" * 30), evidence=LATER, again=True)
    undone = import_log.undo(database, done.number, evidence=LATER)
    assert undone.kept_first == ("mina@example.com", "new@example.com")
    assert (
        exported(database)["new@example.com"][1] == "Newman" and exported(database)["mina@example.com"][0] == "active"
    )
    assert "gone@example.com" not in exported(database)
    with database.read() as session:
        run = import_log.find(session, done.number)
    assert run.undone_at == MONDAY and run.changes == {"ended": 1, "people made": 1, "subscriptions made": 1}


def test_an_undo_gives_topics_back_by_the_names_they_have_now(database):
    known = ("ai", "web", "old", "other", "here")
    take(database, 'email,topics\nmina@example.com,"ai,old"\njon@example.com,"ai,here"\n', known_topics=known)
    done = take(
        database,
        "email,topics\nmina@example.com,web\njon@example.com,web\n",
        update=("topics",),
        known_topics=known,
    )
    assert done.updated == 2
    with database.write() as session:
        paper = newsletters.lock(session, "daily")
        for was, now in (("ai", "ml"), ("ml", "models"), ("old", ""), ("here", "there")):
            renames.rename_topic(session, paper, was, now, LATER)
    import_log.undo(database, done.number, evidence=LATER, topics={"daily": ("models", "web", "here")})
    with database.read() as session:
        found = {who: subscribe.find(session, f"{who}@example.com", "daily")[1].topics for who in ("mina", "jon")}
    assert found == {"mina": ["models"], "jon": ["here", "models"]}  # `here` is one that there is


def test_an_undo_that_was_stopped_goes_on_where_it_was(database, monkeypatch):
    done = take(database, "email\n" + "".join(f"r{i}@example.com\n" for i in range(5)))
    monkeypatch.setattr(import_log, "STEP", 2)
    monkeypatch.setattr(import_log, "STEPS", 1)
    monkeypatch.setattr(Database, "give_way", lambda self: None)
    take_back, times = import_log._take_back, []

    def stop(*args):
        if times:
            raise KeyboardInterrupt
        times.append(1)
        take_back(*args)

    monkeypatch.setattr(import_log, "_take_back", stop)
    with pytest.raises(KeyboardInterrupt):
        import_log.undo(database, done.number, evidence=LATER)
    assert len(exported(database)) == 3
    monkeypatch.setattr(import_log, "_take_back", take_back)
    import_log.undo(database, done.number, evidence=LATER)
    assert exported(database) == {}


LIST = "email,status\n" + "".join(f"r{i}@example.com,{'unsubscribed' if i == 3 else 'subscribed'}\n" for i in range(7))


def in_steps_of_two(monkeypatch, between):
    """Imports go in steps of two rows, and `between` is done between two of them, given how many there were."""
    monkeypatch.setattr(imports, "STEP", 2)
    times = []
    monkeypatch.setattr(Database, "give_way", lambda self: (times.append(1), between(len(times))))


def test_an_import_that_was_killed_between_two_steps_is_taken_up_or_taken_back(database, monkeypatch):
    take(database, "email\nr0@example.com\nr5@example.com\nr3@example.com\n")
    before = unstamped(database)

    def kill(times):
        if times == 2:
            raise KeyboardInterrupt

    in_steps_of_two(monkeypatch, kill)
    parts = []
    with pytest.raises(KeyboardInterrupt):
        take(
            database,
            LIST,
            agree=lambda plan: lambda done, rows: parts.append((done.number, done.added, done.ended, rows)),
        )
    assert [part[1:] for part in parts] == [(1, 0, 2), (2, 1, 4)]
    killed = parts[-1][0]
    with database.read() as session:
        assert import_log.find(session, killed).counts["ended"] == 1
    assert set(exported(database)) == {f"r{i}@example.com" for i in (0, 1, 2, 3, 5)}
    monkeypatch.setattr(Database, "give_way", lambda self: None)
    rest = take(database, LIST)
    assert (rest.added, rest.ended, rest.known) == (2, 0, 5) and len(exported(database)) == 7
    assert import_log.undo(database, rest.number, evidence=LATER).kept == 0
    assert import_log.undo(database, killed, evidence=LATER).kept == 0
    assert unstamped(database) == before


def test_who_leaves_between_two_steps_of_an_import_stays_gone_when_it_is_taken_back(database, monkeypatch):
    def leave(times):
        if times == 1:
            with database.write() as session:
                subscribe.remove(session, "r0@example.com", newsletter="daily", evidence=LATER)

    in_steps_of_two(monkeypatch, leave)
    done = take(database, LIST)
    assert (done.added, done.left, done.duplicates) == (6, 1, 0)
    monkeypatch.setattr(Database, "give_way", lambda self: None)
    assert import_log.undo(database, done.number, evidence=LATER).kept_first == ("r0@example.com",)
    assert {who: line[0] for who, line in exported(database).items()} == {"r0@example.com": "unsubscribed"}


@on_sqlite
def test_a_step_of_an_import_looks_at_nobody_but_those_of_its_rows(database, monkeypatch):
    """Else a list takes its square. As SQLite plans it."""
    take(database, "email\n" + "".join(f"r{i}@example.com\n" for i in range(200)))
    asked: dict[str, object] = {}
    seen = sa.event.listens_for(database.engine, "before_cursor_execute")
    in_steps_of_two(monkeypatch, lambda times: None)
    plans = []

    @seen
    def look(connection, cursor, statement, parameters, *_):
        if statement.startswith("UPDATE subscription") and statement not in asked:
            asked[statement] = parameters
            cursor.execute("EXPLAIN QUERY PLAN " + statement, parameters)
            plans.extend(row[3] for row in cursor.fetchall())

    take(database, "email,status\n" + "".join(f"r{i}@example.com,unsubscribed\n" for i in range(6)))
    assert asked and not [plan for plan in plans if "SCAN subscription" in plan or "ix_subscription" in plan], plans


def test_whoever_is_erased_is_gone_from_the_notes_of_imports_too(database):
    done = take(database, "email\nmina@example.com\n")
    with database.write() as session:
        subscribe.erase(session, "mina@example.com", secret="s" * 30, now=MONDAY)
        assert import_log.find(session, done.number).changes == {}


def test_whoever_moved_is_erased_from_the_notes_of_imports_as_well(database):
    done = take(database, "email\nmina@example.com\n")
    with database.write() as session:
        moves.move(session, "mina@example.com", "mina@example.net", secret="s" * 30, evidence=LATER)
        assert import_log.find(session, done.number).changes
    assert import_log.undo(database, done.number, evidence=LATER, dry_run=True).kept == 1
    with database.write() as session:
        subscribe.erase(session, "mina@example.net", secret="s" * 30, now=MONDAY)
        assert import_log.find(session, done.number).changes == {}


def test_a_plan_counts_what_a_large_file_would_do(database):
    take(database, "email\n" + "".join(f"r{i}@example.com\n" for i in range(40)))
    plans = []
    gone = "".join(f"r{i}@example.com,unsubscribed\n" for i in range(12))
    take(database, f"email,status\n{gone}", dry_run=True, agree=plans.append)
    assert plans[0].large == ("end 12",) and plans[0].listed == 40
    assert [(c.title, c.field) for c in plans[0].columns] == [("email", "email"), ("status", "state")]
    assert plans[0].columns[1].values == (("unsubscribed", 12, "unsubscribed"),)
    assert len(plans[0].sample) == 10 and plans[0].sample[0].outcome == imports.ENDED
    take(database, f"email,status\n{gone[:60]}", dry_run=True, agree=plans.append)
    assert plans[1].large == ()


@on_sqlite
def test_a_plan_says_of_who_bounced_or_complained_that_they_get_no_letters(database):
    plans = []
    take(database, "email,status\na@example.com,bounced\nb@example.com,subscribed\n", dry_run=True, agree=plans.append)
    assert [(row.email, row.outcome) for row in plans[0].sample] == [
        ("a@example.com", "no letters"),
        ("b@example.com", imports.NEW),
    ]


def test_titles_and_words_agree_on_their_kinds():
    for title in (*titles.TITLES["left_at"], *titles.TITLES["blocked"]):
        assert titles.kind(title) in ("left_at", "blocked"), title


@on_sqlite
def test_an_undo_looks_at_nobody_but_those_of_its_step(database):
    """Else it takes the square of a list: each step would go through all that are left. As SQLite plans it."""
    done = take(database, "email\n" + "".join(f"r{i}@example.com\n" for i in range(200)))
    asked: dict[str, object] = {}
    seen = sa.event.listens_for(database.engine, "before_cursor_execute")
    seen(lambda _connection, _cursor, statement, parameters, *_: asked.setdefault(statement, parameters))
    import_log.undo(database, done.number, evidence=LATER)
    plans = []
    with database.engine.connect() as connection:
        for statement, parameters in list(asked.items()):
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans += [row[3] for row in rows]
    whole = [one for one in plans if one.startswith("SCAN") or one.endswith("ix_subscription_due (newsletter_id=?)")]
    assert [one for one in whole if any(table in one for table in ("subscri", "consent", "outbox", "notice"))] == []
    assert any("subscription" in one for one in plans)


@on_sqlite
def test_a_list_without_titles_says_by_its_name_whose_it_is_and_is_asked_about(database, tmp_path):
    for name in ("unsubscribed", "bounced", "marked-as-spam", "unconfirmed", "active"):
        path = tmp_path / f"my-list-{name}.csv"
        path.write_text('"Mina Harker","mina@example.com"\n"Jonathan","jon@example.com"\n')  # as Sendy writes them
        if name == "active":
            assert take(database, path).added == 2
        else:
            with pytest.raises(BadInput, match="its name sounds as if nobody did"):
                take(database, path)


@on_sqlite
def test_what_is_said_of_other_channels_is_no_word_on_mail_and_stops_nothing(database):
    titles = "First Name,Email,Accepts Email Marketing,Accepts SMS Marketing,Accepts WhatsApp Marketing,Total Spent"
    take(database, f"{titles}\nMina,mina@example.com,yes,no,no,1.00\nJon,jon@example.com,no,yes,yes,2.00\n")
    assert {who: state for who, (state, *_) in exported(database).items()} == {
        "mina@example.com": "active",
        "jon@example.com": "unsubscribed",
    }


@pytest.mark.parametrize(
    ("title", "yes", "no"),
    [
        ("Souhlas", "ano", "ne"),
        ("Samtykke", "ja", "nej"),
        ("Suostumus", "kyllä", "ei"),
        ("Hozzájárulás", "igen", "nem"),
        ("Συγκατάθεση", "ναι", "όχι"),
        ("הסכמה", "כן", "לא"),
        ("موافقة", "نعم", "لا"),
        ("수신동의", "예", "아니오"),
        ("Acepta publicidad", "sí", "no"),
        ("Aceita receber", "sim", "não"),
        ("Рассылка", "да", "нет"),
        ("OK to e-mail?", "Y", "N"),
        ("Newsletter", "✅", "❌"),
        ("Dezabonat", "nu", "da"),
        ("Avmeldt", "nei", "ja"),
        ("수신거부", "N", "Y"),
        ("Dead address", "no", "yes"),
        ("NPAI", "0", "1"),
    ],
)
def test_consent_is_understood_in_more_languages_than_ours(database, title, yes, no):
    take(database, f"email,{title}\nmina@example.com,{yes}\njon@example.com,{no}\n")
    assert [who for who, line in exported(database).items() if line[0] == "active"] == ["mina@example.com"]


@pytest.mark.parametrize(
    "text",
    [
        'email,tags\nmina@example.com,vip\njon@example.com,"vip,unsubscribed"\n',
        "mina@example.com,Mina,yes\njon@example.com,Jon,no\n",
        "email,Returned mail\nmina@example.com,0\njon@example.com,3\n",
    ],
)
def test_what_smells_of_leaving_stops_it_wherever_it_stands(database, text):
    with pytest.raises(BadInput, match="is not understood"):
        take(database, text)
    assert exported(database) == {}


def test_tags_may_be_called_what_they_like_on_purpose_and_a_nameless_column_be_ignored(database):
    take(database, "email,tags\nmina@example.com,unsubscribed talk\n", mapping={"tags": "tags"})
    take(database, "jon@example.com,Jon,yes\nlucy@example.com,Lucy,no\n", ignore=("column 3",))
    assert {line[0] for line in exported(database).values()} == {"active"}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<!DOCTYPE html><table><td>a@example.org</td></table>", "page"),
        (b'<?xml version="1.0"?><list><email>a@example.org</email></list>', "page"),
        (b'[{"email": "a@example.org", "plan": "ok"}]', "JSON"),
        (b"%PDF-1.7 a@example.org", "PDF"),
        (b"\x1f\x8b\x08\0a@example.org", "archive"),
        (b"PK\x05\x06" + bytes(18), "archive"),
        (b"\xef\xbb\xbf\r\n", "empty"),
        (b"\xff\xfe", "empty"),
    ],
)
def test_what_is_no_csv_is_called_what_it_is(database, content, what):
    with pytest.raises(BadInput, match=what):
        subscribe.import_csv(database, io.BytesIO(content), terms(), newsletter="daily")


@pytest.mark.parametrize("encoding", ["utf-32", "utf-16", "utf-8-sig"])
def test_a_quoted_sep_line_and_any_unicode_are_read(database, encoding):
    content = '"sep=;"\nemail;name\nmina@example.com;Zoë\n'.encode(encoding)
    subscribe.import_csv(database, io.BytesIO(content), terms(), newsletter="daily")
    assert exported(database)["mina@example.com"][1] == "Zoë"


@pytest.mark.parametrize(
    "left", ["mina@example.com.", "\u202amina@example.com\u202c", "<mina@example.com>,", "mina@example.com ;"]
)
def test_who_left_has_left_whatever_stands_around_the_address(database, left):
    take(database, f'email,status\nmina@example.com,subscribed\n"{left}",unsubscribed\n')
    assert exported(database)["mina@example.com"][0] == "unsubscribed"


@pytest.mark.parametrize("nothing", ["NULL", "-", "n/a", "nan", "None", "\\N", "--"])
def test_a_cell_that_says_nothing_says_nothing_in_any_column(database, nothing):
    titled = "name,tags,topics,hour,cadence,zone,language,format,created_at,unsubscribed_at,max_stories,muted_words"
    take(database, f"email,{titled}\nmina@example.com,Mina{f',{nothing}' * (titled.count(','))}\n")
    assert exported(database)["mina@example.com"][:3] == ("active", "Mina", [])


def test_tags_are_parted_as_they_are_written_and_come_back_whole(database):
    take(database, 'email,tags\nmina@example.com,vip;gold\njon@example.com,vip|gold\nlucy@example.com,"[""a;b""]"\n')
    assert [line[2] for _, line in sorted(exported(database).items())] == [["gold", "vip"], ["a;b"], ["gold", "vip"]]
    before = export(database)
    take(database, before.replace("example.com", "example.net"))
    assert exported(database)["lucy@example.net"][2] == ["a;b"]
