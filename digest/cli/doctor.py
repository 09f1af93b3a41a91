"""`digest doctor`: everything that must be right, a row for each, and the line that mends it; `digest config check`."""

from __future__ import annotations

import shlex
import socket
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli.common import Options, now, print_json, print_rows, while_read
from digest.cli.options import Json
from digest.errors import Exit, UserError

if TYPE_CHECKING:
    from digest.cli.checks import Scene
    from digest.config import Config, Relay, Smtp
    from digest.doctor import Check, Finding
    from digest.doctor.dns import Resolver
    from digest.doctor.senders import Sender

ONLINE = ("relays", "dns", "links", "mailbox", "summarizer", "rules")
MOST_ADDRESSES = 12  # of one relay: each is asked about
_FIRST = ("settings", "topics", "templates", "names")  # what fails there is put right in the settings: exit 78

config_app = typer.Typer(no_args_is_help=True, help="Settings, and whether they are right.")


def doctor(
    context: typer.Context,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="SECTION", help="Only this section; again for more.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nothing over a network.")] = False,
    mail: Annotated[
        str | None,
        typer.Option("--mail", metavar="FILE|-", help="Read a test mail as it came there: what did its server see?"),
    ] = None,
    nameserver: Annotated[
        str | None,
        typer.Option("--nameserver", metavar="ADDRESS", help="Ask it for the DNS; else [doctor] nameserver."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Name what is wrong anywhere, with the line that mends it. It only looks, and changes nothing.

    Sections: settings, clock, names, topics, database, templates, feeds, cron, letters, disk; over the network relays,
    dns, links, mailbox, summarizer; and rules, those of Gmail, Yahoo and Microsoft for who sends much.
    Exit 0 where nothing fails, warnings or not; 78 where something fails that the settings mend, else 69.

    Example: digest doctor --only dns --only links
    """
    options: Options = context.obj
    if mail is not None:
        _finish(options, _judged(mail), as_json=as_json)
    from digest.cli.checks import HERE, OFFLINE

    known = (*OFFLINE, *HERE, *ONLINE)
    wanted = tuple(part.strip() for word in only or known for part in word.split(","))
    if strange := [one for one in wanted if one not in known]:
        raise UserError(f"there is no section {strange[0]!r}", hint="one of: " + ", ".join(known))
    if offline:
        wanted = tuple(one for one in wanted if one not in ONLINE)
        if not wanted:
            raise UserError("--offline leaves nothing of what --only asks for")
    _finish(options, _examined(options, wanted, nameserver or ""), as_json=as_json)


@config_app.command("check")
def check(context: typer.Context, as_json: Json = False) -> None:
    """Check the settings and all that they name. Nothing is asked over a network, and nothing changed.

    It is the offline half of `digest doctor`; `digest run` goes through the quick part of it before it composes.
    Exit 0 where nothing fails, 78 where something does that the settings mend, else 69.

    Example: digest config check
    """
    from digest.cli.checks import OFFLINE

    options: Options = context.obj
    _finish(options, _examined(options, OFFLINE, ""), as_json=as_json)


def _finish(options: Options, findings: Sequence[Finding], *, as_json: bool) -> None:
    """Show the rows, and exit by the worst."""
    findings = [_here(options, one.mended) for one in findings]
    columns = ("section", "name", "level", "seen", "cure")
    if as_json:
        print_json([_as_json(one) for one in findings])
    else:
        rows = [(one.section, one.name, one.level.value, one.seen, str(one.cure or "")) for one in findings]
        if sys.stdout.isatty():  # a line that is to be typed must not be folded
            print_rows(columns[:-1], [row[:-1] for row in rows])
            with while_read():
                for one in findings:
                    if one.cure is not None:
                        print(f"\n{one.section}, {one.name}:\n  {one.cure}")
        else:
            print_rows(columns, rows)
        counts = {level: sum(one.level == level for one in findings) for level in ("ok", "warn", "fail", "unknown")}
        options.say(", ".join(f"{number} {level}" for level, number in counts.items() if number))
    failed = {one.section for one in findings if one.level == "fail"}
    if failed:
        raise typer.Exit(Exit.CONFIG if failed & set(_FIRST) else Exit.UNAVAILABLE)
    raise typer.Exit(Exit.OK)


def _as_json(one: Finding) -> dict[str, Any]:
    cure = {"place": one.cure.place, "text": one.cure.text} if one.cure else None
    if cure is not None and one.cure is not None and one.cure.place == "settings":
        cure |= {"under": one.cure.under, "file": one.cure.file}
    return {"section": one.section, "name": one.name, "level": one.level, "seen": one.seen, "cure": cure}


def _here(options: Options, one: Finding) -> Finding:
    """A command as it must be typed where the settings were named."""
    if options.config is None or one.cure is None or not one.cure.text.startswith("digest "):
        return one
    text = f"digest -c {shlex.quote(options.config)} {one.cure.text.removeprefix('digest ')}"
    return replace(one, cure=replace(one.cure, text=text))


def _judged(file: str) -> list[Finding]:
    from digest.doctor import results
    from digest.errors import BadInput, NotFound

    if file == "-":
        raw = sys.stdin.buffer.read(results.MOST_BYTES)
    else:
        try:
            with Path(file).open("rb") as opened:
                raw = opened.read(results.MOST_BYTES)
        except OSError as error:
            words = (error.strerror or "the system refuses").lower()
            raise NotFound(f"cannot read {file}: {words}", hint="save the mail with its source, as .eml") from None
    found = results.Received.of(raw)
    if not found.domain:
        raise BadInput(f"{file} is no mail: it has no From:", hint="save the mail with its source, as .eml")
    return results.judge(found)


# ---------------------------------------------------------------- the checks


def _examined(options: Options, wanted: Sequence[str], nameserver: str) -> list[Finding]:
    """The findings of the sections that are wanted."""
    from digest import config, event_loop
    from digest.cli import checks
    from digest.doctor import Cure, Finding, Level

    path, moment = options.path, now()
    try:
        loaded = config.load(path, partly=True)
    except UserError as error:
        words = f"{error}; {error.hint}" if error.hint else str(error)
        return [Finding("settings", "settings", Level.FAIL, words, Cure("digest help settings"))]
    database, trouble = checks.opened(loaded)
    try:
        scene = checks.Scene(path, loaded, database, moment, trouble)
        with options.progress("doctor", elapsed=True) as told:
            return event_loop.run(lambda: _asked(scene, wanted, nameserver, told))
    finally:
        if database is not None:
            database.close()


async def _asked(scene: Scene, wanted: Sequence[str], nameserver: str, told: Any) -> list[Finding]:
    from digest import doctor
    from digest.cli import checks

    seconds = scene.config.doctor.seconds
    found = [one for one in checks.checks(scene, seconds=4 * seconds) if one.section in wanted]
    rules = "rules" in wanted
    if "relays" in wanted:
        found += relay_checks(scene)
    senders: list[Sender] = []
    if rules or "dns" in wanted:
        from digest.doctor import senders as judged
        from digest.doctor.dns import Resolver

        try:
            lookup = Resolver(nameserver or scene.config.doctor.nameserver, seconds)
        except ValueError as error:
            raise UserError(f"--nameserver {error}") from None
        senders = await _senders(scene, lookup)
        found += judged.checks(lookup, senders, seconds=4 * seconds, where=lookup.where)
    if rules or "links" in wanted:
        found += _links(scene, seconds)
    if "mailbox" in wanted and scene.config.mail.source:
        found.append(doctor.Check.working("mailbox", "mailbox", partial(_mailbox, scene), 4 * seconds))
    if "summarizer" in wanted and scene.config.curate.summarizer:
        terms = scene.config.summarizer
        asked_once = partial(summarizer_check, scene)
        found.append(doctor.Check.working("summarizer", "summarizer", asked_once, terms.request_seconds + seconds))
    findings = await doctor.run(found, told=told)
    if rules:
        from digest.doctor import rules as asked

        domains = [paper.domain for paper in scene.config.newsletters.values()]
        findings += asked.judge(findings, domains=domains, note=_complaints(scene))
    return [one for one in findings if one.section in wanted]


def _complaints(scene: Scene) -> str:
    """What is known here of complaints in 30 days."""
    from digest.store import reports

    if scene.database is None:
        return ""
    with scene.database.read() as session:
        complained, delivered = reports.complaints(session, since=scene.now - timedelta(days=30))
    if not complained:
        return "no complaint came here in 30 days"
    return f"here, in 30 days: {complained:,} complaints of {delivered:,} letters, {complained / max(1, delivered):.2%}"


@dataclass(frozen=True)
class Way:
    """A relay that letters go by, its name for people, and where the settings say so."""

    name: str
    relay: Relay
    smtp: Smtp
    file: str = "digest.toml"
    table: str = "smtp"


def relays_of(scene: Scene) -> list[Way]:
    """Every relay, once."""
    from digest.deliver.login import name_of

    config, found = scene.config, dict[str, Way]()
    places = [(config.smtp, (str(scene.path), "smtp"))]
    places += [(config.imprint(name).smtp, scene.smtp_of(name)) for name in config.newsletters]
    for smtp, (file, table) in places:
        for number, relay in enumerate(smtp.servers, 1):
            where = table if smtp.url else f"{table}.relays {number}"
            key = repr((relay.url.get_secret_value(), relay.user))
            found.setdefault(key, Way(name_of(relay), relay, smtp, file, where))
    return list(found.values())


def relay_checks(scene: Scene, *, only: str = "") -> list[Check]:
    from digest.doctor import Check, Cure, Finding, Level, Place

    config, seconds = scene.config, scene.config.doctor.seconds
    made = [
        Check("relays", f"relay {way.name}", partial(_relay, way, seconds, scene.now), 6 * seconds)
        for way in relays_of(scene)
        if only in ("", way.name)
    ]
    if made or only:
        return made

    async def none() -> Iterable[Finding]:
        seen = f"no mail server is set: letters are kept in {config.maildir}, and nobody gets them"
        cure = Cure('url = "smtp://localhost:25"', Place.SETTINGS, "smtp", str(scene.path))
        return [Finding("relays", "relays", Level.WARN, seen, cure)]

    return [Check("relays", "relays", none, seconds)]


async def _relay(way: Way, seconds: float, moment: datetime) -> list[Finding]:
    from digest.deliver import look
    from digest.doctor import Cure, Finding, Level, Place, links
    from digest.errors import ConfigError, RelayDown

    where, relay, name = f"relay {way.name}", way.relay, way.name
    try:
        seen = await look.at(relay, way.smtp, seconds=seconds)
    except (RelayDown, ConfigError) as error:
        return [Finding("relays", where, Level.FAIL, str(error), Cure(f"digest relay test --relay {name}"))]
    words = ["by TLS" if seen.secure else "in clear"]
    words += [f"as {relay.server.user}"] if seen.logged_in else []
    words += [f"letters up to {seen.size:,} bytes"] if seen.size else []
    words += ["PIPELINING" if "PIPELINING" in seen.extensions else "no PIPELINING, so letters take longer"]
    found = []
    if seen.offers_tls and not relay.server.is_here:
        url = f"smtp+starttls://{relay.server.place}"
        cure = Cure(f'url = "{url}"', Place.SETTINGS, way.table, way.file)
        found.append(Finding("relays", where, Level.WARN, "letters go there in clear, and it offers TLS", cure))
    elif 0 < seen.size < look.LEAST:
        said = f"takes letters up to {seen.size:,} bytes only, and some are larger"
        found.append(Finding("relays", where, Level.WARN, said, Cure("postconf -e message_size_limit=10240000")))
    else:
        found.append(Finding("relays", where, Level.OK, ", ".join(words)))
    if seen.certificate_end is not None:
        renew = Cure("certbot renew") if relay.server.is_here else Cure(f"digest relay test --relay {name}")
        ends = seen.certificate_end
        found.append(links.certificate("relays", f"certificate {name}", ends, now=moment, cure=renew))
    return found


async def _senders(scene: Scene, lookup: Resolver) -> list[Sender]:
    """Each different way in which newsletters send."""
    return list(dict.fromkeys([await _sender(scene, name, lookup) for name in _sending(scene.config)]))


def _sending(config: Config) -> list[str]:
    """Newsletters that have a mail server: what is only kept here, no receiver judges."""
    return [name for name in config.newsletters if config.imprint(name).smtp.servers]


async def _sender(scene: Scene, name: str, lookup: Resolver) -> Sender:
    from digest.doctor import senders
    from digest.doctor.dns import NoAnswer

    config = scene.config
    paper, smtp = config.newsletters[name], config.imprint(name).smtp
    file, table = scene.smtp_of(name)
    hosts = [relay.server.host for relay in smtp.servers]
    away = [relay.server.host for relay in smtp.servers if not relay.server.is_here]
    addresses = list(config.doctor.addresses)
    if not addresses:
        myself = smtp.hello or socket.gethostname()
        for host in away or ([myself] if "." in myself else []):
            try:
                addresses += await lookup.addresses(host) if not _is_address(host) else [host]
            except NoAnswer:
                pass
    bounces = config.mail.address.rpartition("@")[2] or smtp.envelope_domain or paper.domain
    imap = config.mail.server.host if "://" in config.mail.source else ""
    includes = tuple(dict.fromkeys(filter(None, map(senders.service_of, hosts))))
    keys = []
    for dkim in smtp.dkim:
        try:
            pem = dkim.key_file.read_bytes()
        except OSError:
            continue  # of which the section of the settings tells
        keys.append(senders.Key(dkim.domain or paper.domain, dkim.selector, pem, str(dkim.key_file)))
    host = next((one for one in (imap, smtp.hello, *away) if one and not _is_address(one)), "")
    return senders.Sender(
        domain=paper.domain,
        envelope=bounces,
        hello=smtp.hello,
        addresses=tuple(dict.fromkeys(addresses))[:MOST_ADDRESSES],
        sure=bool(config.doctor.addresses),
        keys=tuple(keys),
        includes=includes,
        relays=tuple(away),
        host=host or f"mail.{bounces}",
        file=file,
        table=table,
    )


def _is_address(host: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _links(scene: Scene, seconds: float) -> list[Check]:
    from digest import sign
    from digest.collect.posting import Asker
    from digest.doctor import links

    config = scene.config
    sites: dict[str, links.Site] = {}
    for name, paper in config.newsletters.items():
        imprint = config.imprint(name)
        token = sign.token(sign.Purpose.UNSUBSCRIBE, sign.NOBODY, key=imprint.key)
        sites.setdefault(
            imprint.base_url,
            links.Site(
                imprint.base_url,
                f"/unsubscribe/{token}",
                sign.NOBODYS.encode(),
                scene.file_of(name)[1] if paper.base_url else "",
                scene.file_of(name)[0] if paper.base_url else str(scene.path),
                paper.domain,
                config.collect.allow_private_addresses,
            ),
        )
    # The operator's own website may stand in a private network, where others reach it by another way.
    ask = Asker(allow_private=True, proxy=config.collect.proxy.get_secret_value())
    return links.checks(list(sites.values()), ask, now=scene.now, seconds=4 * seconds)


def _mailbox(scene: Scene) -> list[Finding]:
    """Log in and look, without reading anything."""
    from contextlib import closing

    from digest import line
    from digest.doctor import Cure, Finding, Level
    from digest.store import reports

    place = scene.config.mail.source
    try:
        with closing(line.mailbox(scene.config, place)) as source:
            mark = ""
            if scene.database is not None:
                with scene.database.read() as session:
                    mark = reports.mark(session, source.name)
            return [Finding("mailbox", "mailbox", Level.OK, f"{source.name}: {source.look(mark)}")]
    except UserError as error:
        words = f"what comes back is not read: {error}" + (f"; {error.hint}" if error.hint else "")
        cure = Cure("digest mail read --check")
        if "://" not in place:
            path = shlex.quote(str(Path(place).expanduser()))
            cure = Cure(" ".join(["mkdir -p", *(f"{path}/{part}" for part in ("new", "cur", "tmp"))]))
        return [Finding("mailbox", "mailbox", Level.FAIL, words, cure)]


def summarizer_check(scene: Scene) -> list[Finding]:
    """Ask once, of a text of ours: editions go out without it, so that nothing fails."""
    from digest.collect import summaries
    from digest.doctor import Cure, Finding, Level, Place
    from digest.errors import ConfigError, FetchError

    name, terms = scene.config.curate.summarizer, scene.config.summarizer
    where = f"{terms.url}, {terms.model}" if name == "openai" else name
    try:
        why = summaries.tried(scene.config, seconds=terms.request_seconds)
    except (ConfigError, FetchError) as error:
        said = error.reason if isinstance(error, FetchError) else str(error)
        why = f"is not to be had: {where} {said}"
        cure = Cure('summarizer = ""', Place.SETTINGS, "curate", str(scene.path))
        return [Finding("summarizer", "summarizer", Level.WARN, why, cure)]
    if why:
        said = f"{where} answers, and what it wrote of a text of ours is not shown: it {why}"
        return [Finding("summarizer", "summarizer", Level.WARN, said)]
    return [Finding("summarizer", "summarizer", Level.OK, f"{where} wrote a summary that can be shown")]
