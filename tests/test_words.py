"""Mails in the sender's own words: which template is taken, what it may not leave out, and that nobody goes without."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from conftest import MONDAY, on_sqlite
from people import enrol
from sqlmodel import select
from starlette.testclient import TestClient

from digest import render, sign, subscribe
from digest.cli import files
from digest.cli.preview import look
from digest.config import Config
from digest.errors import BadInput, ConfigError
from digest.models import Notice, Subscriber, Subscription, SubscriptionState
from digest.render import Fields, Note, Reader, Templates
from digest.store import newsletters, people
from digest.subscribe import Evidence, asks, goodbyes, moves, notes, signup
from digest.web import application
from digest.web import preview as editor

NEWS = {"title": "Daily", "from": "Daily <news@news.example>", "postal_address": "1 Main St, Town"}
URL = "https://digest.example/confirm/TOKEN"
FOOT = '{{ note.postal_address }} <a href="{{ note.url }}">{{ note.act }}</a>'
TEXT_FOOT = "{{ note.postal_address }} {{ note.url }}"


def written(folder: Path, **files: str) -> Path:
    """Templates by their names, `de__confirm_txt` for de/confirm.txt."""
    for name, text in files.items():
        place, _, file = name.rpartition("__")
        path = folder / place / file.replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def a_note(kind: str = "confirm", *, language: str = "en", reader: Reader = notes.SAMPLE) -> Note:
    note = Note("Daily", language, "Ours", "Ours", "Ours.", "Go", URL, "After.", "1 Main St, Town")
    return render.Note(**(vars(note) | {"kind": kind, "asked": language, "reader": reader}))


def at_home(*folders: Path) -> Templates:
    return Templates(*folders, at_home=True)


# ---------------------------------------------------------------- which template


def test_the_newsletter_s_goes_before_all_newsletters_and_a_language_before_all_languages(tmp_path):
    own, common = tmp_path / "own", tmp_path / "common"
    places = [own / "de-AT", own / "de", own, common / "de-AT", common / "de", common]
    for place in places:
        written(place, confirm_txt=f"{place} {TEXT_FOOT}", confirm_html=f"<p>{place} {FOOT}")
    for place in [*places, None]:
        mail = at_home(own, common).note(a_note(language="de-AT"))
        for part in (mail.text, mail.html):
            assert str(place) + " " in part if place else "Ours." in part
        if place:
            (place / "confirm.txt").unlink()
            (place / "confirm.html").unlink()


def test_other_languages_and_other_mails_are_as_they_were(tmp_path):
    written(tmp_path, de__confirm_txt=f"Hallo {TEXT_FOOT}")
    assert at_home(tmp_path).note(a_note(language="de")).text.startswith("Hallo")
    assert at_home(tmp_path).note(a_note()).text == Templates().note(a_note()).text
    assert at_home(tmp_path).note(a_note("move", language="de")).text == Templates().note(a_note("move")).text


@pytest.mark.parametrize("language", ["../other", "..", "/etc", "de/../..", "", "%2e%2e"])
def test_a_language_leads_to_no_other_folder(tmp_path, language):
    written(tmp_path / "other", confirm_txt=f"Elsewhere {TEXT_FOOT}")
    folder = written(tmp_path / "own", de__confirm_txt=f"Hallo {TEXT_FOOT}")
    mail = at_home(folder).note(a_note(language=language) if language else a_note())
    assert "Elsewhere" not in mail.text and "Hallo" not in mail.text


def test_a_subject_block_is_the_subject_and_stands_nowhere_else(tmp_path):
    written(tmp_path, confirm_txt="{% block subject %}Hi {{ reader.name }} & you{% endblock %}Text. " + TEXT_FOOT)
    mail = at_home(tmp_path).note(a_note())
    assert (mail.subject, mail.text.partition(".")[0]) == ("Hi Ada Lovelace & you", "Text")
    written(tmp_path, confirm_txt='{% extends "note.txt" %}{% block subject %}{{ super() }}, {{ 1 + 1 }}{% endblock %}')
    assert at_home(tmp_path).note(a_note()).subject == "Ours, 2"
    (tmp_path / "confirm.txt").unlink()
    written(tmp_path, confirm_html="{% block subject %}Q & <b>A</b>, {{ reader.name }}{% endblock %}<p>" + FOOT)
    only_html = at_home(tmp_path).note(a_note(reader=Reader(called="O'Hara & Co")))
    assert only_html.subject == "Q & <b>A</b>, O'Hara & Co" and "Q &" not in only_html.html


def test_ours_can_be_extended_under_their_own_name(tmp_path):
    written(
        tmp_path,
        note_txt='{% extends "ours/note.txt" %}{% block heading %}Of mine: {{ super() }}{% endblock %}',
        edition_txt='{% extends "ours/edition.txt" %}',
    )
    assert at_home(tmp_path).note(a_note()).text.startswith("Of mine: Ours\n")
    at_home(tmp_path).judge("s")


def test_words_in_a_language_that_we_do_not_have_say_which_language_they_are_in(tmp_path):
    written(tmp_path, it__confirm_html='<html lang="{{ note.language }}"><p>Ciao ' + FOOT)
    assert 'lang="it"' in at_home(tmp_path).note(a_note(language="it")).html


# ---------------------------------------------------------------- what may not be left out

WRONG = {
    "no link in the text": ({"confirm_txt": "{{ note.postal_address }}"}, r"confirm\.txt has no link that confirms"),
    "a link cut short": ({"confirm_txt": "{{ note.url[:-1] }} {{ note.postal_address }}"}, "has no link"),
    "a link that goes on": ({"confirm_txt": "{{ note.url }}x {{ note.postal_address }}"}, "has no link"),
    "no link in the html": ({"confirm_html": "<p>{{ note.url }} {{ note.postal_address }}"}, r"html has no link"),
    "a link in a remark": ({"confirm_html": "<p>{{ note.postal_address }}<!-- " + FOOT + "-->"}, "has no link"),
    "a link that is not shown": (
        {"confirm_html": '<p>{{ note.postal_address }}<div style="display : NONE">' + FOOT + "</div>"},
        "has no link",
    ),
    "a link without words": ({"confirm_html": '<p>{{ note.postal_address }}<a href="{{ note.url }}"> </a>'}, "no link"),
    "no address": ({"confirm_txt": "{{ note.url }}"}, r"confirm\.txt has no postal address"),
    "no address in the html": ({"confirm_html": '<p><a href="{{ note.url }}">x</a>'}, "html has no postal address"),
    "an address that is not shown": (
        {"confirm_html": '<title>{{ note.postal_address }}</title><a href="{{ note.url }}">x</a>'},
        "no postal address",
    ),
    "a script": ({"confirm_html": FOOT + "<script>1</script>"}, "<script>"),
    "an event": ({"confirm_html": FOOT + '<p onclick="x()">'}, "onclick"),
    "a page that leads elsewhere": ({"confirm_html": '<meta http-equiv="Refresh" content="0">' + FOOT}, "by itself"),
    "nothing": ({"confirm_txt": "{# nothing #}"}, r"confirm\.txt is empty"),
    "no html": ({"confirm_html": " "}, r"confirm\.html is empty"),
    "no subject": ({"confirm_txt": "{% block subject %}{% endblock %}" + TEXT_FOOT}, "empty block subject"),
    "a wrong word": ({"confirm_txt": "{{ reader.nmae }}" + TEXT_FOOT}, r"confirm\.txt, line 1.*nmae"),
    "a word that is not closed": ({"confirm_txt": "{% if %}"}, r"confirm\.txt, line 1"),
    "a name as it was typed": ({"confirm_txt": "{{ reader.called }}" + TEXT_FOOT}, "called"),
    "a way out": ({"confirm_txt": "{{ reader.__class__ }}" + TEXT_FOOT}, "unsafe"),
    "itself": ({"confirm_txt": '{% extends "confirm.txt" %}'}, "circle"),
    "none to extend": ({"confirm_txt": '{% extends "nowhere.txt" %}'}, "no template nowhere.txt"),
    "too much": ({"confirm_html": FOOT + "<p>{{ 'x' * 200000 }}"}, "more than 100,000 bytes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_template_that_leaves_out_what_must_be_there_is_refused_in_a_sentence(tmp_path, name):
    made, words = WRONG[name]
    with pytest.raises(ConfigError, match=words) as refused:
        at_home(written(tmp_path, **made)).note(a_note())
    assert "our own words go out" in refused.value.hint or "looked in" in refused.value.hint
    assert "\n" not in str(refused.value)


def test_an_address_may_stand_in_lines_of_its_own_and_a_link_go_on_behind_its_end(tmp_path):
    written(
        tmp_path,
        confirm_html='<p>1 Main St,<br>Town <a href="{{ note.url }}#now">Yes</a>',
        confirm_txt="1 Main St,\nTown\n<{{ note.url }}>.",
    )
    assert at_home(tmp_path).note(a_note()).text


# ---------------------------------------------------------------- what strangers say is data

HOSTILE = "{{ 7 * 7 }}{% raw %}<script>alert(1)</script>\r\nBcc: eve@evil.example\u202e"


def test_what_a_person_says_is_text_and_nothing_else(tmp_path):
    reader = Reader("ada@example.org", "Ada <b>{{ 7 * 7 }}</b>", Fields({"plan": HOSTILE}))
    written(
        tmp_path,
        confirm_txt="{% block subject %}{{ reader.fields.plan }}{% endblock %}{{ reader.fields.plan }} " + TEXT_FOOT,
        confirm_html="<p>{{ reader.fields.plan }} {{ reader.name }} " + FOOT,
    )
    mail = at_home(tmp_path).note(a_note(reader=reader))
    assert "<script" not in mail.html and "<b>" not in mail.html and "49" not in mail.html + mail.text + mail.subject
    assert "\n" not in mail.subject and "\r" not in mail.subject and "\u202e" not in mail.subject + mail.text
    assert not any(line.startswith("Bcc:") for line in mail.text.splitlines())


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        " JaVa\tScript:alert(1)",
        "\x01javascript:x",
        "data:text/html,x",
        "vbscript:x",
        "x.html",
        "",
    ],
)
def test_a_field_is_no_link_that_runs(tmp_path, address):
    written(tmp_path, confirm_html='<p><a href="{{ reader.fields.site }}">x</a> ' + FOOT)
    assert at_home(tmp_path).note(a_note(reader=Reader(fields=Fields({"site": "https://ada.example/"})))).html
    with pytest.raises(ConfigError, match="leads nowhere a mail may lead"):
        at_home(tmp_path).note(a_note(reader=Reader(fields=Fields({"site": address}))))


def test_a_field_breaks_out_of_no_attribute(tmp_path):
    written(tmp_path, confirm_html="<p title={{ reader.fields.x }}>" + FOOT)
    with pytest.raises(ConfigError, match="an attribute on"):
        at_home(tmp_path).note(a_note(reader=Reader(fields=Fields({"x": "a onmouseover=alert(1)"}))))


@pytest.mark.parametrize(
    "name",
    ["Win at evil.example", "Win at t.co!", "www.x1y", "https://evil.example", "www.evil", "call me@evil", "a\\b"],
)
def test_nobody_writes_to_a_stranger_by_a_name_that_is_a_link(name):
    assert Reader(called=name).name == ""


@pytest.mark.parametrize("name", ["Ada Lovelace", "J. R. R. Tolkien", "O'Hara", "Zoë", "王", "Dr. Ada"])
def test_other_names_are_shown(name):
    assert Reader(called=name).name == name


def test_fields_are_found_by_any_case_and_what_is_not_there_is_nothing():
    fields = Fields({"Plan": "gold", "items": "3", "two words": "x"})
    assert (fields["plan"], fields["PLAN"], fields["items"], fields["none"]) == ("gold", "gold", "3", "")
    assert "plan" in fields and "none" not in fields and list(fields) == ["Plan", "items", "two words"]


# ---------------------------------------------------------------- mails that are owed


@pytest.fixture
def own(configure, tmp_path) -> Config:
    """Settings whose templates say for each kind which it is, and who reads it."""
    words = "{% block subject %}Mine, {{ note.kind }}{% endblock %}Mine for {{ reader.name or 'you' }}, "
    words += "{{ reader.fields.plan }}, {{ reader.topics | join('+') }}, {{ reader.cadence }}. "
    for kind in render.MAILS:
        written(tmp_path / "own", **{f"{kind}_txt": words + TEXT_FOOT, f"{kind}_html": "<p>" + words + FOOT})
    paper = NEWS | {"templates": "own", "welcome_mail": True, "goodbye": True, "topics": {"ai": {"title": "A.I."}}}
    return configure(newsletters={"daily": paper})


def everything(database, config: Config) -> list[str]:
    """Go through all mails that one person can cause: the kinds that are owed, in their order."""
    said = Evidence("web", MONDAY)
    with database.write() as session:
        for name in ("ada", "bob"):
            enrol(session, f"{name}@example.org", known_topics=("ai",), topics=("ai",), cadence="daily", name=name)
            person = people.find(session, f"{name}@example.org")
            person.fields = {"plan": "gold"}
        for who in ("new@example.org", "ada@example.org"):
            signup.ask(session, who, newsletter="daily", config=config, evidence=said, known_topics=("ai",))
            signup.answer_waiting(session, config=config, now=MONDAY)
        ada, new = (subscribe.find(session, f"{who}@example.org", "daily")[1] for who in ("ada", "new"))
        assert asks.ask_one(
            session,
            "new@example.org",
            newsletter="daily",
            config=config,
            evidence=Evidence("x", MONDAY.replace(day=25)),
        )
        token = sign.confirm_token(new.id, at=MONDAY, key=config.keys[0])
        signup.confirm(session, token, config=config, evidence=said)
        moves.ask(session, ada.id, "ada@new.example", config=config, evidence=said)
        asked = session.exec(select(Notice).where(Notice.email == "ada@new.example")).one()
        token = asked.text.partition("/move/")[2].split()[0]
        assert moves.confirm(session, token, config=config, evidence=said).outcome == "moved"
        bob = people.find(session, "bob@example.org")
        assert goodbyes.leave_all(session, bob, config=config, evidence=said)
        assert not goodbyes.leave_all(session, bob, config=config, evidence=said)
    with database.read() as session:
        return [notice.subject for notice in session.exec(select(Notice).order_by(Notice.id))]


@on_sqlite
def test_every_mail_comes_in_the_sender_s_own_words(database, own):
    kinds = ["confirm", "already", "confirm", "welcome", "move", "moved", "goodbye"]
    assert everything(database, own) == [f"Mine, {kind}" for kind in kinds]
    with database.read() as session:
        already, goodbye = (
            session.exec(select(Notice).where(Notice.subject == f"Mine, {k}")).one() for k in ("already", "goodbye")
        )
        assert "Mine for ada, gold, A.I., daily." in already.text and "Mine for ada, gold, A.I., daily." in already.html
        assert "Mine for bob" in goodbye.text and goodbye.email == "bob@example.org"
        for kind in ("move", "moved"):  # addresses that are not theirs, yet or any more, are told nothing of them
            mail = session.exec(select(Notice).where(Notice.subject == f"Mine, {kind}")).one()
            assert mail.text.startswith("Mine for you, , , . ") and "gold" not in mail.html


@on_sqlite
def test_templates_that_break_at_run_time_leave_nobody_without_a_mail_and_are_told(database, own, tmp_path, caplog):
    for path in (tmp_path / "own").iterdir():
        path.write_text("{{ 1 // (reader.email | length - reader.email | length) }} " + TEXT_FOOT)
    with caplog.at_level(logging.WARNING):
        subjects = everything(database, own)
    assert len(subjects) == 7 and not any("Mine" in subject for subject in subjects)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 6 and all("in our own words" in words and ", line 1" in words for words in told)


@on_sqlite
def test_a_reader_gets_mails_in_the_language_they_chose(database, configure, tmp_path):
    written(tmp_path / "all", de__goodbye_txt="Tschüs " + TEXT_FOOT)
    config = configure(newsletters={"daily": NEWS | {"goodbye": True}}, templates="all")
    with database.write() as session:
        enrol(session, "ada@example.org", language="de-AT")
        enrol(session, "bob@example.org")
        for who in ("ada@example.org", "bob@example.org"):
            ours = subscribe.find(session, who, "daily")[1]
            assert goodbyes.leave(session, ours.id, config=config, evidence=Evidence("link", MONDAY))
        ada, bob = session.exec(select(Notice).order_by(Notice.id)).all()
    assert ada.text.startswith("Tschüs") and ada.subject == "Sie haben Daily abbestellt"
    assert bob.subject == "You have left Daily" and "comes to bob@example.org no more" in bob.text


@on_sqlite
def test_a_goodbye_comes_where_it_is_wanted_once_a_day_and_to_who_had_letters(database, configure):
    said, config = Evidence("link", MONDAY), configure(newsletters={"daily": NEWS | {"goodbye": True}})
    with database.write() as session:
        enrol(session, "ada@example.org")
        ours = subscribe.find(session, "ada@example.org", "daily")[1]
        assert goodbyes.leave(session, ours.id, config=config, evidence=said)
        subscribe.come_back(session, ours.id, evidence=said)
        assert not goodbyes.leave(session, ours.id, config=config, evidence=said)  # the second that day
        subscribe.come_back(session, ours.id, evidence=said)
        assert not goodbyes.leave(session, ours.id, config=configure(), evidence=said)  # nobody asked for one
        signup.ask(session, "new@example.org", newsletter="daily", config=config, evidence=said, known_topics=())
        signup.answer_waiting(session, config=config, now=MONDAY)
        new = subscribe.find(session, "new@example.org", "daily")[1]
        assert not goodbyes.leave(session, new.id, config=config, evidence=said)
        assert not goodbyes.leave(session, 4711, config=config, evidence=said)
        assert {s.state for s in session.exec(select(Subscription))} == {"unsubscribed"}


@on_sqlite
def test_who_joins_and_leaves_on_the_pages_is_mailed_at_once_and_has_their_fields_in_their_copy(
    database, configure, clock
):
    config = configure(newsletters={"daily": NEWS | {"goodbye": True, "welcome_mail": True}, "weekly": NEWS})
    newsletters.keep(database, config.newsletters, now=MONDAY)
    told: list[int] = []
    client = TestClient(application(database, config, clock=clock, mail_now=lambda: told.append(1)))
    with database.write() as session:
        for who in ("ada", "bob", "kim"):
            enrol(session, f"{who}@example.org")
        enrol(session, "bob@example.org", newsletter="weekly")
        subscribe.find(session, "kim@example.org", "daily")[1].state = SubscriptionState.PENDING
        people.find(session, "ada@example.org").fields = {"plan": "gold"}
        ids = {who: subscribe.find(session, f"{who}@example.org", "daily")[1].id for who in ("ada", "bob", "kim")}

    def link(purpose: sign.Purpose, who: str) -> str:
        return f"/{purpose}/{sign.token(purpose, ids[who], key=config.keys[0])}"

    def owed() -> list[tuple[str, str]]:
        with database.read() as session:
            return [(one.email, one.subject) for one in session.exec(select(Notice).order_by(Notice.id))]

    data = client.get(f"{link(sign.Purpose.PREFERENCES, 'ada')}/data").json()
    assert data["fields"] == {"plan": "gold"}
    for _ in range(2):
        client.post(link(sign.Purpose.UNSUBSCRIBE, "ada"), data={"List-Unsubscribe": "One-Click"})
    assert (owed(), len(told)) == ([("ada@example.org", "You have left Daily")], 1)
    client.post(f"{link(sign.Purpose.PREFERENCES, 'bob')}/leave-all")
    assert (owed()[1:], len(told)) == ([("bob@example.org", "You have left Daily")], 2)  # not of weekly
    token = sign.confirm_token(ids["kim"], at=clock(), key=config.keys[0])
    for _ in range(2):
        assert client.post(f"/confirm/{token}").status_code == 200
    assert owed()[2:] == [("kim@example.org", "Welcome to Daily")] and len(told) >= 3


@on_sqlite
def test_nobody_is_mailed_who_wants_none_of_it_and_looking_mails_nobody(database, config, clock):
    client = TestClient(application(database, config, clock=clock))
    with database.write() as session:
        enrol(session, "ada@example.org")
        ours = subscribe.find(session, "ada@example.org", "daily")[1].id
    token = sign.token(sign.Purpose.UNSUBSCRIBE, ours, key=config.keys[0])
    for method in ("GET", "POST"):
        assert client.request(method, f"/unsubscribe/{token}").status_code == 200
    with database.read() as session:
        assert session.exec(select(Notice)).all() == []


# ---------------------------------------------------------------- judged, and looked at


def test_the_settings_are_judged_with_what_is_wrong_in_each_language_and_nothing_stops(configure, tmp_path):
    written(tmp_path / "own", it__welcome_html="<p>Ciao", confirm_txt="{{ reader.name.split()[0] }} " + TEXT_FOOT)
    written(tmp_path / "all", reminder_txt="{% if %}")
    paper = NEWS | {"templates": "own"}
    found = files.check(configure(newsletters={"daily": paper}))
    assert [str(one).partition(":")[0] for one in found if one.newsletter and one.warning] == [
        "newsletters.daily, the mail 'confirm'",
        "newsletters.daily, the mail 'welcome'",
    ]
    (stops,) = [one for one in files.check(configure(newsletters={"daily": NEWS}, templates="all")) if not one.warning]
    assert "reminder.txt, line 1" in stops.words  # what cannot be read as a template at all
    (nowhere,) = [one for one in files.check(configure(templates="nowhere")) if "templates" in one.setting][:1]
    assert "cannot read the folder" in nowhere.words and not nowhere.newsletter


@pytest.fixture
def place(digest, tmp_path):
    """A folder with settings, in which the command line works."""
    (tmp_path / "digest.toml").write_text(
        'secret_key = "sixteen characters at least"\nbase_url = "https://digest.example"\n[newsletters.daily]\n'
        'title = "Daily"\nfrom = "Daily <news@news.example>"\ntemplates = "own"\n'
    )
    written(tmp_path / "own", confirm_txt="{% block subject %}Mine{% endblock %}For {{ reader.name }} " + TEXT_FOOT)
    assert digest("init").returncode == 0
    return digest


def test_a_mail_is_previewed_as_an_edition_is(place, tmp_path):
    shown = place("preview", "--mail", "confirm", "--text")
    assert shown.returncode == 0 and shown.stdout.startswith("For Ada Lovelace ") and "subject: Mine" in shown.stderr
    assert "a confirm.txt alone" in shown.stderr
    german = json.loads(place("preview", "--mail", "goodbye", "--language", "de", "--json").stdout)
    assert german["subject"] == "Sie haben Daily abbestellt" and german["mail"] == "goodbye"
    assert place("preview", "--mail", "move", "--out", "m.html", "--no-open").stdout == "m.html\n"
    assert "Confirm your new address" in (tmp_path / "m.html").read_text()
    message = place("preview", "--mail", "already", "--eml").stdout
    assert "Auto-Submitted: auto-generated" in message and "List-Unsubscribe" not in message
    assert "fit to be sent" in place("preview", "--mail", "moved", "--check").stderr
    assert place("subscriber", "add", "bob@example.org", "--name", "Bob").returncode == 0
    assert place("preview", "--mail", "confirm", "--text", "--as", "bob@example.org").stdout.startswith("For Bob ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--mail", "hello"), "no mail 'hello'"),
        (("--mail", "confirm", "--language", "../x"), "is no language"),
        (("--mail", "confirm", "--edition", "1"), "two things"),
        (("--language", "de"), "is of --mail"),
        (("--mail", "confirm", "--as", "nobody@example.org"), "not a subscriber"),
    ],
)
def test_what_cannot_be_looked_at_is_said_so(place, words, said):
    done = place("preview", *words)
    assert done.returncode in (64, 65, 66) and said in done.stderr and "Traceback" not in done.stderr


def test_a_template_that_fails_is_told_in_the_preview(place, tmp_path):
    written(tmp_path / "own", confirm_txt="no link")
    done = place("preview", "--mail", "confirm", "--text")
    assert done.returncode == 78 and "confirm.txt has no link that confirms" in done.stderr


@on_sqlite
def test_the_editor_s_page_shows_mails_in_every_guise(database, config, clock):
    page = editor.application(
        database, load=lambda: config, look=look, wish=editor.Wish("daily", mail="confirm"), token="t", clock=clock
    )
    client = TestClient(page, base_url="http://127.0.0.1")
    shown = client.get("/t/").text
    assert "Please confirm: Daily" in shown and "Stories, and why" not in shown and "The mail “confirm”" in shown
    assert "Confirm your subscription" in client.get("/t/mail/dark").text
    assert "Anmeldung" in client.get("/t/mail/text?mail=confirm&language=de").text
    assert "there is no mail" in client.get("/t/?mail=nothing").text


def test_every_mail_of_ours_is_fit_to_be_sent_in_every_language(config):
    for kind in render.MAILS:
        for language in render.languages():
            mail = Templates().note(notes.sample(kind, "daily", config, language=language))
            assert not [f for f in render.check(mail, note=True) if f.level == "error"], (kind, language)
    with pytest.raises((BadInput, ValueError)):
        notes.sample("nothing", "daily", config)


def test_of_a_person_templates_are_told_what_is_theirs(config):
    person = Subscriber(email="ada@example.org", name="Ada", fields={"plan": "gold"}, created_at=MONDAY)
    ours = Subscription(
        subscriber_id=1, newsletter_id=1, topics=["gone"], plain=True, created_at=MONDAY, changed_at=MONDAY
    )
    reader = notes.reader_of(person, ours, config.newsletters["daily"])
    assert (reader.name, reader.topics, reader.format, reader.fields["plan"]) == ("Ada", (), "text", "gold")
