"""What letters say: the templates of variants and notices, filled in for one reader each.

A template lives as long as a letter in hand needs it, however many different ones that is: memory is bounded by what
is claimed. The latest used are kept a little longer, since the next claim mostly needs them again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from sqlmodel import Session

from digest import letter, render, sign
from digest.config import Config, Imprint
from digest.deliver.papers import Papers
from digest.errors import ConfigError
from digest.letter import Letter, Recipient, Sender, Signer, Template
from digest.render import Marker, Rendered
from digest.store import editions, outbox

KEPT = 64  # templates beyond those that letters in hand need


@dataclass(eq=False)
class Unwritable:
    """What no letter can be written of, and why: a subject or sender that cannot stand in a header."""

    error: ValueError


Key = tuple[str, int]


@dataclass
class Loaded:
    """What the letters of one claim say, by variant or notice: templates, and what more are made of."""

    templates: dict[Key, Template | Unwritable]
    texts: dict[Key, tuple[Rendered, Sender]]


class Kit:
    """What the letters of one newsletter are made with. ConfigError where a DKIM key is of no use."""

    def __init__(self, imprint: Imprint) -> None:
        self.key = imprint.key
        self.envelope_domain = imprint.smtp.envelope_domain
        self.links = {marker: _link(imprint.base_url, marker) for marker in (Marker.UNSUBSCRIBE, Marker.PREFERENCES)}
        self._pems = [(dkim, _read_key(dkim.key_file)) for dkim in imprint.smtp.dkim]
        self._signers: dict[str, list[Signer]] = {}  # by domain: to read a key costs more than to sign
        self.signers("example.org")  # a key of no use is told before the first letter

    def signers(self, domain: str) -> list[Signer]:
        if domain in self._signers:
            return self._signers[domain]
        found = []
        for settings, pem in self._pems:
            try:
                found.append(Signer(pem, domain=settings.domain or domain, selector=settings.selector))
            except ValueError as error:
                raise ConfigError(
                    f"the DKIM key {settings.key_file} {error}",
                    hint="openssl genrsa -out FILE 2048, or openssl genpkey -algorithm ed25519 -out FILE, makes one",
                ) from None
        self._signers[domain] = found
        return found


class Contents:
    """Templates by variant or notice, of all newsletters of a pass."""

    def __init__(self, papers: Papers) -> None:
        self._papers = papers
        self._lasting_key = papers.config.lasting_key
        self._alive: WeakValueDictionary[Key, Template | Unwritable] = WeakValueDictionary()
        self._latest: deque[Template | Unwritable] = deque(maxlen=KEPT)
        self._known: list[tuple[Imprint, Kit]] = []
        self._kit_of: dict[int | None, Kit] = {}

    def kit(self, number: int | None) -> Kit:
        """Of a newsletter; newsletters that say the same share one."""
        kit = self._kit_of.get(number)
        if kit is None:
            imprint = self._papers.imprint(number)
            kit = next((kit for same, kit in self._known if same == imprint), None) or Kit(imprint)
            self._known.append((imprint, kit))
            self._kit_of[number] = kit
        return kit

    def load(self, session: Session, letters: Iterable[outbox.Claimed]) -> Loaded:
        """Read what these letters say and no template holds yet. To be made into fillers outside of the transaction."""
        loaded = Loaded({}, {})
        for claimed in letters:
            key = _key(claimed)
            if key in loaded.templates or key in loaded.texts:
                continue
            template = self._alive.get(key)
            if template is not None:
                loaded.templates[key] = template
            elif claimed.notice_id is not None:
                notice = outbox.notice_to_send(session, claimed.notice_id)
                sender = Sender(notice.sender, notice.created_at)
                loaded.texts[key] = (Rendered(notice.subject, notice.html, notice.text), sender)
            else:
                assert claimed.variant_id is not None
                variant, edition, newsletter = editions.variant_to_send(session, claimed.variant_id)
                sender = Sender(edition.sender, edition.composed_at, edition.reply_to, newsletter.name, edition.number)
                html = "" if variant.plain else variant.html
                rendered = Rendered(variant.subject, html, variant.text, marks=render.marks(variant.marks))
                loaded.texts[key] = (rendered, sender)
        return loaded

    def fillers(self, loaded: Loaded, letters: Iterable[outbox.Claimed]) -> dict[int, Filler]:
        """The letters-to-be of a claim, by letter."""
        listed = list(letters)
        owners = {_key(claimed): claimed.newsletter_id for claimed in listed}
        while loaded.texts:
            key, (rendered, sender) = loaded.texts.popitem()
            template = loaded.templates[key] = _template(self.kit(owners.get(key)), rendered, sender)
            self._alive[key] = template
        self._latest.extend(loaded.templates.values())
        return {claimed.id: Filler(self, loaded.templates[_key(claimed)], claimed) for claimed in listed}

    def fill(self, template: Template, claimed: outbox.Claimed) -> Letter:
        """The letter of one reader, the same at every attempt; ValueError where it cannot be written."""
        domain, kit, mail = template.domain, self.kit(claimed.newsletter_id), self._papers.config.mail
        ours = {"domain": kit.envelope_domain or domain, "mailbox": mail.address}
        links, leave_by_mail = {}, ""
        if claimed.notice_id is None:
            assert claimed.subscription_id is not None
            links = {
                marker: base + sign.token(purpose, claimed.subscription_id, key=kit.key)
                for marker, (base, purpose) in kit.links.items()
            }
            links[Marker.CHOICES] = links[Marker.PREFERENCES]  # once nobody reads mail any more
            if mail.comes_back:  # its mailbox is everybody's, and so is the key
                common = self._papers.config.keys[0]
                token = sign.mail_token(sign.Purpose.LEAVE, claimed.subscription_id, key=common)
                leave_by_mail = sign.at_mailbox(f"leave+{token}", **ours)
                links[Marker.CHOICES] = sign.choices_address(claimed.subscription_id, key=common, **ours)
        mail_from = sign.verp(claimed.id, key=self._lasting_key, **ours)
        # Postmark has bounce addresses of its own, and gives no Message-ID back.
        returned = mail_from.partition("@")[0] if mail.webhooks.postmark_secret else ""
        return template.fill(
            Recipient(claimed.email, claimed.name, links, leave_by_mail, returned),
            mail_from=mail_from,
            message_id=sign.message_id(
                claimed.id,
                key=self._lasting_key,
                domain=domain,
                written_at=None if claimed.notice_id is None else template.sender.date,
            ),
        )


def _template(kit: Kit, rendered: Rendered, sender: Sender) -> Template | Unwritable:
    """Cut once."""
    try:
        return Template(rendered, sender, signers=kit.signers(sender.domain))
    except ValueError as error:
        return Unwritable(error)


@dataclass(slots=True)
class Filler:
    """A claimed letter and what it will say. `fill` is called when it is about to go out, not before."""

    contents: Contents
    template: Template | Unwritable
    claimed: outbox.Claimed

    def fill(self) -> Letter:
        """ValueError where this letter cannot be written."""
        if isinstance(self.template, Unwritable):
            raise self.template.error
        return self.contents.fill(self.template, self.claimed)


def for_one(config: Config, rendered: Rendered, *, sender: Sender, to: str, number: int) -> Letter:
    """A single letter outside the outbox, to look at: its personal links lead to the start page."""
    imprint = config.imprint(sender.newsletter)
    template = _template(Kit(imprint), rendered, sender)
    if isinstance(template, Unwritable):
        raise template.error
    return template.fill(
        Recipient(to, "", dict.fromkeys(Marker, imprint.base_url)),
        mail_from=letter.address(sender.mailbox),
        message_id=sign.message_id(number, key=config.lasting_key, domain=sender.domain),
    )


def _key(claimed: outbox.Claimed) -> Key:
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
