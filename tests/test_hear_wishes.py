"""Who wants to leave, of those who answer a mail of ours: their own words count, and what they quote of us does not."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import hearing
import pytest
from conftest import MONDAY
from test_render import page, story

from digest.config import Config, from_values
from digest.hear.understand import understand
from digest.hear.wishes import wants_to_leave
from digest.hear.words import listed_bare
from digest.render import MAILS, Identity, Rendered, Templates, languages
from digest.render.quotes import own_lines
from digest.render.speech import speech
from digest.schedule import parse
from digest.subscribe import notes
from digest.subscribe.plain_words import understood

GOOD, WISH = "Thank you, a good read!", "Please unsubscribe me."
HTML = "MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n"
FROM = "Rust Newsletter <news@news.example>"


def leaves(body: str, subject: str = "Re: How to opt out", more: str = "") -> bool:
    return wants_to_leave(understand(hearing.person(body, subject=subject, more=more)))


def newsletter(language: str) -> Config:
    news = {"title": "Rust Newsletter", "from": FROM, "language": language, "schedule": "daily 07:00 UTC"}
    values = {"base_url": "https://news.example", "secret_key": "k" * 32, "newsletters": {"daily": news}}
    return from_values(values, Path("digest.toml"), environment=False)


def edition(language: str, titles: Iterable[str], *, asks: bool = False) -> Rendered:
    shown = page(
        *(story(n, title=title) for n, title in enumerate(titles, 1)),
        title="Rust Newsletter",
        language=language,
        date=MONDAY,
        topics=("AI",),
        view_url="https://news.example/e/7",
        schedule=parse("daily 07:00 UTC"),
        by_mail=True,
        asks=asks,
        identity=Identity(subscribe_url="https://news.example/s", replies=True, share=True),
    )
    return Templates().render(shown, subject="{{ lead.title }}")


@cache
def mails(language: str) -> tuple[Rendered, ...]:
    """An edition, and each mail that is none, of a newsletter whose name and headlines sound like wishes."""
    config = newsletter(language)
    others = (Templates().note(notes.sample(kind, "daily", config, language=language)) for kind in MAILS)
    return edition(language, ("How to opt out", "Please unsubscribe me", "Stop", "Take me off"), asks=True), *others


def quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines())


# How programs show what is answered; {0} is the text of the mail, {1} the same with marks.
QUOTES = {
    "Outlook": "From: Rust Newsletter <news@news.example>\nSent: Monday, 3 November 2026 07:00\nTo: Ada\n\n{0}",
    "Outlook, German": "________________________________\nVon: Rust Newsletter <news@news.example>\n"
    "Gesendet: Montag, 3. November 2026 07:00\nAn: Ada\nBetreff: News\n\n{0}",
    "Outlook, German, no line": "Von: Rust Newsletter <news@news.example>\nGesendet: Montag, 3. November 2026\n\n{0}",
    "Outlook, French": "De : Rust Newsletter <news@news.example>\nEnvoyé : lundi 3 novembre 2026 07:00\nÀ : Ada\n\n{0}",
    "Outlook, old": "-----Original Message-----\nFrom: Rust Newsletter\n\n{0}",
    "Outlook, bold": "*From:* Rust Newsletter <news@news.example>\n*Sent:* Monday\n\n{0}",
    "Apple Mail": "> On 3 Nov 2026, at 07:00, Rust Newsletter <news@news.example> wrote:\n> \n{1}",
    "Apple Mail, bare": "Am 03.11.2026 um 07:00 schrieb Rust Newsletter <news@news.example>:\n\n{0}",
    "Gmail": "On Tue, 3 Nov 2026 at 07:00, Rust Newsletter <news@news.example> wrote:\n\n{1}",
    "Gmail, bare": "On Tue, 3 Nov 2026 at 07:00, Rust Newsletter <news@news.example> wrote:\n\n{0}",
    "Gmail, broken": "Am Di., 3. Nov. 2026 um 07:00 Uhr schrieb Rust Newsletter <\nnews@news.example>:\n\n{0}",
    "Gmail, Japanese": "2026年11月3日(火) 7:00 Rust Newsletter <news@news.example>:\n\n{0}",
    "Gmail, Russian": "вт, 3 нояб. 2026 г. в 07:00, Rust Newsletter <news@news.example>:\n\n{0}",
    "Gmail, Polish": "wt., 3 lis 2026 o 07:00 Rust Newsletter <news@news.example> napisał(a):\n\n{0}",
    "Gmail, Hebrew": "\u202bבתאריך יום ג׳, 3 בנוב׳ 2026 ב-7:00 מאת \u202aRust\u202c <news@news.example>:\u202c\n\n{0}",
    "Gmail, Chinese": "Rust Newsletter <news@news.example> 于2026年11月3日周二 07:00写道：\n\n{0}",
    "Gmail, Turkish": "Rust Newsletter <news@news.example>, 3 Kas 2026 Sal, 07:00 tarihinde şunu yazdı:\n\n{0}",
    "mobile": "Sent from my iPhone\n\n> On 3 Nov 2026, at 07:00, Rust Newsletter wrote:\n> \n{1}",
    "mobile, divided": "-------- Ursprüngliche Nachricht --------\nVon: Rust Newsletter\n\n{0}",
    "forwarded": "---------- Forwarded message ---------\nFrom: Rust Newsletter\n\n{0}",
    "no word of it": "{0}",
}


@pytest.mark.parametrize("language", languages())
def test_no_line_of_a_mail_of_ours_is_a_wish_where_it_is_quoted(language):
    heard = []
    for mail in mails(language):
        heard += [mail.text] if leaves(f"{GOOD}\n\n{mail.text}") else []
        heard += [mail.html] if leaves(f"<p>{GOOD}</p><div{mail.html.partition('<body')[2]}", more=HTML) else []
        heard += [mail.subject] if leaves(GOOD, subject=f"Re: {mail.subject}") else []
        lines = [line for line in ours(mail).splitlines() if line.strip()]
        for n, line in enumerate(lines):
            if n and len(lines[n - 1]) > 50 and "://" not in lines[n - 1]:
                continue  # the end of a sentence
            alone = lines[n : n + 2] if "://" in "".join(lines[n + 1 : n + 2]) else [line]  # a link's name and address
            heard += [line for part in (lines[n:], alone) if leaves("\n".join([GOOD, "", *part]))]
    assert not heard, heard[:6]


def ours(mail: Rendered) -> str:
    """What is ours in the text of a mail: all of it, or of an edition what stands below the stories."""
    return mail.text.partition("\n-- \n")[2] if mail.text.startswith("RUST") else mail.text


@pytest.mark.parametrize("shape", QUOTES.values(), ids=QUOTES)
@pytest.mark.parametrize("language", ["en", "de", "it", "ja"])
def test_what_is_quoted_asks_for_nothing_and_what_is_written_above_it_does(shape, language):
    edition, *_others = mails(language)
    word = speech(language).gettext("Unsubscribe")
    for text in (
        (edition.text, ours(edition), word) if shape != QUOTES["no word of it"] else (edition.text, ours(edition))
    ):
        quote = shape.format(text, quoted(text))
        assert not leaves(f"{GOOD}\n\n{quote}")
        assert leaves(f"Hello,\n\n{WISH}\n\n{quote}")
        assert leaves(f"{word}\n\n{quote}")


@pytest.mark.parametrize("shape", [shape for shape in QUOTES.values() if "{1}" in shape])
def test_a_wish_below_a_quote_with_marks_is_heard(shape):
    text = mails("en")[0].text
    assert leaves(f"{shape.format(text[:600], quoted(text[:600]))}\n\n{WISH}\n")
    assert not leaves(f"{shape.format(text[:600], quoted(text[:600]))}\n\n{GOOD}\n")


@cache
def long_edition(language: str) -> str:
    """The text of an edition of which no program that cuts sees the end."""
    text = edition(language, (f"A headline of number {n}" for n in range(1, 110))).text
    assert len(text) > 4_000 and text.count("\n") > 60
    return text


@pytest.mark.parametrize("language", ["en", "fr", pytest.param("ja", marks=pytest.mark.long)])
@pytest.mark.parametrize("shape", QUOTES.values(), ids=QUOTES)
def test_a_wish_below_a_whole_edition_is_heard_and_our_own_words_are_none(shape, language):
    quote = shape.format(long_edition(language), quoted(long_edition(language)))
    for below in ("", f"\n\n{GOOD}\n\nAda\n"):
        assert not leaves(quote + below, subject="Re: News")
    for below in (f"\n\n{WISH}\n\nAda\n", "\n\nNo more, stop\n", f"\n{WISH}\n"):
        assert leaves(quote + below, subject="Re: News")
    if "{1}" in shape:
        assert leaves(f"Hello,\n\n{quote}\n\n{WISH}\n", subject="Re: News")
        assert not leaves(f"Hello,\n\n{quote}\n", subject="Re: News")


@pytest.mark.parametrize("above", [0, 1], ids=["short", "long"])
@pytest.mark.parametrize(
    "wrapped",
    [
        "> Vous pouvez y choisir thèmes et jours, faire une pause ou vous\ndésabonner.",
        "> Or by mail, in plain words: pause 2 weeks, weekly,\nstop, help",
    ],
)
def test_a_line_of_ours_that_lost_its_mark_when_it_was_wrapped_is_no_wish(wrapped, above):
    quote = QUOTES["Gmail"].format("", quoted(long_edition("fr") if above else "RUST"))
    assert not leaves(f"{quote}\n{wrapped}\n", subject="Re: News")
    assert leaves(f"{quote}\n{wrapped}\n\n{WISH}", subject="Re: News")
    assert not understood(f"{quote}\n{wrapped}\n", topics={}).any
    assert understood(f"{quote}\n{wrapped}\n\nweekly\n", topics={}).choices


@pytest.mark.parametrize("language", languages())
def test_the_words_of_the_link_alone_are_a_wish(language):
    words = speech(language).gettext("Unsubscribe")
    assert leaves(words, subject="Re: News") and leaves("", subject=words) and leaves("", subject=f"Re: {words}")


NO_WISHES = [
    "Please do not unsubscribe me!", "I do not want to unsubscribe.", "I don't want to unsubscribe",
    "dont remove me pls",
    "Please don\u2019t ever take me off this list.", "There is no need to remove me.", "do not\nunsubscribe me",
    "I would not like to opt out.", "Bitte nicht abmelden!", "Ich möchte nicht aus dem Verteiler genommen werden.",
    "Ich will keinen Newsletter abbestellen", "Je ne veux pas me désabonner.", "Je ne souhaite pas me désinscrire",
    "No quiero darme de baja.", "No deseo cancelar mi suscripción", "Non voglio cancellarmi.",
    "Non desidero annullare l\u2019iscrizione", "Não quero cancelar minha assinatura", "Não quero sair da lista.",
    "Я не хочу отписаться.", "Не отпишите меня", "Nie chcę się wypisać", "Proszę mnie nie wypisywać",
    "Abonelikten çıkmak istemiyorum", "Beni listeden çıkarmayın lütfen", "אל תסירו אותי", "לא להסיר אותי בבקשה",
    "لا أريد إلغاء الاشتراك", "मैं सदस्यता रद्द नहीं करना चाहता", "購読を解除しないでください", "配信停止を希望しません",
    "配信停止をお願いしているのではありません", "我不想退订", "请不要取消订阅", "不要把我从列表删除",
]  # fmt: skip
WISHES = [
    "I did not ask for this, please unsubscribe me", "You did not remove me! Unsubscribe me.",
    "I do not like it. Remove me.", "I don't want this; unsubscribe me", "No thanks, unsubscribe me",
    "not interested please unsubscribe", "I do not want to receive this any more", "You still did not remove me",
    "Do not unsubscribe my wife. Please unsubscribe me.", "Das ist nichts für mich, bitte abmelden",
    "Ne m'écrivez plus, je veux me désabonner", "No me interesa, quiero darme de baja", "Не надо, отпишите меня",
    "Nie interesuje mnie to, proszę mnie wypisać", "不感兴趣，我想退订", "興味がないので、配信停止をお願いします",
]  # fmt: skip


# Whoever asks why, sets a condition, is not able to, or says no first has the wish.
WISHES += [
    "why don't you unsubscribe me", "Can't you remove me?", "Why won't you remove me", "Won't you please remove me",
    "You still don't remove me!", "If you don't remove me I will complain", "You won't remove me from your list",
    "You can't stop sending me this, can you?", "You just won't stop sending these",
    "do not hesitate to unsubscribe me",
    "I don't want these mails any more, unsubscribe me", "I cannot unsubscribe", "I do not wish to receive this",
    "No\nunsubscribe me", "no - remove me", "I said no\nplease unsubscribe", "No thanks.\nUnsubscribe",
    "don't want this \u2014 take me off your list", "Können Sie mich nicht aus dem Verteiler nehmen?",
    "Warum haben Sie mich nicht aus dem Verteiler genommen", "Bitte nicht mehr senden, abmelden",
    "wenn Sie mich nicht aus dem Verteiler nehmen, klage ich", "Nein\nAbmelden", "Je ne peux pas me désabonner",
    "je ne veux plus recevoir", "vous ne voulez pas me désabonner ?", "pourquoi je ne peux pas me désinscrire",
    "no no quiero recibir más", "No puedo darme de baja", "¿Por qué no darme de baja?",
    "non voglio più ricevere, disiscrivetemi",
    "Non non voglio più ricevere", "não consigo me descadastrar", "не могу отписаться", "Почему вы не отпишите меня",
    "если вы не отпишите меня, я пожалуюсь", "nie mogę się wypisać", "Unsubscribe ada@example.org",
    "*** please remove me ***", "--- unsubscribe ---", "View in browser does not work and I want to unsubscribe",
    "You have left me no choice but this: unsubscribe me", "Topics and frequency are wrong; remove me",
]  # fmt: skip


# One of all, and of little words besides.
WISHES += [
    "no more, stop", "No more emails please", "stop it, pls", "Stop this newsletter", "please stop these emails!",
    "please cancel my subscription", "Delete my address please", "could you remove my email from your database",
    "I no longer want these emails", "not interested anymore", "how do I unsubscribe?", "leave me alone",
    "do not email me again", "I did not sign up for this", "unsubscribe pls", "Bitte löschen Sie mich",
    "Bitte löschen Sie meine Adresse aus Ihrem Verteiler", "Keine Newsletter mehr bitte", "Abmeldung",
    "kündige das Abo",
    "arrêtez de m'envoyer ces mails", "désabonnez-moi", "veuillez me retirer de la liste", "supprimez mon adresse",
    "no más correos", "quiero cancelar la suscripción", "por favor denme de baja", "basta", "cancellatemi",
    "non inviatemi più email", "rimuovetemi dalla lista", "cancelem a minha inscrição", "não quero mais",
    "pare de me enviar emails", "хватит", "прекратите рассылку", "удалите меня из рассылки", "wypiszcie mnie",
    "usuńcie mnie z listy", "nie chcę więcej", "yeter", "beni listeden çıkarın", "artık istemiyorum", "תפסיקו לשלוח",
    "אל תשלחו לי יותר", "توقفوا عن الإرسال", "لا ترسلوا لي المزيد", "बस करो",
    "もう送らないで", "配信をやめてください", "别再发了", "停止发送",
]  # fmt: skip
NO_WISHES += [
    "Thank you, don't stop!", "No more typos today, well done", "No more sports please", "enough with the AI stories",
    "Stop and think: was that right?", "stop the war", "Please remove the paywall stories", "leave the format as it is",
    "Could you stop using so many pictures?", "There is no more to say, great issue", "Delete the third story",
    "Please delete my old address and use this one", "Will the newsletter end?", "Please send me the list of sources",
    "I receive no more newsletters, is something wrong?", "Your mail went to spam", "plus de mails svp",
    "je ne reçois plus la newsletter", "ich bekomme keine Mails", "Basta pasta!", "Das reicht mir, danke!",
    "A newsletter chega tarde", "no me llegan los correos", "Я больше не получаю письма", "Хватит ли места?",
    "我没有收到邮件",
]  # fmt: skip


@pytest.mark.parametrize("words", NO_WISHES)
def test_a_wish_that_somebody_says_they_do_not_have_is_none(words):
    assert not leaves(words, subject="") and not leaves("", subject=words.replace("\n", " "))


@pytest.mark.parametrize("words", WISHES)
def test_a_wish_is_heard_beside_a_no_that_is_about_something_else(words):
    assert leaves(words, subject="") and leaves(f"Hello,\n{words}\nRegards", subject="Re: News")


@pytest.mark.parametrize("shape", ["Gmail, bare", "Outlook", "Outlook, old", "Apple Mail, bare"])
def test_a_wish_below_a_quote_without_marks_is_heard_where_nothing_stands_above_it(shape):
    text = "RUST NEWSLETTER\n\n1. A story\nhttps://a.example/1\n\nUnsubscribe:\nhttps://news.example/u/1"
    assert leaves(f"{QUOTES[shape].format(text, '')}\n\n{WISH}\n\nAda", subject="Re: News")
    assert not leaves(f"{QUOTES[shape].format(text, '')}\n\n{GOOD}\n\nAda", subject="Re: News")
    assert not leaves(QUOTES[shape].format(text, ""), subject="Re: News")


def test_every_phrase_of_a_wish_is_heard_above_a_quote():
    text = mails("en")[0].text
    missed = [
        p for p in listed_bare("wishes", "phrases") if not leaves(f"{p}\n\n{text}", more=HTML.replace("html", "plain"))
    ]
    assert missed == []


def test_what_is_not_quoted_stays_whole():
    text = (
        "From here on:\n1. A list | with a bar: fine\nPause, please\nhttps://a.example/b\nIt was 10:30 in Rome: late."
    )
    assert list(own_lines(text)) == text.split("\n")
