"""What was promised, asked of what servers saw and what the rows say; none of it by our own bookkeeping alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .mail import MOVED, Key, Seen
from .world import OK, UNAVAILABLE, expected, storage_failed, wish

if TYPE_CHECKING:
    from .history import Player

NO_SUCH = ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10")
FINAL = ("sent", "refused", "dropped", "held")


def _seen(player: Player) -> list[Seen]:
    return sorted((seen for relay in player.relays for seen in relay.log), key=lambda seen: seen.at)


def _taken(player: Player) -> dict[Key, list[Seen]]:
    found: dict[Key, list[Seen]] = defaultdict(list)
    for seen in _seen(player):
        if seen.taken and seen.key is not None:
            found[seen.key].append(seen)
    return found


def served(player: Player) -> None:
    """P13: nobody who has no trouble of their own has waited for others."""
    plan, taken = player.plan, _taken(player)
    waiting = [
        key
        for key, row in player.stage.letters().values()
        if plan.healthy(key[2]) and key not in taken and row["state"] not in ("dropped",) and key[0] not in plan.sick
    ]
    if waiting:
        player.verdict.wrong.append(
            f"P13 after {len(player.stage.runs)} runs {len(waiting)} letters wait that nothing stands against, "
            f"as that to {waiting[0][2]}"
        )


def settled(player: Player) -> None:
    """P13: once all is well, what anybody takes is with them after few runs."""
    plan = player.plan
    slow = [
        key
        for key, row in player.stage.letters().values()
        if row["state"] not in FINAL and plan.healthy(key[2]) and row["edition_state"] == "open"
    ]
    if slow:
        player.verdict.wrong.append(
            f"P13 all has been well for {(player.hub.now - player.healed_at) / 3600:.1f} hours, and "
            f"{len(slow)} letters still wait, as that to {slow[0][2]}"
        )


def judge(player: Player) -> None:
    wrong = player.verdict.wrong
    wrong += [f"P11 an operator or a reader meets {error!r}" for error in player.stage.errors]
    letters = player.stage.letters()
    rows = dict(letters.values())
    taken = _taken(player)
    for what, letter in player.stage.wrong():
        wrong.append(f"P4 letter {letter} to {letters[letter][0][2] or 'somebody'} was {what}")
    for run in player.stage.runs:
        _run(player, run, wrong)
    _lost(player, rows, taken, wrong)
    _doubled(player, rows, taken, wrong)
    _same(player, wrong)
    _replies(player, rows, taken, wrong)
    _old(player, rows, wrong)
    if player.plan.pace:
        _pace(player, wrong)
    if player.plan.shared:
        _shared(player, wrong)
    if player.plan.restores:
        _stayed(player, wrong)
    if player.plan.shape.line:
        _told(player, taken, wrong)
        _returned(player, taken, wrong)
        _picked(player, taken, wrong)
    for account in player.stage.accounts():
        wrong += [f"P1 audit of {account.newsletter} {account.number}: {words}" for words in account.wrong]


# ---------------------------------------------------------------- P1


def _lost(player: Player, rows: dict[Key, Any], taken: dict[Key, list[Seen]], wrong: list[str]) -> None:
    for key, row in rows.items():
        state = row["state"]
        if state not in FINAL:
            wrong.append(f"P1 the letter to {key[2]} is {state} at the end of all")
        elif state == "sent" and key not in taken and key[2]:
            wrong.append(f"P1 the letter to {key[2]} is “sent”, and no server took it")
        elif state in ("refused", "dropped", "held") and not (row["reply"] or row["code"]) and key[2]:
            wrong.append(f"P1 the letter to {key[2]} is {state}, and nothing says why")
        elif state in ("refused", "dropped") and key in taken and not row["in_doubt"]:
            wrong.append(f"P1 the letter to {key[2]} is {state} without doubt, and a server took it")
    erased = {deed.who for deed in player.plan.deeds}
    # What was composed after a copy was made is gone once that is put back.
    strange = [key[2] for key in taken if key not in rows and key[2] not in erased and not player.plan.restores]
    wrong += [f"P1 a server took a letter to {email} that nobody was owed" for email in strange]


def _told(player: Player, taken: dict[Key, list[Seen]], wrong: list[str]) -> None:
    """Every story reaches every reader who wants all of them, in one edition."""
    plan = player.plan
    published = {
        deed.number: deed.paper for deed in plan.deeds if deed.what == "publish" and deed.at < player.healed_at
    }
    published |= {900 + n: name for n, name in enumerate(plan.shape.names)}
    told: dict[str, Counter[int]] = defaultdict(Counter)
    for (_, _, email), copies in taken.items():
        told[email].update(copies[0].tales)
    for email in plan.shape.emails:
        if not plan.healthy(email):
            continue
        doubtful = {tale for key, copies in taken.items() if key[2] == email and _in_doubt(player, copies[0])
                    for tale in copies[0].tales}  # fmt: skip
        if twice := [tale for tale, times in told[email].items() if times > 1 and tale not in doubtful]:
            wrong.append(f"P2 {email} was told of story {twice[0]} in two editions")
        theirs = wish(plan.shape, email)
        missing = sorted(tale for tale in published.keys() - told[email].keys() if theirs.wants(tale))
        if missing and plan.shape.variants == 1 and not theirs.most:
            wrong.append(f"P1 {email} was never told of {len(missing)} of {len(published)} stories, as of {missing[0]}")


def _returned(player: Player, taken: dict[Key, list[Seen]], wrong: list[str]) -> None:
    """Who left and came back is told of what is new then; unless they were forgotten, of nothing twice."""
    plan = player.plan
    left = {deed.who: deed.what for deed in plan.deeds if deed.what in ("unsubscribe", "erase", "suppress")}
    for at, deed in player.done:
        if deed.what != "return" or deed.who in plan.touched or at > player.healed_at:
            continue
        theirs = [(key, copies[0]) for key, copies in taken.items() if (key[0], key[2]) == (deed.paper, deed.who)]
        told = Counter(tale for _, seen in theirs if not _excused(player, seen) for tale in seen.tales)
        if left[deed.who] != "erase" and (twice := [tale for tale, times in told.items() if times > 1]):
            wrong.append(f"P2 {deed.who} came back, and was told of story {twice[0]} in two editions")
        news, own = 900 + plan.shape.names.index(deed.paper), wish(plan.shape, deed.who)
        if own.wants(news) and not own.most and plan.shape.variants == 1 and news not in told:
            wrong.append(f"P1 {deed.who} came back, and was never told of what came then")


def _excused(player: Player, seen: Seen) -> bool:
    """Was its sender killed?"""
    run = player.stage.run_of(seen.process)
    return run is not None and bool(run.process.dead)


def _picked(player: Player, taken: dict[Key, list[Seen]], wrong: list[str]) -> None:
    """Nobody is told what they mute, or more than they want; and what they are not told for that never comes later."""
    shape = player.plan.shape
    offered: dict[tuple[str, int], set[int]] = defaultdict(set)
    for (paper, number, _email), copies in taken.items():
        offered[paper, number] |= copies[0].tales
    forgotten = {deed.who for deed in player.plan.deeds if deed.what == "erase"}  # with all that they wanted
    for (paper, number, email), copies in sorted(taken.items()):
        theirs, told = wish(shape, email), copies[0].tales
        if email not in shape.emails or not number or email in forgotten:
            continue
        if muted := [tale for tale in told if not theirs.wants(tale)]:
            wrong.append(f"P14 {email} was told of story {muted[0]}, which they mute")
        if not told:
            wrong.append(f"P14 {email} got a letter that tells nothing")
        if not theirs.most:
            continue
        cut = {tale for tale in offered[paper, number] - told if theirs.wants(tale)}
        if len(told) > theirs.most:
            wrong.append(f"P14 {email} was told of {len(told)} stories at once, and wants {theirs.most}")
        later = [key for key in taken if key[0] == paper and key[1] > number and key[2] == email]
        before = {tale for key in taken if (key[0], key[2]) == (paper, email) and key[1] < number
                  for tale in taken[key][0].tales}  # fmt: skip
        low, high = told - {copies[0].lead}, cut - before
        said = any(deed.what == "lean" and (deed.who, deed.paper) == (email, paper) for deed in player.plan.deeds)
        if low and high and not said and min(map(theirs.level, low)) < max(map(theirs.level, high)):
            wrong.append(f"P14 {email} was told of a story that they want less of than of one beyond their maximum")
        if any(taken[key][0].tales & cut for key in later):
            wrong.append(f"P14 {email} was told later of a story that was beyond their maximum")


# ---------------------------------------------------------------- P2


def _doubled(player: Player, rows: dict[Key, Any], taken: dict[Key, list[Seen]], wrong: list[str]) -> None:
    for key, copies in taken.items():
        for first, again in pairwise(copies):
            why = _excuse(player, first, again)
            if not why:
                wrong.append(
                    f"P2 {key[2]} got a letter at {first.at:.3f} s and again at {again.at:.3f} s, and nobody had died"
                )
        if len(copies) > 1 and key in rows and not rows[key]["in_doubt"]:
            wrong.append(f"P2 {key[2]} got a letter {len(copies)} times, and it is not in doubt")


def _excuse(player: Player, first: Seen, again: Seen) -> str:
    """Why a letter that was taken may have been sent once more; "" where nothing allows it."""
    run = player.stage.run_of(first.process)
    assert run is not None
    if run.process.dead and run.process.finished <= again.at and (not player.plan.restores or _in_doubt(player, first)):
        return "its sender was killed"
    if run.exit_code == UNAVAILABLE and run.process.error is not None and _in_doubt(player, first):
        return "the database was put back under its sender"
    if storage_failed(run.process.error) and any(fault.kind in ("eio", "locked") for fault in run.faults):
        return "nothing could be written any more"
    if run.frozen >= _lease(run) * 0.5 and again.process is not first.process:
        return "its sender slept past its lease, and another took the letter"
    if first.heard_at is not None:
        return ""
    if first.process is not None and first.trouble:
        return "the server did not answer in order"
    return ""


def _lease(run: Any) -> float:
    return float(run.config.smtp.lease.total_seconds())


def _in_doubt(player: Player, seen: Seen) -> bool:
    """Was it under way when its sender was killed, or with the replies of its last moments?"""
    run = player.stage.run_of(seen.process)
    if not player.plan.restores or run is None:
        return False
    broke_off = run.process.dead or (run.process.error is not None and run.exit_code == UNAVAILABLE)
    think = max(server.offers.get("think", 0.0) for server in player.plan.servers)
    return bool(broke_off) and run.process.finished - seen.at < 1.0 + think + (0.0 if run.process.dead else 3.0)


def held_back(player: Player, run: Any) -> None:
    """Nothing is sent from a copy that was put back and not accepted."""
    if run.exit_code != UNAVAILABLE:
        player.verdict.wrong.append(f"P2 a copy was put back, and {run.name} ends with {run.exit_code}")
    if any(seen.process is run.process for seen in _seen(player)):
        player.verdict.wrong.append(f"P2 a copy was put back, and {run.name} sends from it")


def _stayed(player: Player, wrong: list[str]) -> None:
    """Who left gets nothing any more, whatever is put back."""
    for at, deed in player.done:
        if deed.what not in ("unsubscribe", "suppress", "erase"):
            continue
        late = [seen for seen in _seen(player) if seen.recipient == deed.who and seen.at > at + 5.0]
        if late:
            wrong.append(
                f"P4 {deed.who} left ({deed.what}), and got a letter {(late[0].at - at) / 3600:.0f} hours later"
            )


# ---------------------------------------------------------------- P3


def _same(player: Player, wrong: list[str]) -> None:
    known: dict[Key, Seen] = {}
    ids: dict[bytes, Key] = {}
    for seen in _seen(player):
        if seen.step != "BODY" or seen.key is None:
            continue
        first = known.setdefault(seen.key, seen)
        if first.message_id != seen.message_id or first.mail_from != seen.mail_from:
            wrong.append(f"P3 {seen.recipient} was sent one letter under two names")
        elif first.content != seen.content and first.recipient == seen.recipient:
            wrong.append(f"P3 {seen.recipient} was sent one letter with other bytes")
        if ids.setdefault(seen.message_id, seen.key) != seen.key:
            wrong.append(f"P3 two letters have the Message-ID {seen.message_id!r}")


# ---------------------------------------------------------------- P5


def _replies(player: Player, rows: dict[Key, Any], taken: dict[Key, list[Seen]], wrong: list[str]) -> None:
    plan, stage = player.plan, player.stage
    said: dict[str, list[Seen]] = defaultdict(list)
    for seen in _seen(player):
        said[seen.recipient].append(seen)
    by_hand = {deed.who for deed in plan.deeds if deed.what != "rename"}
    suppressed = {email for email in stage.suppressed() if email not in by_hand}
    wrong += [
        f"P5 {email} is suppressed, and no server said that there is no such mailbox"
        for email in sorted(suppressed)
        if not any(s.step == "RCPT" and s.code >= 500 and s.reply[4:].startswith(NO_SUCH) for s in said[email])
    ]
    if plan.mass and suppressed:
        wrong.append(f"P5 a relay's bad day: {len(suppressed)} readers are suppressed")
    for rule in plan.fates:
        for email in rule.who or ():
            if "5.1.1 " in rule.move.words and rule.step == "RCPT" and email in said and email not in suppressed:
                heard = [s for s in said[email] if s.heard_at is not None and s.code == 550]
                if heard and not any(run.process.dead for run in stage.runs):
                    wrong.append(f"P5 {email} does not exist, and is not suppressed")
    lifetime = float(plan.smtp["lifetime_hours"]) * 3600
    beyond = any("size" in s.offers or not s.offers.get("smtputf8") for s in plan.servers)
    for key, row in rows.items():
        if row["state"] != "refused" or not key[2]:
            continue
        mine = said[key[2]]
        if any(s.code >= 500 for s in mine) or any(
            rule.step == "MAIL" and rule.move.words.startswith("5") for s in plan.servers for rule in s.rules
        ):
            continue
        if beyond and (not key[2].isascii() or plan.mass):
            continue
        age = player.hub.now - (mine[0].at if mine else 0.0)
        if age < lifetime * 0.95 and not plan.leaps:
            wrong.append(f"P5 the letter to {key[2]} is refused ({row['reply'][:60]}), and no server refused it")
    if not plan.leaps:
        _patient(player, said, wrong)


def _patient(player: Player, said: dict[str, list[Seen]], wrong: list[str]) -> None:
    """A letter that was put off is not tried again at once."""
    letters = Counter(key[2] for key, _ in player.stage.letters().values())
    # What a server says next, once it speaks of another step than we do, is not believed.
    astray = {id(seen.session) for seen in _seen(player) if seen.step == "BODY" and seen.code == 503}
    for email, all_seen in said.items():
        if letters[email] != 1:
            continue
        for one, two in pairwise(all_seen):
            if id(one.session) in astray:
                continue
            if one.step == two.step == "RCPT" and one.code in (450, 451, 452) and one.heard_at is not None:
                runs = player.stage.run_of(one.process), player.stage.run_of(two.process)
                calm = not any(run is None or run.process.dead or run.frozen or run.process.error for run in runs)
                if two.at - one.at < 235 and calm and not any(one.at <= at <= two.at for at in player.cured_at):
                    wrong.append(
                        f"P5 {email} was put off with {one.code}, and tried again {two.at - one.at:.0f} s later"
                    )


def _old(player: Player, rows: dict[Key, Any], wrong: list[str]) -> None:
    """Nothing is begun that is older than its lifetime: from its first attempt, or the first since it was let go."""
    plan = player.plan
    lifetime = float(plan.smtp["lifetime_hours"]) * 3600
    if plan.leaps:
        return
    letters = Counter(key[2] for key in rows)  # of which of several an RCPT is, nobody can tell
    first: dict[str, float] = {}
    for seen in _seen(player):
        if seen.step != "RCPT" or letters[seen.recipient.removeprefix(MOVED)] > 1:
            continue
        who = seen.recipient.removeprefix(MOVED)
        let_go = max((at for at, whose in player.let_go if at <= seen.at and who in whose), default=0.0)
        if first.get(who, -1.0) < let_go:
            first[who] = seen.at
        begun = first[who]
        if seen.at - begun > lifetime + 3600 * 3 and not plan.shape.line:
            wrong.append(
                f"P5 the letter to {who} goes out {(seen.at - begun) / 86_400:.1f} days after it was first "
                f"tried, and its lifetime is {lifetime / 3600:.0f} hours"
            )


# ---------------------------------------------------------------- P11


def _run(player: Player, run: Any, wrong: list[str]) -> None:
    process, name = run.process, run.name
    if process.loop is not None and process.loop.troubles and not process.dead:
        trouble = process.loop.troubles[0]
        wrong.append(f"P11 {name}: {trouble.get('message')}: {trouble.get('exception')!r}")
    if process.dead or not process.ended:
        return
    if not expected(process.error):
        wrong.append(f"P11 {name} ends with a traceback: {process.error!r}")
        return
    error = process.error
    if error is not None and storage_failed(error) and not run.faults:
        wrong.append(f"P11 {name} fails for its storage, which is well: {error}")
    took = process.finished - process.began
    _stopped(player, run, wrong)
    if player.plan.family == "hung" and player.plan.bound and run is player.stage.runs[0]:
        first = min((s.at for s in _seen(player)), default=0.0) - process.began
        hung_first = player.plan.servers[1].settings["order"] < player.plan.servers[0].settings["order"]
        if first > (12 if hung_first else 2):  # the one that was to be preferred is given some time
            wrong.append(f"P13 a server hangs, and the first letter through the good one goes after {first:.1f} s")
    if player.plan.family == "storage" and took > 120 and not any(fault.end > 0 for fault in run.faults):
        wrong.append(f"P9 nothing can be stored, and {name} goes on for {took:.0f} s")
    if took > 4 * 3600:
        wrong.append(f"P9 {name} takes {took / 3600:.1f} hours")
    if error is not None:
        doubled = _doubles_of(player, run)
        if doubled > player.stage.announced(run):
            wrong.append(
                f"P11 {name} ends with {run.exit_code}, {doubled} letters came twice for it, and it had announced "
                f"{player.stage.announced(run)}"
            )
        return
    alone = not any(
        other is not run and other.process.began < process.finished and process.began < other.process.finished
        for other in player.stage.runs
        if other.process.ended or other.process.dead
    )
    if alone and not player.plan.deeds:
        sent = run.after.get("sent", 0) - run.before.get("sent", 0)
        if run.report.sent != sent:
            wrong.append(f"P11 {name} says {run.report.sent} sent, and the rows say {sent}")
        refused = run.after.get("refused", 0) - run.before.get("refused", 0)
        if run.report.refused != refused:
            wrong.append(f"P11 {name} says {run.report.refused} refused, and the rows say {refused}")
        if run.exit_code == OK and refused >= 10 and refused > sent and not player.plan.skip:
            wrong.append(f"P11 {name} refused {refused} letters, sent {sent}, and ends with 0")
        left = sum(run.after.get(state, 0) for state in ("claimed", "sending"))
        died = any(r.process.dead or r.process.error for r in player.stage.runs)
        if run.exit_code == OK and left and not died and not player.plan.leaps:
            wrong.append(f"P11 {name} ends with 0, and leaves {left} letters claimed or being sent")
    if run.exit_code == OK and run.due_left and alone:
        wrong.append(f"P11 {name} ends with 0, and {run.due_left} letters are due")


def _doubles_of(player: Player, run: Any) -> int:
    return sum(first.process is run.process for copies in _taken(player).values() for first in copies[:-1])


def _stopped(player: Player, run: Any, wrong: list[str]) -> None:
    """SIGTERM is heeded within two seconds, but for what is in flight."""
    late = run.process.finished - run.stop_at
    if late <= 2.5 or run.frozen:
        return
    flying = [
        s
        for s in _seen(player)
        if s.process is run.process and s.at <= run.stop_at and (s.heard_at is None or s.heard_at > run.stop_at)
    ]
    if not flying and run.stop_at >= run.process.began:
        wrong.append(f"P4 {run.name} is asked to stop, nothing is in flight, and it goes on for {late:.1f} s")


# ---------------------------------------------------------------- pace


def _shared(player: Player, wrong: list[str]) -> None:
    """Who is awake keeps with the others to the connections of a relay; the shares of who slept are given away."""
    runs = player.stage.runs
    if player.plan.leaps or any(run.frozen or run.faults for run in runs):
        return
    # Of who was killed a server may have connections for a moment.
    dead = [run.process.finished for run in runs if run.process.dead]
    if any(0 <= run.process.began - end < 1.0 for run in runs for end in dead):
        return
    for relay, server in zip(player.relays, player.plan.servers, strict=True):
        # Between two runs an operator may have allowed more of them.
        most = max(server.settings["connections"], *(start.smtp.get("connections", 0) for start in player.plan.starts))
        if relay.at_once > most:
            wrong.append(f"P13 {relay.at_once} connections at once to {relay.name}, and the settings allow {most}")


def _pace(player: Player, wrong: list[str]) -> None:
    run = player.stage.runs[0]
    taken = [s for s in _seen(player) if s.taken and s.process is run.process]
    server = player.plan.servers[0]
    # What it would be undisturbed: a round trip and the server's thinking for each letter on each connection.
    trips = 1 if server.offers["pipelining"] else 4
    each = trips * 2 * server.offers["latency"] + server.offers["think"]
    full = server.settings["connections"] / (each + 0.01)
    if len(taken) < 20:
        wrong.append(f"P13 only {len(taken)} letters left in the first run, at few 421")
        return
    rate = len(taken) / (taken[-1].at - taken[0].at)
    if rate < 0.4 * full:
        wrong.append(f"P13 {rate:.1f} letters a second, and {full:.1f} without the 421")
