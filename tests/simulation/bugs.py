"""Errors put in on purpose, one at a time, to see whether the simulation finds them.

Each is a piece of our text and what takes its place, in a copy of the package. Where the text is there no more, the
bug is stale, and another has to be thought of.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Bug:
    name: str
    file: str  # below digest/
    old: str
    new: str
    families: tuple[str, ...]  # that should find it


BUGS = (
    Bug(
        "a pass that asks does not hear what others have of a relay",
        "deliver/commons.py",
        "    free = total - sum(max(seat.seats, seat.open) for seat in others)\n",
        "    free = total\n",
        ("shared",),
    ),
    Bug(
        "a part of a relay is kept for good by who was killed",
        "store/sharing.py",
        "    live = (_SEAT.c.until > now, _SEAT.c.until <= now + 2 * LEASE)\n",
        "    live = (_SEAT.c.until > 0,)\n",
        ("shared",),
    ),
    Bug(
        "a template is kept under the variant's number alone",
        "deliver/content.py",
        "one.variant_id, one.notice_id",
        "one.variant_id or one.notice_id, None",
        ("variants", "consent"),
    ),
    Bug(  # fault 3
        "one odd reply says that the relay refuses us",
        "deliver/judge.py",
        "        if not streak.proof(alone=alone):\n            return Ruling(blame)\n",
        "        if blame is not Blame.OURS:\n            return Ruling(blame)\n",
        ("odd-replies",),
    ),
    Bug(
        "a bad day of the relay is believed",
        "deliver/judge.py",
        "return max(UNHEARD_OF, WORSE",
        "return max(1.0, UNHEARD_OF, WORSE",
        ("odd-replies",),
    ),
    Bug(
        "a full mailbox is one that does not exist",
        "deliver/replies.py",
        'by_subject = {"2": Blame.MAILBOX,',
        'by_subject = {"2": Blame.GONE,',
        ("odd-replies", "mixed"),
    ),
    Bug(
        "who does not exist is not suppressed",
        "deliver/booking.py",
        "        if ruling.suppress:\n",
        "        if ruling.suppress and ruling.held:\n",
        ("odd-replies",),
    ),
    Bug(
        "an edition that reached nobody is a success",
        "line.py",
        "or report.paused or report.quarantined or report.unreached:",
        "or report.quarantined:",
        ("odd-replies",),
    ),
    Bug(  # fault 4
        "nothing that lies too far ahead is put back",
        "store/healing.py",
        "def heal(database: Database, scene: Scene, *, now: datetime) -> Healed:\n",
        "def heal(database: Database, scene: Scene, *, now: datetime) -> Healed:\n    return {}\n",
        ("clocks", "line"),
    ),
    Bug(  # fault 5
        "lifetime is not asked at the claim",
        "store/outbox_claims.py",
        "    if letter.tried_at is not None and letter.tried_at <= before:\n",
        "    if letter.tried_at is not None and letter.tried_at <= before and letter.attempts > 99:\n",
        ("clocks",),
    ),
    Bug(
        "the lifetime begins with each attempt anew",
        "store/outbox_words.py",
        "tried_at = coalesce(tried_at, ?)",
        "tried_at = ?",
        ("odd-replies", "clocks"),
    ),
    Bug(
        "a letter is dated anew at each attempt",
        "store/outbox_words.py",
        "coalesce(dated_at, ?)",
        "coalesce(?, dated_at)",
        ("clocks", "kills", "relays"),
    ),
    Bug(
        "a letter goes by the name that its reader has now",
        "store/outbox_words.py",
        "coalesce(n.name, o.named, p.name)",
        "coalesce(n.name, p.name)",
        ("odd-replies",),
    ),
    Bug(  # fault 6
        "a deadline is judged before what came is read",
        "deliver/smtp.py",
        "            self._read_first(READ_FIRST)\n",
        "            self._read_first(0)\n",
        ("freezes",),
    ),
    Bug(
        "a deadlock is not tried again",
        "deliver/writer.py",
        "            except (TryAgain, CommitUnknown):\n",
        "            except CommitUnknown:\n",
        ("storage",),
    ),
    Bug(
        "a commit of unknown outcome is one that failed",
        "store/database.py",
        "                if refused.undecided(error):\n",
        "                if False and refused.undecided(error):\n",
        ("storage",),
    ),
    Bug(
        "the read-back of a commit always says no",
        "deliver/ledger.py",
        "            if not stored:\n",
        "            if True:\n",
        ("storage",),
    ),
    Bug(
        "no room is kept for settling",
        "deliver/writer.py",
        "            if batch.marks and not self._ledger.room.sure():\n",
        "            if False:\n",
        ("storage",),
    ),
    Bug(
        "who breaks off does not know what may come twice",
        "deliver/booking.py",
        "        self._report.twice = len(self._out)\n",
        "",
        ("storage",),
    ),
    Bug(  # fault 7
        "the mark does not ask whether they still want it",
        "store/outbox_words.py",
        "s.id = outbox.subscription_id AND s.state = 'active'))",
        "s.id = outbox.subscription_id))",
        ("consent", "mixed"),
    ),
    Bug(
        "the mark does not ask for suppressions",
        "store/outbox_words.py",
        "        AND NOT EXISTS (SELECT 1 FROM suppression AS x WHERE x.key = coalesce(",
        "        AND NOT EXISTS (SELECT 1 FROM suppression AS x WHERE x.reason = '-' AND x.key = coalesce(",
        ("consent", "mixed"),
    ),
    Bug(
        "the mark does not ask for domains",
        "store/outbox_words.py",
        "        AND NOT EXISTS (SELECT 1 FROM suppression AS d WHERE d.key = coalesce(",
        "        AND NOT EXISTS (SELECT 1 FROM suppression AS d WHERE d.reason = '-' AND d.key = coalesce(",
        ("consent",),
    ),
    Bug(
        "the mark does not ask whether the edition is open",
        "store/outbox_words.py",
        "WHERE edition.id = outbox.edition_id AND edition.state <> 'open')",
        "WHERE edition.id = outbox.edition_id AND edition.state = '-')",
        ("consent", "mixed"),
    ),
    Bug(
        "SIGTERM waits for a silent server",
        "deliver/delivery.py",
        "            route.check(hurry=self.stopping)\n",
        "            route.check(hurry=False)\n",
        ("hung", "relays", "mixed"),
    ),
    Bug(
        "a relay that hangs is waited for",
        "deliver/relays.py",
        "now - self._began < SILENCE",
        "now - self._began < 60 * SILENCE",
        ("hung",),
    ),
    Bug(  # fault 8
        "the first 421 slows everything down, and nothing speeds it up again",
        "deliver/pace.py",
        "            if self._busy > TOO_MANY and now",
        "            if now",
        ("pace",),
    ),
    Bug(
        "letters are settled without looking whose attempt it is",
        "store/outbox_words.py",
        "    WHERE outbox.id = new.letter AND outbox.attempts = new.attempt AND outbox.state = 'sending'\n",
        "    WHERE outbox.id = new.letter\n",
        ("two-processes", "freezes", "mixed", "consent"),
    ),
    Bug(
        "whoever marks a letter has it, also who has it not",
        "store/outbox_words.py",
        "    WHERE id IN {} AND (state = 'claimed' OR {found})\n",
        "    WHERE id IN {} AND state <> 'sent' -- {found}\n",
        ("two-processes", "freezes", "consent", "mixed"),
    ),
    Bug(
        "a letter in doubt is not flagged at its claim",
        "store/outbox_claims.py",
        "    in_doubt = sa.or_(_BOX.c.in_doubt, _BOX.c.state == OutboxState.SENDING)\n",
        "    in_doubt = _BOX.c.in_doubt\n",
        ("kills",),
    ),
    Bug(
        "a connection that ends after the body says nothing",
        "deliver/relays.py",
        "        if in_doubt:\n            self._delivery.doubtful(attempt, why)\n",
        "        if False:\n            self._delivery.doubtful(attempt, why)\n",
        ("relays", "mixed"),
    ),
    Bug(
        "a letter whose envelope was lost is forgotten",
        "deliver/smtp.py",
        "        elif envelope is not None:\n"
        "            self._handler.lost(self, envelope, in_doubt=False, why=self._why)\n",
        "",
        ("relays", "mixed"),
    ),
    Bug(
        "letters go out before their mark is committed",
        "deliver/delivery.py",
        "            self._writer.batch.marks.append(claimed)\n",
        "            self._writer.batch.marks.append(claimed)\n"
        "            from digest.deliver.attempt import Lease\n"
        "            from datetime import timedelta\n"
        "            self._marking.pop(waiting.claimed.id)\n"
        "            self._writer.batch.marks.pop()\n"
        "            lease = Lease(now, moment, timedelta(minutes=9))\n"
        "            number = waiting.claimed.attempts + 1\n"
        "            route.give(Attempt(claimed, waiting.filler.fill(), number, lease, lane))\n",
        ("kills", "variants"),
    ),
    Bug(
        "the reply to DATA is taken for the one to the body",
        "deliver/smtp.py",
        "        self._expected.append(BODY)\n        following",
        "        self._handler.answered(self, attempt, OK, Reply(250, '', ''), BODY)\n"
        "        self._expected.append(BODY)\n        following",
        ("kills", "relays", "variants"),
    ),
    Bug(
        "a deferred letter is due again at once",
        "deliver/booking.py",
        "            due_at = self._clock() + retry_delay(attempt.number, self._rng)\n"
        "            self._end(claimed, attempt.number, OutboxState.OWED, reply, due_at=due_at)\n",
        "            self._end(claimed, attempt.number, OutboxState.OWED, reply, due_at=self._clock())\n",
        ("odd-replies", "two-processes"),
    ),
    Bug(
        "a deferred letter is refused",
        "deliver/booking.py",
        "            self._end(claimed, attempt.number, OutboxState.OWED, reply, due_at=due_at)\n",
        "            self._end(claimed, attempt.number, OutboxState.REFUSED, reply, due_at=due_at)\n",
        ("odd-replies",),
    ),
    Bug(
        "the Message-ID is made of the attempt",
        "deliver/content.py",
        "        mail_from, first, more = self._envelope(claimed.id)\n",
        "        mail_from, first, more = self._envelope(claimed.id + 1000 * claimed.attempts)\n",
        ("kills", "relays", "odd-replies"),
    ),
    Bug(
        "the wish of a batch that failed is never made again",
        "deliver/delivery.py",
        "                lane.claims.asking = False  # the wish was left out while the database could not be",
        "                pass  #",
        ("storage",),
    ),
    Bug(
        "what could not be marked for a locked database is forgotten",
        "deliver/delivery.py",
        "            lane.claims.waiting.appendleft(waiting)\n",
        "",
        ("storage",),
    ),
    Bug(
        "letters for a relay that broke stay with it",
        "deliver/relays.py",
        "        self._struck.clear()\n        self.hand_back()\n",
        "        self._struck.clear()\n",
        ("relays", "mixed"),
    ),
    Bug(
        "watermarks move before the letters are owed",
        "store/recipients.py",
        "read.values(read_until=upto,",
        "read.values(read_until=upto + 1,",
        ("line",),
    ),
    Bug(
        "a variant is for whoever comes",
        "store/recipients.py",
        "        _made.c.topics == _topics_text(),\n",
        "",
        ("line",),
    ),
    Bug(
        "what was put back under a sender is not what breaks it",
        "deliver/ledger.py",
        "                if (put_back := self._put_back()) is not None:\n",
        "                if (put_back := None) is not None:\n",
        ("poured",),
    ),
    Bug(
        "who sends does not notice what was put back under it",
        "store/witness.py",
        '        if standing.is_ == "older" and notes.guarded:\n',
        '        if False and standing.is_ == "older" and notes.guarded:\n',
        ("poured",),
    ),
    Bug(
        "a letter is put off by the clock of who had it",
        "store/outbox_marks.py",
        "    moment, ahead = words.moments(session), shared_now(session, now) - now\n",
        "    moment, ahead = words.moments(session), now - now\n",
        ("hosts",),
    ),
    Bug(
        "a lease is over by the clock of who looks",
        "store/outbox_claims.py",
        "    now = shared_now(session, now)\n",
        "",
        ("hosts",),
    ),
    Bug(
        "who comes back is offered all that there ever was",
        "store/people.py",
        "values(read_until=with_all_others(), offered_at=None)",
        "values(read_until=0, offered_at=None)",
        ("returns",),
    ),
    Bug(
        "a mute is for whoever reads the same topics",
        "store/recipients.py",
        "        _made.c.taste == Subscription.taste_key,\n",
        "",
        ("line",),
    ),
    Bug(
        "what a reader mutes is rendered all the same",
        "edition/variants.py",
        " and story.seq not in choices.muted",
        "",
        ("line",),
    ),
    Bug(
        "a mute takes away what another source tells as well, or another topic",
        "curate/sieve.py",
        "set().union(*(self._by_topic.get(topic, ()) for topic in wanted.muted_topics))",
        "set(self._texts) if wanted.muted_topics else set()",
        ("line",),
    ),
    Bug(
        "what a reader wants less of is put first",
        "curate/sieve.py",
        "((1, wanted.more_of), (-1, wanted.less_of))",
        "((1, wanted.less_of), (-1, wanted.more_of))",
        ("line",),
    ),
    Bug(
        "an order takes away what it puts last",
        "edition/variants.py",
        " and story.seq not in choices.muted",
        " and story.seq not in choices.muted and dict(choices.moved).get(story.seq, 0) >= 0",
        ("line",),
    ),
    Bug(
        "a maximum has room for one more",
        "curate/rank.py",
        "Selection(self.stories[:number], (*beyond",
        "Selection(self.stories[: number + 1], (*beyond",
        ("line",),
    ),
    Bug(
        "a database that was put back is not noticed",
        "store/witness.py",
        'return found._replace(is_="older") if tick < top.tick else found',
        "return found",
        ("restores",),
    ),
    Bug(
        "an entry that comes again is a new story",
        "edition/formerly.py",
        "            found[entry.id] = seq\n",
        "            pass\n",
        ("restores",),
    ),
    Bug(
        "who had an edition that the copy does not have is offered it again",
        "store/restores.py",
        "                one.read_until, one.chosen_from = upto, {}\n",
        "                pass\n",
        ("restores",),
    ),
    Bug(
        "a letter that was put off counts as sent",
        "store/restores.py",
        "            self.out.discard(id_)\n            self.back.add(id_)\n",
        "            self.out.discard(id_)\n            self.had.add(id_)\n",
        ("restores",),
    ),
    Bug(
        "what went out of an edition that the copy has stays owed",
        "store/restores.py",
        "    settled += update((unsent,), again - issue.doubted, **sent, in_doubt=sa.or_(box.in_doubt, under_way))\n",
        "",
        ("restores",),
    ),
    Bug(
        "a letter that a copy does not know as shown is dated anew",
        "store/restores.py",
        "dated_at=datetime.fromisoformat(date), attempts",
        "attempts",
        ("restores",),
    ),
    Bug(
        "of a notice the witness knows nothing",
        "store/restores.py",
        "    _end_letters(session, _BOX.c.notice_id",
        "    0 and _end_letters(session, _BOX.c.notice_id",
        ("restores",),
    ),
    Bug(
        "who left since the copy was made gets letters again",
        "store/restores.py",
        '            self.left += record["who"]\n',
        "            pass\n",
        ("restores",),
    ),
    Bug(
        "the next stories are given the numbers of those that went out",
        "store/restores.py",
        "    row.seq = max(row.seq, before)\n",
        "    row.seq -= GAP\n",
        ("restores",),
    ),
    Bug(
        "editions are numbered as if those that went out had not been",
        "store/restores.py",
        "    row.edition_number = max(row.edition_number, issue.number)\n",
        "",
        ("restores",),
    ),
    Bug(
        "what went out is not told",
        "store/witness.py",
        'add("sent", [letter for letter, end in ended if end is not None',
        'add("sent", [letter for letter, end in ended if False and end is not None',
        ("restores",),
    ),
    Bug(
        "entries that come again settle once more",
        "edition/formerly.py",
        "    ready = {entry.id for entry in settled} | found.keys()\n",
        "    ready = {entry.id for entry in settled}\n",
        ("restores",),
    ),
)


@dataclass(frozen=True)
class Found:
    bug: Bug
    how: str  # "found", "missed", "stale"
    seconds: float
    words: str = ""


def seek(bug: Bug, seconds: float) -> Found:
    """Play histories of a copy of the package that has this bug, until one goes wrong."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="digest-bug-") as name:
        folder = Path(name)
        shutil.copytree(ROOT / "digest", folder / "digest", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "tests").symlink_to(ROOT / "tests")
        (folder / "templates").symlink_to(ROOT / "templates")
        path = folder / "digest" / bug.file
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if bug.old not in text:
            return Found(bug, "stale", 0.0)
        path.write_text(text.replace(bug.old, bug.new), encoding="utf-8")
        words = ["--seconds", str(seconds), "--until-wrong", "--show", "1"]
        for family in bug.families:
            words += ["--family", family]
        done = subprocess.run(
            [sys.executable, "-m", "tests.simulation", *words],
            cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    took = time.perf_counter() - began
    if done.returncode == 1 and (first := re.match(r"(\S+) --seed (\d+)", done.stdout)):
        if not _sound(first[1], first[2]):
            return Found(bug, "unsound", took, f"{first[0]} is wrong without it as well")
        lines = [line.strip() for line in done.stdout.splitlines()] or done.stderr.strip().splitlines()[-1:]
        return Found(bug, "found", took, "; ".join(lines[:2])[:160])
    return Found(bug, "missed" if done.returncode == 0 else "failed", took, done.stderr[-300:])


def _sound(family: str, seed: str) -> bool:
    """Is the same history as it should be without the bug?"""
    words = ["--family", family, "--seed", seed]
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", *words], cwd=ROOT, capture_output=True, check=False
    )
    return done.returncode == 0


def seek_all(seconds: float, only: str = "") -> int:
    found = []
    for bug in BUGS:
        if only in bug.name:
            one = seek(bug, seconds)
            found.append(one)
            print(f"{one.how:<7} {one.seconds:>5.0f} s  {bug.name} ({bug.file})", flush=True)
            if one.words:
                print(f"               {one.words}", flush=True)
    there = [one for one in found if one.how != "stale"]
    caught = sum(one.how == "found" for one in there)
    print(f"{caught} found of {len(there)} made, {len(found) - len(there)} stale")
    return 0 if caught == len(found) else 1
