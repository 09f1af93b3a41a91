"""All that the settings name outside themselves, opened and judged before it is needed: files, folders, programs."""

from __future__ import annotations

import os
import shlex
import shutil
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from digest.config import Config, Newsletter, Smtp
from digest.config.look import SUBJECTS
from digest.dataclass import dataclass
from digest.errors import ConfigError

if TYPE_CHECKING:
    from digest.render import Templates


@dataclass(frozen=True)
class Finding:
    """What is wrong with something that a setting names. `newsletter` is the one it stops, "" where it stops all.

    A `warning` stops nothing.
    """

    setting: str
    words: str
    hint: str = ""
    newsletter: str = ""
    warning: bool = False
    cure: str = ""  # a command that mends it, where there is one

    def __str__(self) -> str:
        return f"{self.setting}: {self.words}"


def check(config: Config, *, templates: bool = True, writes: bool = True) -> list[Finding]:
    """Every finding, those that stop all first. Nothing is changed, sent or asked over a network.

    Without `templates` only what delivery needs; without `writes` not where letters would be kept.
    """
    found = [*_sending(config.smtp, "smtp"), *_hearing(config), *(_keeping(config) if writes else ())]
    for name, settings in config.newsletters.items():
        if settings.smtp is not None:
            common = {(finding.words, finding.warning) for finding in found if not finding.newsletter}
            own = _sending(settings.smtp, f"newsletters.{name}.smtp")
            found += [replace(one, newsletter=name) for one in own if (one.words, one.warning) not in common]
    if templates:
        found += [*_scorer(config.curate.scorer), *_summarizer(config)]
        if config.templates is not None:
            found += _folder("templates", config.templates, "")
        for name, settings in config.newsletters.items():
            found += [*_templates(name, settings, config), *_logos(name, settings)]
    return sorted(found, key=lambda finding: (finding.warning, bool(finding.newsletter)))


def require(config: Config, *, newsletter: str = "", templates: bool = True, writes: bool = True) -> list[Finding]:
    """The findings that stop not all; ConfigError for the first that does, or that stops `newsletter`."""
    found = check(config, templates=templates, writes=writes)
    stops = [one for one in found if not one.warning and one.newsletter in ("", newsletter)]
    if stops:
        more = f" ({len(stops) - 1} more like it)" if len(stops) > 1 else ""
        raise ConfigError(f"{stops[0]}{more}", hint=stops[0].hint)
    return found


def _sending(smtp: Smtp, where: str) -> Iterator[Finding]:
    if smtp.ca_file and (words := _unreadable(smtp.ca_file) or _no_certificates(smtp.ca_file)):
        yield Finding(f"{where}.ca_file", words, "a PEM file with the certificates to trust; without it, the system's")
    for dkim in smtp.dkim:
        words = _unreadable(dkim.key_file) or _no_key(dkim.key_file)
        if words:
            yield Finding(
                f"{where}.dkim key_file",
                words,
                "openssl genrsa -out FILE 2048, or openssl genpkey -algorithm ed25519 -out FILE, makes one",
                cure=f"openssl genrsa -out {shlex.quote(str(dkim.key_file))} 2048",
            )
        elif dkim.key_file.stat().st_mode & 0o004:
            hint = f"chmod 600 {shlex.quote(str(dkim.key_file))}"
            words = f"everybody here can read {dkim.key_file}"
            yield Finding(f"{where}.dkim key_file", words, hint, warning=True, cure=hint)
    for relay in smtp.servers:
        program = shlex.split(relay.token_command)[0] if relay.token_command else ""
        if program and shutil.which(program) is None:
            yield Finding(
                f"{where} token_command",
                f"there is no program {program}, or it cannot be run",
                "write its whole path: cron knows few folders",
            )


def _hearing(config: Config) -> Iterator[Finding]:
    if config.mail.ca_file and (words := _unreadable(config.mail.ca_file) or _no_certificates(config.mail.ca_file)):
        yield Finding("mail.ca_file", words, "a PEM file with the certificates to trust", warning=True)
    if config.mail.webhooks.sendgrid_key and not _public(config.mail.webhooks.sendgrid_key):
        hint = "SendGrid shows it: Mail Settings, Event Webhook"
        yield Finding("mail.webhooks sendgrid_key", "is no public key", hint, warning=True)


def _public(key: str) -> bool:
    from digest.hear.signatures import is_public_key

    return is_public_key(key)


def _keeping(config: Config) -> Iterator[Finding]:
    everything = [config.smtp, *(config.imprint(name).smtp for name in config.newsletters)]
    if not all(smtp.servers for smtp in everything) and (words := _unwritable(config.maildir)):
        yield Finding("smtp", words, "without smtp.url letters are kept there; let the user who runs digest write it")


def _unreadable(path: Path) -> str:
    if not path.exists():
        return f"there is no file {path}"
    if not path.is_file():
        return f"{path} is no file"
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return f"cannot read {path}: {(error.strerror or 'the system refuses').lower()}"
    return ""


def _no_certificates(path: Path) -> str:
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ValueError):  # SSLError is an OSError
        return f"{path} holds no certificate in PEM form"
    return ""


def _no_key(path: Path) -> str:
    from digest.letter import Signer

    try:
        Signer(path.read_bytes(), domain="example.org", selector="check")
    except ValueError as error:
        return f"{path} {error}"
    return ""


def _unwritable(folder: Path) -> str:
    """Why letters cannot be kept in a folder, which may be still to be made."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return f"{place} is no folder"
    return "" if os.access(place, os.W_OK | os.X_OK) else f"the folder {place} cannot be written"


def _scorer(name: str) -> Iterator[Finding]:
    if not name:
        return
    from digest import edition

    try:
        edition.scorer(name)
    except ConfigError as error:
        yield Finding("curate.scorer", str(error), error.hint)


def _summarizer(config: Config) -> Iterator[Finding]:
    if not config.curate.summarizer:
        return
    from digest.collect import summaries

    try:
        if config.curate.summarizer == "openai":
            summaries.key_of(config)
        else:
            summaries.summarizer(config.curate.summarizer)
    except ConfigError as error:  # editions go out without
        yield Finding("curate.summarizer", str(error), error.hint, warning=True)


def _templates(name: str, settings: Newsletter, config: Config) -> Iterator[Finding]:
    if not settings.template_folders and settings.subject in SUBJECTS:
        return  # all is ours, and a renderer is dear to load
    from digest import render

    if settings.templates is not None:
        found = list(_folder(f"newsletters.{name}.templates", settings.templates, name))
        yield from found
        if any(not finding.warning for finding in found):
            return
    try:
        render.Templates(*settings.template_folders).judge(settings.subject)
    except ConfigError as error:
        yield Finding(f"newsletters.{name}", str(error), error.hint, name)
        return
    if settings.template_folders:
        yield from _mails(name, settings, config)


def _logos(name: str, settings: Newsletter) -> Iterator[Finding]:
    """What is wrong with a logo. Nothing is stopped by it: the title stands there in words."""
    if settings.logo is None and settings.logo_dark is None:
        return
    from digest.edition import logos

    for key, path in (("logo", settings.logo), ("logo_dark", settings.logo_dark)):
        if path is not None and (words := logos.fault(path)):
            hint = "a PNG, JPEG, GIF or WebP of 600 pixels in width; until then the title stands there in words"
            yield Finding(f"newsletters.{name}.{key}", f"{path} {words}", hint, name, warning=True)
    if settings.logo is None:
        hint = "name one for light ground too: logo"
        yield Finding(f"newsletters.{name}.logo_dark", "is not shown without a logo", hint, name, warning=True)


def _folder(setting: str, folder: Path, newsletter: str) -> Iterator[Finding]:
    """What is wrong with a folder of templates, whatever stands in them."""
    from digest import render

    try:
        list(folder.iterdir())
        replaced = render.Templates(folder).replaced()
    except OSError as error:
        words = f"cannot read the folder {folder}: {(error.strerror or 'the system refuses').lower()}"
        yield Finding(setting, words, "`digest help templates` says what may stand in it", newsletter)
        return
    if not replaced:
        words = f"nothing in {folder} takes the place of a template of ours"
        hint = "the names are " + ", ".join(sorted(render.template_names()))
        yield Finding(setting, words, hint, newsletter, warning=True)
    for file, language in sorted(replaced):
        if words := _unreadable(folder / language / file):
            yield Finding(setting, words, "", newsletter)


def _mails(name: str, settings: Newsletter, config: Config) -> Iterator[Finding]:
    """What is wrong with the operator's own words. Nothing is stopped by it: such mails go out in ours."""
    from digest import render

    templates = render.Templates(*settings.template_folders)
    replaced = templates.replaced()
    files = {file for file, _language in replaced}
    languages = sorted({language or settings.language for _file, language in replaced})
    for kind in render.MAILS:
        setting = f"newsletters.{name}, the mail {kind!r}"
        if files & {f"{kind}.html", f"{kind}.txt", "note.html", "note.txt"}:
            for words, hint in _faults(templates, name, config, kind, languages).items():
                yield Finding(setting, words, hint, name, warning=True)


def _faults(
    templates: Templates, newsletter: str, config: Config, kind: str, languages: Iterable[str]
) -> dict[str, str]:
    """Why a mail cannot be written by these templates, each with a hint: to whom we know much of, and to a stranger."""
    from digest import render
    from digest.subscribe import notes

    found: dict[str, str] = {}
    for language in languages:
        for reader in (notes.SAMPLE, render.Reader("ada@example.org")):
            try:
                templates.note(notes.sample(kind, newsletter, config, language=language, reader=reader))
            except ConfigError as error:
                found.setdefault(str(error), error.hint)
    return found
