from __future__ import annotations

import pytest
import sqlalchemy as sa

from digest import config
from digest.errors import ConfigError, NotFound

GOOD = """
secret_key = "sixteen characters at least"
[newsletters.daily]
title = "Daily"
from = "Daily <news@news.example>"
"""


@pytest.fixture
def written(tmp_path):
    def write(text: str):
        path = tmp_path / "digest.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_paths_are_relative_to_the_file_and_not_to_the_working_directory(written, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    settings = config.load(written(GOOD + 'templates = "mine"\n'))
    assert settings.database_url == f"sqlite:///{tmp_path}/digest.db"
    assert settings.newsletters["daily"].templates == tmp_path / "mine"
    assert settings.maildir == tmp_path / "maildir"


def test_the_environment_goes_before_the_file(written, monkeypatch):
    monkeypatch.setenv("DIGEST_NEWSLETTERS__DAILY__TITLE", "Weekly")
    monkeypatch.setenv("DIGEST_SMTP__URL", "smtps://u:p@mail.example")
    settings = config.load(written(GOOD))
    assert settings.newsletters["daily"].title == "Weekly"
    assert settings.newsletters["daily"].sender == "Daily <news@news.example>"
    assert settings.smtp.url.get_secret_value() == "smtps://u:p@mail.example"


def test_secrets_are_not_shown(written, monkeypatch):
    monkeypatch.setenv("DIGEST_SMTP__URL", "smtps://u:sesame@mail.example")
    shown = repr(config.load(written(GOOD)))
    assert "sesame" not in shown and "sixteen" not in shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("= 1", "is not valid TOML"),
        ("", "secret_key is missing"),
        (GOOD.replace("sixteen characters at least", "short"), "secret_key must have at least 16"),
        ('secret_key = "sixteen characters at least"', None),
        (GOOD.replace("from =", "form ="), "form is not a setting; did you mean from"),
        (GOOD + "max_story = 3", "newsletters.daily.max_story is not a setting; did you mean max_stories"),
        ("basurl = 1\n" + GOOD, "basurl is not a setting; did you mean base_url"),
        (GOOD + "[smtp]\nulr = 1", "smtp.ulr is not a setting; did you mean url"),
        ('about = "Elm 1"\n' + GOOD, r"about is not a setting; it stands in \[newsletters.NAME\]"),
        (GOOD + '[smtp]\nbase_url = "http://x"', "base_url is not a setting; it stands at the top of the file"),
        ('database = "mysql://x/y"' + GOOD, "database must be a path .SQLite. or postgresql://"),
        (GOOD + 'max_stories = "many"', "newsletters.daily.max_stories must be a whole number"),
        (GOOD + "max_stories = 1.5", "newsletters.daily.max_stories must be a whole number"),
        (GOOD + "max_stories = true", "newsletters.daily.max_stories must be a whole number"),
        (GOOD + "feed_weights = {x = true}", "newsletters.daily.feed_weights.x must be a number"),
        (GOOD + "[collect]\ninterval_minutes = false", "collect.interval_minutes must be a number"),
        (GOOD + "[newsletters.daily.smtp]\nconnections = true", "daily.smtp.connections must be a whole number"),
        (GOOD + 'holidays = "DE"', r'newsletters.daily.holidays must be a list, as in \["one", "two"\]'),
        (GOOD + 'topics = ["ai"]', r"newsletters.daily.topics must be a table, as in \[section\]"),
        (GOOD + 'goodbye = "often"', "newsletters.daily.goodbye must be true or false"),
        (GOOD + "language = 1", "newsletters.daily.language must be text in quotes"),
        (GOOD + "max_stories = 2\nmin_stories = 3", "min_stories is larger than max_stories"),
        (GOOD + 'schedule = "sometimes"', "'sometimes' is not a schedule"),
        (GOOD.replace("Daily <news@news.example>", "Daily"), "is not an address"),
        (GOOD.replace("Daily <news@news.example>", "a@b.example\\r\\nBcc: x"), "has a line break"),
        (GOOD.replace("newsletters.daily", "newsletters.'Big News'"), "small letters, digits"),
        (GOOD + '[smtp]\nurl = "mail.example.org"', "smtp.url must look like"),
        (GOOD + '[smtp]\nurl = "smtp://mail.example:99999"', "port"),
        ('base_url = "ftp://x"\n' + GOOD, "base_url must be the http"),
        (GOOD + "[collect]\ninterval_minutes = inf", "collect.interval_minutes must be a finite number"),
        (GOOD + "[collect]\ninterval_minutes = 1e300", "collect.interval_minutes must be less than"),
        (GOOD + "[smtp]\nmax_lateness_hours = nan", "smtp.max_lateness_hours must be a finite number"),
        (GOOD + "[curate]\nfresh_hours = 1e300", "curate.fresh_hours must be less than"),
        (GOOD + "feed_weights = {x = inf}", "feed_weights.x must be a finite number"),
    ],
)
def test_a_mistake_is_told_with_file_key_and_cure(written, text, said):
    path = written(text)
    if said is None:  # settings without a newsletter: the CLI says so where one is needed
        said = "newsletters"
    with pytest.raises(ConfigError, match=said) as caught:
        config.load(path)
    assert str(path) in str(caught.value) and caught.value.hint


DEEP = "x = " + "[" * 5_000 + "]" * 5_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('secret_key = "sixteen characters at least"\nnewsletters = []', "newsletters must be"),
        ('secret_key = "sixteen characters at least"\nnewsletters = "daily"', "newsletters must be"),
        ('secret_key = "sixteen characters at least"\n[[newsletters]]\ntitle = "x"', "newsletters must be"),
        ('secret_key = "sixteen characters at least"\n[newsletters]\ndaily = 5', "newsletters.daily must be"),
        (DEEP, "too deep"),
        (GOOD + "max_stories = " + "9" * 5_000, "is not valid TOML"),
    ],
)
@pytest.mark.parametrize("partly", [False, True])
def test_what_has_the_wrong_shape_is_told_and_no_mistake_of_ours(written, text, said, partly):
    with pytest.raises(ConfigError, match=said) as caught:
        config.load(written(text), partly=partly)
    assert caught.value.hint


@pytest.mark.parametrize(("text", "said"), [(DEEP, "too deep"), ("max_stories = " + "9" * 5_000, "is not valid TOML")])
def test_a_newsletters_own_file_has_the_same_bounds(written, tmp_path, text, said):
    path = written(GOOD)
    (tmp_path / "newsletters").mkdir()
    (tmp_path / "newsletters" / "weekly.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        config.load(path)
    assert list(config.load(path, partly=True).newsletters) == ["daily"]


@pytest.mark.parametrize(("key", "value"), [("theme", "plian"), ("palette", "slat"), ("from", "nobody")])
def test_one_mistake_is_not_called_several(written, key, value):
    """What is made of the wrong value, as the accent is of a palette, is no mistake of its own."""
    lines = [line for line in GOOD.splitlines() if not line.startswith(f"{key} =")]
    with pytest.raises(ConfigError) as told:
        config.load(written("\n".join([*lines, f'{key} = "{value}"'])))
    assert f"newsletters.daily.{key} " in str(told.value) and "more like it" not in str(told.value)


def test_a_mistake_in_the_environment_names_the_variable(written, monkeypatch):
    monkeypatch.setenv("DIGEST_SMTP__TIMEOUT_SECONDS", "soon")
    with pytest.raises(ConfigError, match=r"DIGEST_SMTP__TIMEOUT_SECONDS: smtp\.timeout_seconds"):
        config.load(written(GOOD))


def test_a_section_in_the_environment_that_is_no_json_is_told_with_the_cure(written, monkeypatch):
    monkeypatch.setenv("DIGEST_SMTP", "smtp://mail.example")
    with pytest.raises(ConfigError, match="the environment variable DIGEST_SMTP cannot be read") as caught:
        config.load(written(GOOD))
    assert "DIGEST_SMTP__URL" in caught.value.hint


def test_a_file_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "digest.toml").write_bytes(b'title = "\xff"')
    with pytest.raises(ConfigError, match="is not UTF-8"):
        config.load(tmp_path / "digest.toml")


def test_the_settings_are_looked_for_in_order(written, tmp_path, monkeypatch):
    path = written(GOOD)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    with pytest.raises(NotFound, match="no settings file"):
        config.find(None, {})
    with pytest.raises(NotFound, match="there is no settings file"):
        config.find(tmp_path / "absent.toml", {})
    assert config.find(path, {}) == path
    assert config.find(tmp_path, {}) == path  # a folder is as good
    assert config.find(None, {"DIGEST_CONFIG": str(path)}) == path
    monkeypatch.chdir(tmp_path)
    assert config.find(None, {}).absolute() == path


def test_a_postgres_url_is_read_with_psycopg(written):
    settings = config.load(written('database = "postgresql://me:sesame@db.example/digest"\n' + GOOD))
    assert settings.database_url == "postgresql+psycopg://me:sesame@db.example/digest"
    assert settings.database_name == "postgresql://db.example/digest"


def test_the_newsletter_may_stay_unnamed_while_there_is_one(written):
    settings = config.load(written(GOOD))
    assert settings.newsletter(None)[0] == "daily"
    with pytest.raises(NotFound, match="no newsletter 'weekly'"):
        settings.newsletter("weekly")
    two = config.load(written(GOOD + GOOD.partition("\n[")[2].replace("newsletters.daily", "[newsletters.weekly")))
    with pytest.raises(ConfigError, match="several newsletters: daily, weekly"):
        two.newsletter(None)


SECRET = "hunter2"
# What a password may be that somebody forgot to encode. A colon is none of these: it can be read.
ODD = [f"{before}{sign}{SECRET}" for sign in "@/#?[] \\\u2100" for before in ("", "x", "12", "a:b@c/")]


def told(settings) -> str:
    return f"{settings!r} {settings} {settings.database_name} {settings.smtp.servers!r}"


@pytest.mark.parametrize("password", [*ODD, f":{SECRET}", f"%zz{SECRET}", f"a:{SECRET}"])
@pytest.mark.parametrize(
    "text",
    [
        'database = "postgresql://me:PASSWORD@db.example/digest"\n' + GOOD,
        'database = "postgresql://me:PASSWORD@/digest?host=/run"\n' + GOOD,
        'database = "postgresql://db.example/digest?user=me&password=PASSWORD"\n' + GOOD,
        'database = "postgresql:/me:PASSWORD@db.example/digest"\n' + GOOD,
        'database = "me:PASSWORD@db.example/digest"\n' + GOOD,
        GOOD + '[smtp]\nurl = "smtps://me:PASSWORD@mail.example"',
        GOOD + '[[smtp.relays]]\nurl = "smtp+starttls://me:PASSWORD@mail.example:587"',
        'base_url = "https://me:PASSWORD@news.example"\n' + GOOD,
    ],
    ids=["database", "socket", "query", "one slash", "no scheme", "smtp", "relay", "base_url"],
)
def test_no_piece_of_a_password_is_told_however_it_is_written(written, text, password):
    path = written(text.replace("PASSWORD", password.replace("\\", "\\\\")))
    try:
        said = told(config.load(path))
    except ConfigError as error:
        said = f"{error} {error.hint}"
        if "@" in password and "://" in text and "base_url" not in text:
            assert "percent-encoded (@ as %40" in said
    assert SECRET not in said


@pytest.mark.parametrize("password", [f"a@b/c#d?e:f[{SECRET}", f"100%{SECRET}", f"%2F{SECRET}", f" {SECRET}é"])
def test_user_and_password_may_stand_beside_an_address_as_they_are(written, monkeypatch, password):
    monkeypatch.setenv("DIGEST_DATABASE_PASSWORD", password)
    monkeypatch.setenv("DIGEST_SMTP__PASSWORD", password)
    text = 'database = "postgresql://db.example:5433/digest"\ndatabase_user = "m e"\n' + GOOD
    settings = config.load(written(text + '[smtp]\nurl = "smtps://mail.example"\nuser = "m@e"'))
    found = sa.make_url(settings.database_url)
    assert (found.username, found.password, found.host, found.port) == ("m e", password, "db.example", 5433)
    [relay] = settings.smtp.servers
    assert (relay.server.user, relay.server.password, relay.server.host) == ("m@e", password, "mail.example")
    assert SECRET not in told(settings)


def test_each_relay_has_its_own_login(written):
    relays = "".join(
        f'[[smtp.relays]]\nurl = "smtps://{name}.example"\nuser = "{name}"\npassword = "{SECRET}"\n' for name in "ab"
    )
    settings = config.load(written(GOOD + relays))
    assert [relay.server.user for relay in settings.smtp.servers] == ["a", "b"]
    assert {relay.server.password for relay in settings.smtp.servers} == {SECRET} and SECRET not in told(settings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('database_password = "x"\n' + GOOD, "which a SQLite database has not"),
        ('database = "postgresql://db/x"\ndatabase_password = "x"\n' + GOOD, "no database_user"),
        ('database = "postgresql://a:b@db/x"\ndatabase_user = "x"\n' + GOOD, "twice"),
        ('database = "postgresql+asyncpg://a:b@db/x"\n' + GOOD, "must be a path .SQLite. or postgresql://"),
        (GOOD + '[smtp]\npassword = "x"', "password and no url"),
        (GOOD + '[smtp]\nurl = "smtps://h"\npassword = "x"', "password and no user"),
        (GOOD + '[smtp]\nurl = "smtps://a:b@h"\nuser = "c"', "twice"),
        (GOOD + '[smtp]\nuser = "c"\n[[smtp.relays]]\nurl = "smtps://h"', "has user beside relays"),
        (GOOD + '[smtp]\nurl = "smtps://h"\nuser = "c"\npassword = "x"\ntoken_command = "true"', "both a password"),
        (GOOD + '[smtp]\nca_file = "~nobody-of-that-name/ca.pem"', "whose home"),
        ('database = "~nobody-of-that-name/x.db"\n' + GOOD, "whose home"),
        (GOOD + 'templates = "a\\u0000b"', "line break"),
    ],
)
def test_a_login_that_is_not_clear_is_told(written, text, said):
    with pytest.raises(ConfigError, match=said):
        config.load(written(text))


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("DIGEST_SMTP_URL", "DIGEST_SMTP__URL"),
        ("DIGEST_BASEURL", "DIGEST_BASE_URL"),
        ("DIGEST_NEWSLETTER__DAILY__TITLE", "DIGEST_NEWSLETTERS__DAILY__TITLE"),
    ],
)
def test_a_variable_spelt_so_that_it_would_not_count_is_refused(written, monkeypatch, variable, meant):
    monkeypatch.setenv(variable, "x")
    with pytest.raises(ConfigError, match=f"{variable} is not a setting; did you mean {meant}"):
        config.load(written(GOOD))


def test_variables_of_others_are_left_alone(written, monkeypatch):
    for variable in ("DIGEST_CONFIG", "DIGEST_IMAGE_TAG", "DIGESTER_SMTP_URL"):
        monkeypatch.setenv(variable, "x")
    assert config.load(written(GOOD)).newsletters["daily"].title == "Daily"
