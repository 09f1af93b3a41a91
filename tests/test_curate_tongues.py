"""Entries of any language: their words, their forms and spellings, and where they go."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from digest.config import OTHER, Topic
from digest.curate import rules
from digest.curate.keywords import Keywords, keyword_words
from digest.curate.stems import Spellings, plain, same_stem, stem
from digest.curate.stories import group
from digest.curate.tellings import Telling
from digest.curate.topics import Placer, Text, default_headings, headings
from digest.curate.words import words

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def ours():
    return Placer(headings({}), Keywords(headings({})))


@pytest.mark.parametrize(
    ("title", "topic"),
    [
        ("Sicherheitslücke im Router: Angreifer lesen Passwörter mit", "security"),
        ("Warum Graphdatenbanken nicht alles lösen", "databases"),
        ("Verteilte Systeme verstehen", "distributed"),
        ("Die besten Programmiersprachen für den Einstieg", "languages"),
        ("L'intelligence artificielle au service des hôpitaux", "ai"),
        ("Les bases de données relationnelles expliquées", "databases"),
        ("Les jeux vidéo indépendants de l'année", "games"),
        ("Cómo diseñar sistemas distribuidos", "distributed"),
        ("Robo de contraseñas por una vulnerabilidad", "security"),
        ("Bancos de dados em produção: lições", "databases"),
        ("Inteligência artificial na sala de aula", "ai"),
        ("Nuovi processori per portatili", "hardware"),
        ("L’intelligenza artificiale nella scuola", "ai"),
        ("Нейросети научились писать стихи", "ai"),
        ("Новый язык программирования для школ", "languages"),
        ("Уязвимости в маршрутизаторах", "security"),
        ("Kubernetes渐进式交付实践", "devops"),
        ("操作系统内核调试入门", "systems"),
        ("手机应用的启动优化", "mobile"),
        ("新しいプログラミング言語のコンパイラ", "languages"),
        ("生成AIで仕事はどう変わるか", "ai"),
        ("ルーターの脆弱性が見つかる", "security"),
        ("الذكاء الاصطناعي يغير سوق العمل", "ai"),
        ("مقدمة في قواعد البيانات", "databases"),
        ("Sztuczna inteligencja w szpitalach", "ai"),
        ("Nowe bazy danych dla bibliotek", "databases"),
        ("Okullarda yapay zekâ dersleri", "ai"),
        ("Yeni işletim sistemi tanıtıldı", "systems"),
        ("מבוא למסדי נתונים", "databases"),
        ("הבינה המלאכותית בבתי הספר", "ai"),
        ("שימוש בבינה מלאכותית בבתי הספר", "ai"),
        ("स्कूलों में कृत्रिम बुद्धिमत्ता", "ai"),
        ("नया ऑपरेटिंग सिस्टम आया", "systems"),
        ("병원에서 쓰는 인공지능", "ai"),
        ("새로운 프로그래밍 언어를 배우다", "languages"),
        ("Jak ugotować dobrą zupę", OTHER),
        ("Mutfakta iyi bir çorba", OTHER),
        ("מעבדה חדשה בבית הספר", OTHER),
        ("अच्छा सूप कैसे बनाएं", OTHER),
        ("맛있는 수프 끓이기", OTHER),
        ("Wie man eine gute Suppe kocht", OTHER),
        ("La recette de la tarte aux pommes", OTHER),
        ("La nueva red de autobuses de Madrid", OTHER),
        ("Новый ресторан в центре города", OTHER),
        ("东京的樱花季", OTHER),
        ("今日の天気", OTHER),
        ("وصفة الخبز في البيت", OTHER),
    ],
)
def test_our_topics_know_their_words_in_other_languages(ours, title, topic):
    assert ours.place(Text.of(title)).topic == topic


def test_each_keyword_of_ours_can_be_found_and_is_of_one_topic():
    found = {}
    for slug, heading in default_headings().items():
        for keyword in heading.keywords:
            assert keyword_words(keyword), keyword
            if not all(word.isascii() for word in keyword_words(keyword)):
                assert found.setdefault(keyword_words(keyword), slug) == slug, keyword


@pytest.mark.parametrize(
    ("keyword", "title", "language"),
    [
        ("Suppe", "Zwei Suppen für den Winter", "de"),
        ("Bibliothek", "Die Bibliotheken der Stadt", "de"),
        ("forêt", "La gestion des forêts", "fr"),
        ("elección", "Las elecciones municipales", "es"),
        ("escolar", "Os calendários escolares", "pt"),
        ("biblioteca", "Le biblioteche comunali", "it"),
        ("выборы", "О городских выборах", "ru"),
        ("городская школа", "В городских школах", "ru"),
        ("مدرسة", "افتتاح المدرسة الجديدة", "ar"),
        ("wybory", "Po wyborach samorządowych", "pl"),
        ("bibliotek", "Stadens biblioteken öppnar", "sv"),
    ],
)
def test_a_keyword_is_found_in_its_other_forms(keyword, title, language):
    chosen = headings({"it": Topic(title="-", keywords=(keyword,))})
    placer = Placer(chosen, Keywords(chosen))
    assert placer.place(Text.of(title, language=language)).topic == "it"
    assert placer.place(Text.of("Something else altogether", language=language)).topic == OTHER


def test_a_form_is_not_taken_for_another_word():
    assert stem("rüsten", "de") == stem("rust", "de") and not same_stem("rüsten", "rust", "de")
    assert stem("servers", "en") == "servers" and stem("数据", "zh") == "数据"
    chosen = headings({"it": Topic(title="-", keywords=("Suppe",))})
    hits = Keywords(chosen).find(words("Suppe und Suppen"), "de")
    assert hits == {"it": ["Suppe"]}


def test_what_was_learnt_of_one_form_counts_for_another():
    one, two = Text.of("Die Bibliotheken", language="de-AT"), Text.of("Eine Bibliothek", language="de")
    assert one.features.keys() & two.features.keys() >= {"bibliothek"}
    assert "bibliotheken" in Text.of("Die Bibliotheken").features  # in a language that nobody knows it stays


def test_an_article_that_is_elided_is_no_part_of_a_word():
    assert words("L'été d’Anne: all'università, qu'elle") == ["été", "anne", "università", "elle"]
    assert words("don't O'Reilly rock'n'roll I'm y'all's d'") == [
        "don't",
        "o'reilly",
        "rock'n'roll",
        "i'm",
        "y'all",
        "d",
    ]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Brücke über die Straße in Köln gesperrt", "Bruecke über die Strasse in Koeln gesperrt"),
        ("Müller gewinnt Wahl in Zürich deutlich", "Mueller gewinnt Wahl in Zuerich deutlich"),
        ("Müller gewinnt Wahl in Zürich deutlich", "Muller gewinnt Wahl in Zurich deutlich"),
        ("Café Beyoncé opens in Málaga harbour", "Cafe Beyonce opens in Malaga harbour"),
        ("Ｌｉｎｕｘ ７.1 ｋｅｒｎｅｌ arrives for everybody", "Linux 7.1 kernel arrives for everybody"),
        ("Ёлка на Красной площади зажглась сегодня", "Елка на Красной площади зажглась сегодня"),
        ("Türkiye İstanbul köprüsü yeniden açıldı", "Turkiye Istanbul koprusu yeniden acildi"),
        ("إعلان نتائج الإنتخابات في القاهرة اليوم", "اعلان نتائج الانتخابات في القاهره اليوم"),
        ("Łódź otwiera największą bibliotekę miejską", "Lodz otwiera najwieksza biblioteke miejska"),
    ],
)
def test_spellings_of_one_title_are_one_story(one, two):
    tellings = [
        Telling(n, title, (f"https://s{n}.example/{n}",), n, NOW + timedelta(hours=n))
        for n, title in enumerate((one, two))
    ]
    assert len(group(tellings).groups) == 1


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Linux内核6.9正式发布", "Linux内核6.10正式发布"),
        ("リナックスカーネル入門講座第3回", "リナックスカーネル入門講座第4回"),
        ("Über Brücken: Müller und die Stadt, Teil 2", "Über Brücken: Mueller und die Stadt, Teil 3"),
        ("PostgreSQL 18新特性详解", "PostgreSQL 19新特性详解"),
    ],
)
def test_versions_and_parts_keep_titles_of_any_script_apart(one, two):
    tellings = [Telling(n, title, (f"https://s{n}.example/{n}",), n, NOW) for n, title in enumerate((one, two))]
    assert len(group(tellings).groups) == 2


@pytest.mark.parametrize(
    ("pattern", "title", "found"),
    [
        ("数据库", "分布式数据库实践", True),
        ("rust", "用Rust编写操作系统", True),
        ("rust", "Trust and rustic", False),
        ("セキュリティ", "最新セキュリティ情報", True),
        ("дом", "Домашний очаг", False),
        ("дом", "Новый дом", True),
        ("数据*实践", "分布式数据库实践", True),
    ],
)
def test_the_rules_of_an_operator_know_the_borders_of_scripts(pattern, title, found):
    assert rules.fits(pattern, title) is found


def test_what_is_written_out_is_known_by_a_word_that_is_not():
    spellings = Spellings(words("Müller in Malmö, Value of true blue"))
    assert spellings.of(words("Mueller Malmoe value true blue")) == ["muller", "malmo", "value", "true", "blue"]
    assert plain("café") == "cafe" and plain("がく") == "がく" and plain("हिन्दी") == "हिन्दी" and plain("한국") == "한국"


def test_what_is_quick_for_ascii_finds_the_same_words() -> None:
    chance = random.Random(1)
    for _ in range(3_000):
        text = "".join(chance.choices("aBcdlnqu.'+#_-/09 S\n", k=chance.randrange(30))) + chance.choice(
            ("", " .net's c#")
        )
        assert words(text) == words(f"{text} é")[:-1]
