"""How many steps a pattern takes: a backtracking matcher over Python's own parse of it, which counts.

It goes the way that `re` goes (the same order of choices), one character looked at is one step, and so is one way
back. Runs of one set of characters are counted at once; so texts of 100 kB are quick to drive. What `re` saves by its
own short cuts is not taken off, so a pattern that is linear here is linear there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from re import _constants as C  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

Text = str
_LIMIT = 0x110000


class TooManySteps(Exception):
    """A pattern went beyond its steps."""


class Program:
    """A pattern as instructions for the matcher."""

    def __init__(self, pattern: str | bytes, flags: int = 0) -> None:
        tree = _parser.parse(pattern, flags & ~re.DEBUG)
        self.flags = tree.state.flags
        self.bytes = isinstance(pattern, bytes)
        self.tree = tree
        self._sets: dict[str, re.Pattern[str]] = {}
        self.code: list[tuple[Any, ...]] = []
        self._emit(tree, self.flags)
        self.code.append(("end",))
        self._ahead: dict[int, tuple[re.Pattern[str], re.Pattern[str]] | None] = {}
        self.first = self._first(tree, self.flags)
        self.start = re.compile(self.first, re.DOTALL | self.flags & re.IGNORECASE) if self.first is not None else None

    # ------------------------------------------------------------ sets of characters, as patterns of their own

    def _set(self, op: Any, argument: Any, flags: int) -> str:
        """One character that an item of the tree fits, written as a pattern."""
        if op is C.LITERAL:
            inside = _char(argument)
        elif op is C.NOT_LITERAL:
            inside = "[^" + _char(argument, within=True) + "]"
        elif op is C.ANY:
            inside = "(?s:.)" if flags & re.DOTALL else "[^\\n]"
        else:
            inside = "[" + "".join(self._item(*item) for item in argument) + "]"
        letters = "".join(
            c for c, f in (("i", re.IGNORECASE), ("a", re.ASCII)) if flags & f or (c == "a" and self.bytes)
        )
        return f"(?{letters}:{inside})" if letters else inside

    def _item(self, op: Any, argument: Any) -> str:
        if op is C.NEGATE:
            return "^"
        if op is C.LITERAL:
            return _char(argument, within=True)
        if op is C.RANGE:
            return f"{_char(argument[0], within=True)}-{_char(argument[1], within=True)}"
        assert op is C.CATEGORY, op
        return {
            "DIGIT": r"\d",
            "NOT_DIGIT": r"\D",
            "SPACE": r"\s",
            "NOT_SPACE": r"\S",
            "WORD": r"\w",
            "NOT_WORD": r"\W",
        }[str(argument).removeprefix("CATEGORY_")]

    def set_of(self, pattern: str) -> re.Pattern[str]:
        if pattern not in self._sets:
            self._sets[pattern] = re.compile(f"{pattern}*+")
        return self._sets[pattern]

    def ahead(self, pc: int) -> tuple[re.Pattern[str], re.Pattern[str]] | None:
        """What finds the first and the last character that the instruction demands; None where it demands none."""
        if pc not in self._ahead:
            at = pc
            while self.code[at][0] == "save":
                at += 1
            what = self.code[at]
            one = what[1].pattern.removesuffix("*+") if what[0] == "set" and what[2] >= 1 else None
            self._ahead[pc] = (re.compile(one), re.compile(f"(?s:.*)(?={one})")) if one else None
        return self._ahead[pc]

    # ------------------------------------------------------------ instructions

    def _emit(self, tree: Any, flags: int) -> None:
        for op, argument in tree:
            if op in (C.LITERAL, C.NOT_LITERAL, C.ANY, C.IN):
                self.code.append(("set", self.set_of(self._set(op, argument, flags)), 1, 1, "greedy"))
            elif op in (C.MAX_REPEAT, C.MIN_REPEAT, C.POSSESSIVE_REPEAT):
                self._repeat(op, *argument, flags)
            elif op is C.BRANCH:
                self._branch(argument[1], flags)
            elif op is C.SUBPATTERN:
                group, add, remove, inside = argument
                if group is not None:
                    self.code.append(("save", 2 * group))
                self._emit(inside, (flags | add) & ~remove)
                if group is not None:
                    self.code.append(("save", 2 * group + 1))
            elif op is C.ATOMIC_GROUP:
                self._apart("atomic", argument, flags)
            elif op in (C.ASSERT, C.ASSERT_NOT):
                direction, inside = argument
                width = inside.getwidth()[0] if direction < 0 else 0
                self._apart("assert" if op is C.ASSERT else "assert not", inside, flags, width)
            elif op is C.AT:
                self.code.append(("at", argument, flags))
            elif op is C.GROUPREF:
                self.code.append(("backref", argument))
            elif op is C.FAILURE:
                self.code.append(("fail",))
            else:
                raise NotImplementedError(op)

    def _apart(self, kind: str, inside: Any, flags: int, width: int = 0) -> None:
        at = len(self.code)
        self.code.append(())
        self._emit(inside, flags)
        self.code.append(("end",))
        self.code[at] = (kind, len(self.code), width)

    def _branch(self, ways: list[Any], flags: int) -> None:
        ends = []
        firsts = [self._first(way, flags) for way in ways]
        if None not in firsts:
            self.code.append(("one of", re.compile("|".join(map(str, firsts))), len(ways)))
        for way in ways[:-1]:
            at = len(self.code)
            self.code.append(())
            self._emit(way, flags)
            ends.append(len(self.code))
            self.code.append(())
            self.code[at] = ("split", at + 1, len(self.code))
        self._emit(ways[-1], flags)
        for end in ends:
            self.code[end] = ("jump", len(self.code))

    def _repeat(self, op: Any, least: int, most: int, inside: Any, flags: int) -> None:
        most = _LIMIT if most is C.MAXREPEAT else most
        kind = {C.MAX_REPEAT: "greedy", C.MIN_REPEAT: "lazy", C.POSSESSIVE_REPEAT: "possessive"}[op]
        single = len(inside) == 1 and inside[0][0] in (C.LITERAL, C.NOT_LITERAL, C.ANY, C.IN)
        if single:
            self.code.append(("set", self.set_of(self._set(*inside[0], flags)), least, most, kind))
            return
        if kind == "possessive":
            again = _parser.SubPattern(inside.state, [(C.MAX_REPEAT, (least, most, inside))])
            self._apart("atomic", again, flags)
            return
        for _ in range(least):
            self._emit(inside, flags)
        if most >= 1000:
            loop = len(self.code)
            self.code += [(), ("mark", loop)]
            self._emit(inside, flags)
            self.code += [("moved", loop), ("jump", loop)]
            self.code[loop] = self._split(kind, loop + 1, len(self.code))
            return
        splits = []
        for _ in range(most - least):
            splits.append(len(self.code))
            self.code.append(())
            self._emit(inside, flags)
        for at in splits:
            self.code[at] = self._split(kind, at + 1, len(self.code))

    @staticmethod
    def _split(kind: str, into: int, past: int) -> tuple[Any, ...]:
        return ("split", into, past) if kind == "greedy" else ("split", past, into)

    # ------------------------------------------------------------ how a match can begin

    def _first(self, tree: Any, flags: int) -> str | None:
        """A pattern of the character that any match begins with; None where it may be empty."""
        for op, argument in tree:
            if op in (C.LITERAL, C.NOT_LITERAL, C.ANY, C.IN):
                return self._set(op, argument, flags)
            if op in (C.MAX_REPEAT, C.MIN_REPEAT, C.POSSESSIVE_REPEAT):
                own = self._first(argument[2], flags)
                if argument[0]:
                    return own
                rest = self._first(list(tree)[list(tree).index((op, argument)) + 1 :], flags)
                return f"(?:{own}|{rest})" if own is not None and rest is not None else None
            if op is C.BRANCH:
                ways = [self._first(way, flags) for way in argument[1]]
                return None if None in ways else "(?:" + "|".join(map(str, ways)) + ")"
            if op is C.SUBPATTERN:
                return self._first(argument[3], (flags | argument[1]) & ~argument[2])
            if op is C.ATOMIC_GROUP:
                return self._first(argument, flags)
            if op in (C.ASSERT, C.ASSERT_NOT, C.AT):
                continue
            return None
        return None


def _char(code: int, *, within: bool = False) -> str:
    return f"\\U{code:08x}"


# ---------------------------------------------------------------- the matcher


class Drive:
    """Runs one program over one text, within so many steps in all."""

    def __init__(self, program: Program, text: str, limit: int) -> None:
        self.program = program
        self.text = text
        self.steps = 0
        self.limit = limit

    def all(self) -> int:
        """As `finditer` goes; how many matches. Raises TooManySteps."""
        found = at = 0
        while at <= len(self.text):
            if self.program.start is not None:
                hit = self.program.start.search(self.text, at)
                self._count((hit.start() if hit else len(self.text)) - at)
                if hit is None:
                    return found
                at = hit.start()
            end = self._run(0, at, [])
            if end is None:
                at += 1
                continue
            found += 1
            at = max(end, at + 1)
        return found

    def once(self, *, whole: bool) -> int | None:
        """As `match` goes, or `fullmatch`; where it ended."""
        return self._run(0, 0, [], whole=whole)

    def _count(self, steps: int) -> None:
        self.steps += steps
        if self.steps > self.limit:
            raise TooManySteps(f"more than {self.limit:,} steps over {len(self.text):,} characters")

    def _run(self, pc: int, at: int, saved: list[int | None], *, whole: bool = False) -> int | None:
        code, text = self.program.code, self.text
        length = len(text)
        back: list[tuple[Any, ...]] = []  # (pc, at, saved) or ("shorter"/"longer", pc, at, bound, set, saved)
        marks: dict[int, int] = {}
        groups: dict[int, int] = {}
        while True:
            self.steps += 1
            if self.steps > self.limit:
                raise TooManySteps(f"more than {self.limit:,} steps over {length:,} characters")
            what = code[pc]
            kind = what[0]
            ok = True
            if kind == "set":
                _, members, least, most, greed = what
                if greed == "lazy":
                    stop = members.match(text, at, min(length, at + least)).end()
                    self._count(stop - at)
                    ok = stop - at >= least
                    if ok:
                        if most > least:
                            back.append(("longer", pc + 1, stop, at + most, members, groups))
                        at, pc = stop, pc + 1
                else:
                    stop = members.match(text, at, min(length, at + most)).end()
                    self._count(stop - at)
                    ok = stop - at >= least
                    if ok:
                        if greed == "greedy" and stop > at + least:
                            back.append(("shorter", pc + 1, stop, at + least, members, groups))
                        at, pc = stop, pc + 1
            elif kind == "split":
                back.append((what[2], at, groups, marks))
                pc = what[1]
            elif kind == "one of":
                ok = what[1].match(text, at) is not None
                if not ok:
                    self._count(2 * what[2])
                pc += 1
            elif kind == "jump":
                pc = what[1]
            elif kind == "save":
                groups = groups | {what[1]: at}
                pc += 1
            elif kind == "mark":
                marks = marks | {what[1]: at}
                pc += 1
            elif kind == "moved":
                ok = marks.get(what[1]) != at
                pc += 1
            elif kind == "at":
                ok = self._stands(what[1], at, what[2])
                pc += 1
            elif kind == "backref":
                start, end = groups.get(2 * what[1]), groups.get(2 * what[1] + 1)
                word = text[start:end] if start is not None and end is not None else None
                ok = word is not None and text[at : at + len(word)].lower() == word.lower()
                self._count(len(word or ""))
                at, pc = at + len(word or ""), pc + 1
            elif kind in ("assert", "assert not", "atomic"):
                begin = at - what[2]
                end = self._run(pc + 1, begin, saved) if begin >= 0 else None
                if kind == "assert not":
                    ok = end is None
                else:
                    ok = end is not None
                    if kind == "atomic" and end is not None:
                        at = end
                pc = what[1]
            elif kind == "fail":
                ok = False
            else:  # end
                if not whole or at == length:
                    return at
                ok = False
            while not ok:
                if not back:
                    return None
                choice = back.pop()
                if choice[0] == "shorter":
                    _, pc, stop, bound, members, groups = choice
                    at = stop - 1
                    ahead = self.program.ahead(pc)
                    if ahead is not None:
                        last = ahead[1].match(text, bound, stop)
                        if last is None:
                            self._count(stop - bound)
                            continue
                        at = last.end()
                    self._count(stop - at)
                    if at > bound:
                        back.append(("shorter", pc, at, bound, members, groups))
                    ok = True
                elif choice[0] == "longer":
                    _, pc, stop, bound, members, groups = choice
                    most, at = min(bound, length), stop + 1
                    ahead = self.program.ahead(pc)
                    if ahead is not None and stop < most:
                        first = ahead[0].search(text, at, most + 1)
                        at = first.start() if first is not None else most + 1
                    reached = members.match(text, stop, min(at, most)).end()
                    self._count(1 + reached - stop)
                    if at <= most and reached == at:
                        back.append(("longer", pc, at, bound, members, groups))
                        ok = True
                else:
                    pc, at, groups, marks = choice
                    ok = True

    def _stands(self, where: Any, at: int, flags: int) -> bool:
        text, length = self.text, len(self.text)
        if where in (C.AT_BEGINNING, C.AT_BEGINNING_STRING):
            return at == 0 or (bool(flags & re.MULTILINE) and where is C.AT_BEGINNING and text[at - 1] == "\n")
        if where is C.AT_END_STRING:
            return at == length
        if where is C.AT_END:
            last = at == length or (at == length - 1 and text[at] == "\n")
            return last or (bool(flags & re.MULTILINE) and text[at] == "\n")
        word = _WORD_A if self.program.bytes or flags & re.ASCII else _WORD
        edge = (at > 0 and bool(word(text[at - 1]))) != (at < length and bool(word(text[at])))
        return edge if where is C.AT_BOUNDARY else not edge


_WORD: Callable[[str], Any] = re.compile(r"\w").match
_WORD_A: Callable[[str], Any] = re.compile(r"\w", re.ASCII).match


# ---------------------------------------------------------------- texts that nearly match


def samples(program: Program) -> tuple[str, list[tuple[str, str]]]:
    """A text that fits, as well as can be told, and texts to repeat: its parts, each with what stands before it."""
    pumps: list[tuple[str, str]] = []

    def of(tree: Any, before: str, often: int) -> str:
        said = ""
        for op, argument in tree:
            if op is C.LITERAL:
                said += chr(argument)
            elif op is C.NOT_LITERAL:
                said += "a" if argument != ord("a") else "b"
            elif op is C.ANY:
                said += "a"
            elif op is C.IN:
                said += _member(program, argument)
            elif op in (C.MAX_REPEAT, C.MIN_REPEAT, C.POSSESSIVE_REPEAT):
                least, most, inside = argument
                one = of(inside, before + said, often)
                pumps.append((before + said, one))
                said += one * max(least, min(often, 1 if most == 1 else often))
            elif op is C.BRANCH:
                ways = [of(way, before + said, often) for way in argument[1]]
                said += ways[0]
                pumps.extend((before + said, way) for way in ways[1:4])
            elif op is C.SUBPATTERN:
                said += of(argument[3], before + said, often)
            elif op is C.ATOMIC_GROUP:
                said += of(argument, before + said, often)
            elif op is C.ASSERT:
                # What has to stand before is said before; what has to follow, after.
                said += of(argument[1], before + said, often)
        return said

    whole = of(program.tree, "", 2)
    of(program.tree, "", 0)  # what may be left out often is
    return whole, list(dict.fromkeys(pumps))


def _member(program: Program, items: Any) -> str:
    members = re.compile(program._set(C.IN, items, program.flags))
    for c in "a1 ,.-:;<>&\"'/#\t\n\xa0éжあ":
        if members.fullmatch(c):
            return c
    return next((chr(n) for n in range(sys.maxunicode) if members.fullmatch(chr(n))), "a")


def hostile(program: Program, size: int) -> Iterator[str]:
    """Texts of about `size` characters that nearly match, again and again."""
    whole, pumps = samples(program)
    seen: set[str] = set()
    breaker = "\x00"

    def text(prefix: str, pump: str, suffix: str) -> Iterator[str]:
        if pump:
            made = prefix + pump * max(1, (size - len(prefix)) // len(pump)) + suffix
            if made not in seen:
                seen.add(made)
                yield made

    for cut in dict.fromkeys((whole, whole[:-1], whole[:-2], whole[: len(whole) // 2], whole[:1])):
        yield from text("", cut, "")
        yield from text("", cut, breaker)
    for before, pump in pumps:
        yield from text(before, pump, breaker)
        yield from text("", before + pump, breaker)
        yield from text("", pump, breaker)
    for c in dict.fromkeys(whole):
        yield from text("", c, breaker)
