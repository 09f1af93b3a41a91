"""Whose trouble is it? The one place that decides, from replies across readers, domains, relays and time. Pure.

One reply makes a suspicion (`replies.suspect`): servers say the oddest things about one recipient. What would stop a
relay, pause an edition or bar readers in numbers wants a second witness, and what is told of one letter costs that
letter:

- **ours, or the relay's** (login, sender, relaying): a few letters in a row, to readers of more than one domain, with
  no letter taken in between. Then the relay is left alone, and the letters that were its witnesses are owed again.
- **the relay's, whatever it says**: the same words of twenty letters in a row, to three domains. The same follows.
- **the mailbox's**: it does not exist. Believed at once, but not of ten readers and more than this list has ever seen
  (or of a whole domain): then a server has a bad day, letters are held and nobody is barred until a person says so.
- **the edition's**: its content is refused by ten readers and more than `max_refused`, or nobody takes it: paused.
- **the domain's**: all that was tried there was refused: the others go first.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import field

from digest.dataclass import dataclass
from digest.deliver.attempt import domain_of
from digest.deliver.replies import Blame, Reply, Step, suspect
from digest.store import refusals

ENOUGH = 10  # refusals before they are more than a coincidence
SURE = 4  # letters in a row that a relay refuses as ours, before it took any
SURE_OF_SENDER = 2  # the same at MAIL, where no reader has been named yet
# Letters in a row, and domains, that a relay refuses in the same words, whatever these say.
ALIKE, ALIKE_DOMAINS = 20, 3
SHUNNED = 5  # refusals of one domain, and not one letter taken, before the others go first
UNHEARD_OF = 0.10  # the share of dead mailboxes that no list should have
WORSE = 3  # times the worst that this list has seen
Counts = tuple[int, int, int, int]  # letters taken, refused, of these without a mailbox, of these by our fault
RECENT = 50  # answers, of which half are dead mailboxes where a server goes wrong in the middle


@dataclass(frozen=True)
class Case:
    """A refusal, as far as the judge needs it."""

    letter_id: int
    attempt: int
    edition_id: int | None
    domain: str  # of the recipient
    reply: Reply
    step: Step


@dataclass(frozen=True)
class Quarantine:
    """Dead mailboxes that are not believed: all of an edition, or those of one domain of recipients."""

    edition_id: int
    domain: str
    why: str


@dataclass(frozen=True)
class Ruling:
    """What follows from a refusal."""

    blame: Blame
    held: bool = False  # not believed: a person decides
    suppress: bool = False
    relay_refuses: str = ""  # why the relay is left alone from here on; then this letter is not refused, nor are
    witnesses: tuple[Case, ...] = ()  # those that were, on the same suspicion
    quarantine: Quarantine | None = None


@dataclass
class _Streak:
    """What one relay refused since it last took a letter."""

    taken: bool = False  # it took a letter in this pass
    suspects: list[Case] = field(default_factory=list)
    alike: list[Case] = field(default_factory=list)  # refused in the same words
    strong: int = 0  # of these, which speak of us or of the relay
    refuses: str = ""  # proved: it refuses login or sender
    put_off: Counter[str] = field(default_factory=Counter)  # letters "not now" by the relay's own trouble, by domain

    def proof(self, *, alone: bool) -> bool:
        """Are the suspects enough? `alone`: there are no other letters that could be witnesses."""
        cases = self.suspects
        at_mail = sum(case.step is Step.MAIL for case in cases)
        if not self.taken and at_mail >= SURE_OF_SENDER:
            return True
        if alone and not self.taken and self.strong and suspect(cases[-1].reply, cases[-1].step) is Blame.OURS:
            return True
        if len({case.domain for case in cases}) < 2 and at_mail < ENOUGH:
            return False
        return (not self.taken and self.strong >= SURE) or len(cases) >= ENOUGH


@dataclass
class _Tried:
    """What became of one domain's or edition's letters in this pass."""

    taken: int = 0
    refused: int = 0
    gone: int = 0
    ours: int = 0  # refused for our login or sender
    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=RECENT))  # was it a dead mailbox?


class Judge:
    """Hears every reply of one pass; `Refusals` are what all processes heard of an edition since it was opened."""

    def __init__(self, *, max_refused: float = 0.05) -> None:
        self._common = max_refused
        self.max_refused: dict[int, float] = {}  # of editions whose newsletter says so
        self._relays: dict[str, _Streak] = {}
        self._domains: dict[str, _Tried] = {}
        self._editions: dict[int | None, _Tried] = {}
        self._heard: dict[int, refusals.Refusals] = {}
        self._quarantined: set[tuple[int | None, str]] = set()
        self._told: dict[str, Counts] = {}  # of domains, what others know of it

    def news(self) -> dict[str, Counts]:
        """What became of letters to domains that refused some, since it was told last."""
        found = {}
        for name, tried in self._domains.items():
            known = self._told.get(name, (0, 0, 0, 0))
            mine = (tried.taken, tried.refused, tried.gone, tried.ours)
            if mine != known or name not in self._told:
                found[name] = (mine[0] - known[0], mine[1] - known[1], mine[2] - known[2], mine[3] - known[3])
        return found

    def told(self, news: Mapping[str, Counts], heard: Mapping[str, Counts]) -> None:
        """These `news` are among what all `heard` of their domains, and of others."""
        for name, counts in heard.items():
            tried = self._domains.setdefault(name, _Tried())
            mine = (tried.taken, tried.refused, tried.gone, tried.ours)
            known, sent = self._told.get(name, (0, 0, 0, 0)), news.get(name, (0, 0, 0, 0))
            untold = [have - had - gave for have, had, gave in zip(mine, known, sent, strict=True)]
            tried.taken, tried.refused, tried.gone, tried.ours = (
                count + more for count, more in zip(counts, untold, strict=True)
            )
            self._told[name] = counts

    def taken(self, relay: str, edition_id: int | None, email: str) -> None:
        """A relay took a letter: what it refused before was about those letters."""
        streak = self._relays.get(relay)
        if streak is None:
            streak = self._relays[relay] = _Streak()
        streak.taken = True
        if streak.suspects:
            streak.suspects.clear()
            streak.strong = 0
        if streak.alike:
            streak.alike.clear()
        if streak.put_off:
            streak.put_off.clear()
        edition = self._editions.get(edition_id)
        if edition is None:
            edition = self._editions[edition_id] = _Tried()
        edition.taken += 1
        edition.recent.append(False)
        if edition_id is not None:
            heard = self._heard.get(edition_id)
            if heard is None:
                heard = self._heard[edition_id] = refusals.Refusals()
            heard.sent += 1
        if self._domains and (domain := self._domains.get(domain_of(email))):
            domain.taken += 1

    def refused(self, relay: str, case: Case, *, alone: bool = False) -> Ruling:
        """A relay refused a letter for good: what follows for it, and for others.

        `alone`: no other letters are left that could be witnesses.
        """
        blame = suspect(case.reply, case.step)
        edition = self._editions.setdefault(case.edition_id, _Tried())
        domain = self._domains.setdefault(case.domain, _Tried())
        edition.refused += 1
        domain.refused += 1
        domain.ours += blame is Blame.OURS
        edition.recent.append(blame is Blame.GONE)
        if blame is Blame.GONE:
            edition.gone += 1
            domain.gone += 1
            return self._gone(case)
        speaks_of_envelope = case.step in (Step.MAIL, Step.RCPT) and blame in (Blame.RELAY, Blame.LETTER)
        if blame is Blame.OURS or speaks_of_envelope:
            return self._suspected(self._relays.setdefault(relay, _Streak()), relay, case, blame, alone=alone)
        return Ruling(blame) if blame is Blame.EDITION else self._alike(relay, case, blame)

    def _alike(self, relay: str, case: Case, blame: Blame) -> Ruling:
        """What a relay says of so many readers at several domains, and of nobody else, is about us."""
        streak = self._relays.setdefault(relay, _Streak())
        if streak.refuses:
            return Ruling(blame, relay_refuses=streak.refuses)
        if streak.alike and _words(streak.alike[0].reply) != _words(case.reply):
            streak.alike.clear()
        streak.alike.append(case)
        if len(streak.alike) < ALIKE or len({one.domain for one in streak.alike}) < ALIKE_DOMAINS:
            return Ruling(blame)
        *witnesses, _ = streak.alike
        streak.refuses = f"{relay} refuses all letters: {case.reply}"
        streak.alike.clear()
        return Ruling(blame, relay_refuses=streak.refuses, witnesses=tuple(witnesses))

    def _suspected(self, streak: _Streak, relay: str, case: Case, blame: Blame, *, alone: bool) -> Ruling:
        if streak.refuses:
            return Ruling(blame, relay_refuses=streak.refuses)  # was under way when it was proved
        streak.suspects.append(case)
        streak.strong += blame is not Blame.LETTER
        if not streak.proof(alone=alone):
            return Ruling(blame)
        *witnesses, _ = streak.suspects
        streak.refuses = f"{relay} refuses login or sender: {case.reply}"
        streak.suspects.clear()
        streak.strong = 0
        return Ruling(blame, relay_refuses=streak.refuses, witnesses=tuple(witnesses))

    def put_off(self, relay: str, case: Case) -> Blame:
        """A relay said "not now": whose trouble that is. RELAY only where it says so to more than one domain."""
        blame = suspect(case.reply, case.step)
        if blame is not Blame.RELAY:
            return blame
        waiting = self._relays.setdefault(relay, _Streak()).put_off
        waiting[case.domain] += 1
        if len(waiting) < 2 or waiting.total() < ENOUGH:
            return Blame.LETTER
        waiting.clear()
        return Blame.RELAY

    def _gone(self, case: Case) -> Ruling:
        """There is no such mailbox, says the server. Is it to be believed?"""
        edition_id = case.edition_id
        if {(edition_id, ""), (edition_id, case.domain)} & self._quarantined:
            return Ruling(Blame.GONE, held=True)
        domain, edition = self._domains[case.domain], self._editions[edition_id]
        if edition_id is None:
            # Of notices nothing waits for a person's word; but nobody is barred by one more of so many.
            many = edition.gone >= ENOUGH and edition.gone > UNHEARD_OF * (edition.taken + edition.refused)
            return Ruling(Blame.GONE, suppress=not many)
        heard = self._heard.get(edition_id, refusals.Refusals())
        gone = heard.gone + 1  # with this one
        answered = heard.sent + heard.refused + 1
        found = None
        if self._limit(edition_id, heard) >= 1:
            pass  # the operator minds no refusals at all
        elif heard.quarantined or self._too_many(edition_id, gone, answered, heard):
            found = Quarantine(edition_id, "", _said_gone(gone, answered))
        elif sum(edition.recent) * 2 >= RECENT:
            found = Quarantine(
                edition_id, "", f"{sum(edition.recent)} of the last {RECENT} readers are said to have no mailbox"
            )
        elif domain.gone >= ENOUGH and domain.gone > domain.taken:
            found = Quarantine(
                edition_id, case.domain, f"{domain.gone} readers at {case.domain} are said to have no mailbox"
            )
        if found is None:
            return Ruling(Blame.GONE, suppress=True)
        self._quarantined.add((edition_id, found.domain))
        return Ruling(Blame.GONE, held=True, quarantine=found)

    def doubted(self, edition_id: int) -> Quarantine | None:
        """Dead mailboxes that are too many in what all senders heard, where each of them alone heard of too few."""
        heard, own = self._heard.get(edition_id), self._editions.get(edition_id)
        if heard is None or own is None or not own.gone or (edition_id, "") in self._quarantined:
            return None
        answered = heard.sent + heard.refused
        if self._limit(edition_id, heard) >= 1 or not (
            heard.quarantined or self._too_many(edition_id, heard.gone, answered, heard)
        ):
            return None
        self._quarantined.add((edition_id, ""))
        return Quarantine(edition_id, "", _said_gone(heard.gone, answered))

    def _limit(self, edition_id: int, heard: refusals.Refusals) -> float:
        return max(UNHEARD_OF, WORSE * heard.worst, self._bearable(edition_id))

    def _bearable(self, edition_id: int) -> float:
        return self.max_refused.get(edition_id, self._common)

    def _too_many(self, edition_id: int, gone: int, answered: int, heard: refusals.Refusals) -> bool:
        return gone >= ENOUGH and gone > self._limit(edition_id, heard) * answered

    def count(self, edition_id: int, more: refusals.Refusals) -> None:
        """Answers of our own, which no commit has counted yet."""
        self._heard[edition_id] = self._heard.get(edition_id, refusals.Refusals()) + more

    def heard(self, edition_id: int, counted: refusals.Refusals, uncounted: refusals.Refusals) -> None:
        """What all processes together heard of an edition, and what of ours is not in it yet."""
        self._heard[edition_id] = counted + uncounted

    def objection(self, edition_id: int) -> str:
        """Why an edition must not go on, by what all processes heard of it, or ""."""
        heard = self._heard.get(edition_id)
        if heard is None:
            return ""
        settled = heard.sent + heard.refused
        if heard.content >= ENOUGH and heard.content > self._bearable(edition_id) * settled:
            return f"{heard.content} of {settled} letters were refused for their content or their sender"
        if not heard.sent and heard.refused - heard.gone >= ENOUGH:
            return f"the first {heard.refused} letters were all refused"
        return ""

    def all_refused(self) -> list[int]:
        """Editions of which all that was answered since they were opened was refused."""
        return [edition_id for edition_id, heard in self._heard.items() if heard.refused and not heard.sent]

    def shuns(self, edition_id: int | None, domain: str) -> bool:
        """Do the others go first? All that was tried at this domain was refused, and nobody has this edition yet."""
        tried = self._domains.get(domain)
        if tried is None or tried.taken or edition_id is None:
            return False
        if tried.refused - tried.gone < SHUNNED and not tried.ours:
            return False
        heard = self._heard.get(edition_id)
        return not (heard and heard.sent) and not self._editions[edition_id].taken


def _words(reply: Reply) -> str:
    """A reply without what differs from letter to letter: numbers, addresses."""
    same = (word for word in reply.text[:500].split() if "@" not in word and not any(map(str.isdigit, word)))
    return f"{reply.code} {reply.status} {' '.join(same)}"


def _said_gone(gone: int, answered: int) -> str:
    return f"{gone} of {answered} readers are said to have no mailbox"
