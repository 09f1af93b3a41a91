"""What letters say: the templates of variants and notices, filled in for one reader each.

A letter in hand has what it will say as it is stored, packed and shared by all letters of its variant; a template is
made of it when the first of them is about to go out, and the latest used are kept, up to so many bytes. Letters are
claimed variant by variant, so each is made once, but for the few that are tried again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from weakref import WeakValueDictionary

from sqlmodel import Session

from digest import letter, render, sign
from digest.column_types import unpacked
from digest.config import Config, Imprint
from digest.dataclass import dataclass
from digest.deliver.papers import Papers
from digest.errors import ConfigError
from digest.letter import Attached, Encoder, Folded, Letter, Recipient, Said, Sender, Signer, Template, folded
from digest.render import Marker, Rendered
from digest.store import editions, outbox, pictures

KEPT = 4 << 20  # bytes of templates that are held at once; one there always is
# Of an enumeration each member that is named is looked for; these are named for each letter.
UNSUBSCRIBE, PREFERENCES, CHOICES = Marker


@dataclass(eq=False)
class Unwritable:
    """What no letter can be written of, and why: a subject or sender that cannot stand in a header."""

    error: ValueError
    weight: int = 0


Key = tuple[int | None, int | None]  # a variant, or a notice


@dataclass(eq=False)
class Words:
    """What a variant or notice says: a template is made of it when a letter needs one."""

    newsletter_id: int | None
    read: Callable[[], tuple[Said | Rendered, Sender]]  # to be asked outside of transactions
    attached: tuple[Attached, ...] = ()  # which the words of other variants share


Loaded = dict[Key, Words]  # of the letters of one claim


class Kit:
    """What the letters of one newsletter are made with. ConfigError where a DKIM key is of no use."""

    def __init__(self, imprint: Imprint) -> None:
        self.key = imprint.key
        self.envelope_domain = imprint.smtp.envelope_domain
        self.links = {marker: _link(imprint.base_url, marker) for marker in (UNSUBSCRIBE, PREFERENCES)}
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
        self._words: WeakValueDictionary[Key, Words] = WeakValueDictionary()  # that letters in hand need, or templates
        self._latest: OrderedDict[Words, Template | Unwritable] = OrderedDict()
        self._kept = 0  # bytes of these
        self.built = 0  # templates so far
        self._pictures: WeakValueDictionary[str, Attached] = WeakValueDictionary()  # by name, that words need
        self._encoder = Encoder()
        self._addresses: dict[tuple[int | None, str], Addresses] = {}  # by newsletter and domain
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
        """Read what these letters say and no letter in hand or template says already."""
        loaded: Loaded = {}
        wanted: dict[int, int | None] = {}
        for key, claimed in {(one.variant_id, one.notice_id): one for one in letters}.items():
            words = self._words.get(key)
            if words is not None:
                loaded[key] = words
            elif claimed.notice_id is not None:
                notice = outbox.notice_to_send(session, claimed.notice_id)
                sender = Sender(notice.sender, notice.created_at)
                said = Rendered(notice.subject, notice.html, notice.text)
                loaded[key] = Words(claimed.newsletter_id, partial(_said, said, sender))
            else:
                assert claimed.variant_id is not None
                wanted[claimed.variant_id] = claimed.newsletter_id
        mails = list(editions.to_send(session, wanted))
        brought = self._attached(session, {name for mail in mails for name in mail.attached})
        for mail in mails:
            theirs = tuple(brought[name] for name in mail.attached if name in brought)
            loaded[mail.variant_id, None] = Words(wanted[mail.variant_id], partial(_read, mail), theirs)
        return loaded

    def _attached(self, session: Session, names: set[str]) -> Mapping[str, Attached]:
        """Pictures by their names, read where no words have them yet. One that is gone shows as its ground."""
        found = {name: known for name in names if (known := self._pictures.get(name)) is not None}
        if missing := names - found.keys():
            found |= {name: Attached(name, data) for name, data in pictures.data(session, missing).items()}
            self._pictures.update(found)
        return found

    def fillers(self, loaded: Loaded, letters: Iterable[outbox.Claimed]) -> dict[int, Filler]:
        """The letters-to-be of a claim, by letter. ConfigError where a key of their newsletter's is of no use."""
        for number in {words.newsletter_id for words in loaded.values()}:
            self.kit(number)
        self._words.update(loaded)
        return {one.id: Filler(self, loaded[one.variant_id, one.notice_id], one) for one in letters}

    def template(self, words: Words) -> Template | Unwritable:
        """Of a variant or notice, made now or kept from one of the last letters."""
        template = self._latest.pop(words, None)
        if template is None:
            kit = self.kit(words.newsletter_id)
            template = _template(kit, *words.read(), self._encoder, words.attached)
            self._kept += template.weight
            self.built += 1
        self._latest[words] = template
        while self._kept > KEPT and len(self._latest) > 1:
            _, oldest = self._latest.popitem(last=False)
            self._kept -= oldest.weight
        return template

    def fill(self, template: Template, claimed: outbox.Claimed, dated: datetime | None = None) -> Letter:
        """The letter of one reader, the same at every attempt; ValueError where it cannot be written."""
        place = (claimed.newsletter_id, template.domain)
        addresses = self._addresses.get(place)
        if addresses is None:
            addresses = Addresses(self.kit(claimed.newsletter_id), self._papers.config, template.domain)
            self._addresses[place] = addresses
        fill = addresses.fill if claimed.notice_id is None else addresses.fill_notice
        return fill(template, claimed, dated or claimed.dated_at)


class Addresses:
    """The addresses of ours that stand in letters, each around what is one reader's alone.

    ValueError where they cannot stand in a message.
    """

    def __init__(self, kit: Kit, config: Config, domain: str) -> None:
        self._stamps = stamps = sign.Stamps(links=kit.key, letters=config.lasting_key)
        mail = config.mail
        self._ours = {"domain": kit.envelope_domain or domain, "mailbox": mail.address}
        letter.check_address(sign.at_mailbox("b", **self._ours))
        self._before, self._after = sign.at_mailbox("\0", **self._ours).split("\0")
        self._begin, self._end = "Message-ID: <", f"@{domain}>\r\n"
        # Postmark has bounce addresses of its own, and gives no Message-ID back.
        self._returned = bool(mail.webhooks.postmark_secret)
        (base, leave), (choices, prefer) = (kit.links[marker] for marker in (UNSUBSCRIBE, PREFERENCES))
        self._leave_token, self._choices_token = stamps.tokens(leave), stamps.tokens(prefer)
        self._leave_by, self._choose_by = Folded(base, sign.TOKEN), Folded(choices, sign.TOKEN)
        self._base = base
        # Written to by readers: the mailbox is everybody's, and so is the key. "" where nobody reads mail.
        self._common = config.keys[0] if mail.comes_back else ""
        f"{base}{choices}{self._end}".encode("ascii")

    def fill_notice(self, template: Template, claimed: outbox.Claimed, dated: datetime | None) -> Letter:
        mail_from, first, more = self._envelope(claimed.id, template.sender.date.isoformat().encode())
        return template.join(letter.Own(claimed.email, claimed.name, mail_from, first, more, {}, dated))

    def fill(self, template: Template, claimed: outbox.Claimed, dated: datetime | None) -> Letter:
        """Of an edition: with ways to leave and to choose."""
        subscription = claimed.subscription_id
        assert subscription is not None
        mail_from, first, more = self._envelope(claimed.id)
        token = self._leave_token(subscription)
        choose = self._choose_by.around(self._choices_token(subscription))
        # Once nobody reads mail any more, choices are made on the page.
        slots, leave = {UNSUBSCRIBE: self._leave_by.around(token), PREFERENCES: choose}, ""
        if self._common:
            word = sign.mail_token(sign.Purpose.LEAVE, subscription, key=self._common)
            leave = sign.at_mailbox(f"leave+{word}", **self._ours)
            choose = folded(sign.choices_address(subscription, key=self._common, **self._ours))
        slots[CHOICES] = choose
        if template.sender.newsletter:
            more += letter.leave_line(self._base + token.decode("ascii"), leave)
        return template.join(letter.Own(claimed.email, claimed.name, mail_from, first, more, slots, dated))

    def _envelope(self, row_id: int, when: bytes = b"") -> tuple[str, str, str]:
        """MAIL FROM, the header line with the Message-ID, and what a service gives back."""
        mail_from = f"{self._before}{self._stamps.verp(row_id)}{self._after}"
        more = letter.returned_line(mail_from.partition("@")[0]) if self._returned else ""
        return mail_from, f"{self._begin}{self._stamps.message_id(row_id, when)}{self._end}", more


def _said(rendered: Rendered, sender: Sender) -> tuple[Rendered, Sender]:
    return rendered, sender


def _read(mail: editions.Mail) -> tuple[Said, Sender]:
    """Unpack what a variant says."""
    html = b"" if mail.plain else unpacked(mail.html)
    sender = Sender(mail.sender, mail.composed_at, mail.reply_to, mail.newsletter, mail.number, mail.title)
    return Said(mail.subject, html, unpacked(mail.text), render.marks(mail.marks)), sender


def _template(
    kit: Kit,
    said: Said | Rendered,
    sender: Sender,
    encoder: Encoder | None = None,
    attached: Sequence[Attached] = (),
) -> Template | Unwritable:
    """Cut once."""
    try:
        signers = kit.signers(sender.domain)
        return Template(said, sender, signers=signers, encoder=encoder, attached=attached)
    except ValueError as error:
        return Unwritable(error)


@dataclass(slots=True)
class Filler:
    """A claimed letter and what it will say. `fill` is called when it is about to go out, not before."""

    contents: Contents
    words: Words
    claimed: outbox.Claimed

    def fill(self, dated: datetime | None = None) -> Letter:
        """`dated` is its Date. ValueError where this letter cannot be written."""
        template = self.contents.template(self.words)
        if isinstance(template, Unwritable):
            raise template.error
        return self.contents.fill(template, self.claimed, dated)


def for_one(
    config: Config, rendered: Rendered, *, sender: Sender, to: str, number: int, attached: Sequence[Attached] = ()
) -> Letter:
    """A single letter outside the outbox, to look at: its personal links lead to the start page."""
    imprint = config.imprint(sender.newsletter)
    template = _template(Kit(imprint), rendered, sender, attached=attached)
    if isinstance(template, Unwritable):
        raise template.error
    return template.fill(
        Recipient(to, "", dict.fromkeys(Marker, imprint.base_url)),
        mail_from=letter.address(sender.mailbox),
        message_id=sign.message_id(number, key=config.lasting_key, domain=sender.domain),
    )


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
