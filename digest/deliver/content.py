"""What letters say: the templates of variants and notices, filled in for one reader each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session

from digest import letter, render, sign, store
from digest.config import Config
from digest.errors import ConfigError
from digest.letter import Letter, Recipient, Sender, Signer, Template
from digest.render import Marker, Rendered
from digest.store import Claimed

MOST_TEMPLATES = 64  # kept at a time; a letter in the queue keeps its own


class Contents:
    """Templates by variant or notice, the latest used kept."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._key = config.keys[0]
        self._lasting_key = config.lasting_key
        self._templates: OrderedDict[tuple[str, int], Template | ValueError] = OrderedDict()
        self._loaded: dict[tuple[str, int], tuple[Rendered, Sender]] = {}
        self._pems = [(dkim, _read_key(dkim.key_file)) for dkim in config.smtp.dkim]
        self.signers("example.org")  # a key of no use is told before the first letter
        self._links = {marker: _link(config.base_url, marker) for marker in Marker}

    def load(self, session: Session, letters: Iterable[Claimed]) -> None:
        """Read what these letters say and no template holds yet."""
        for claimed in letters:
            key = _key(claimed)
            if key in self._templates or key in self._loaded:
                continue
            if claimed.notice_id is not None:
                notice = store.notice_to_send(session, claimed.notice_id)
                sender = Sender(notice.sender, notice.created_at)
                self._loaded[key] = (Rendered(notice.subject, notice.html, notice.text), sender)
            else:
                assert claimed.variant_id is not None
                variant, edition, newsletter = store.variant_to_send(session, claimed.variant_id)
                sender = Sender(edition.sender, edition.composed_at, edition.reply_to, newsletter.name, edition.number)
                html = "" if variant.plain else variant.html
                self._loaded[key] = (
                    Rendered(variant.subject, html, variant.text, marks=render.marks(variant.marks)),
                    sender,
                )

    def filler(self, claimed: Claimed) -> Filler:
        """The letter-to-be of somebody whose content was loaded."""
        key = _key(claimed)
        template = self._templates.get(key)
        if template is None:
            rendered, sender = self._loaded.pop(key)
            template = self._templates[key] = self.template(rendered, sender)
        self._templates.move_to_end(key)
        while len(self._templates) > MOST_TEMPLATES:
            self._templates.popitem(last=False)
        return Filler(self, template, claimed)

    def template(self, rendered: Rendered, sender: Sender) -> Template | ValueError:
        """Cut once; where a subject or sender cannot stand in a header, the error that each letter will have."""
        try:
            return Template(rendered, sender, signers=self.signers(sender.domain))
        except ValueError as error:
            return error

    def signers(self, domain: str) -> list[Signer]:
        found = []
        for settings, pem in self._pems:
            try:
                found.append(Signer(pem, domain=settings.domain or domain, selector=settings.selector))
            except ValueError as error:
                raise ConfigError(
                    f"the DKIM key {settings.key_file} {error}",
                    hint="openssl genrsa -out FILE 2048, or openssl genpkey -algorithm ed25519 -out FILE, makes one",
                ) from None
        return found

    def fill(self, template: Template, claimed: Claimed) -> Letter:
        """The letter of one reader, the same at every attempt; ValueError where it cannot be written."""
        domain = template.domain
        links = {}
        if claimed.notice_id is None:
            assert claimed.subscription_id is not None
            links = {
                marker: base + sign.token(purpose, claimed.subscription_id, key=self._key)
                for marker, (base, purpose) in self._links.items()
            }
        return template.fill(
            Recipient(claimed.email, claimed.name, links),
            mail_from=sign.verp(claimed.id, key=self._lasting_key, domain=self._config.smtp.envelope_domain or domain),
            message_id=sign.message_id(
                claimed.id,
                key=self._lasting_key,
                domain=domain,
                written_at=None if claimed.notice_id is None else template.sender.date,
            ),
        )


@dataclass(slots=True)
class Filler:
    """A claimed letter and what it will say. `fill` is called when it is about to go out, not before."""

    contents: Contents
    template: Template | ValueError
    claimed: Claimed

    def fill(self) -> Letter:
        """ValueError where this letter cannot be written."""
        if isinstance(self.template, ValueError):
            raise self.template
        return self.contents.fill(self.template, self.claimed)


def for_one(config: Config, rendered: Rendered, *, sender: Sender, to: str, number: int) -> Letter:
    """A single letter outside the outbox, to look at: its personal links lead to the start page."""
    contents = Contents(config)
    template = contents.template(rendered, sender)
    if isinstance(template, ValueError):
        raise template
    return template.fill(
        Recipient(to, "", dict.fromkeys(Marker, config.base_url)),
        mail_from=letter.address(sender.mailbox),
        message_id=sign.message_id(number, key=config.lasting_key, domain=sender.domain),
    )


def _key(claimed: Claimed) -> tuple[str, int]:
    if claimed.notice_id is not None:
        return ("notice", claimed.notice_id)
    assert claimed.variant_id is not None
    return ("variant", claimed.variant_id)


def _link(base_url: str, marker: Marker) -> tuple[str, sign.Purpose]:
    """A marker names the page, and what its token is good for."""
    return f"{base_url}/{marker}/", sign.Purpose(marker)


def _read_key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot read the DKIM key {path}: {error.strerror}", hint="let the user who runs digest read it"
        ) from None
