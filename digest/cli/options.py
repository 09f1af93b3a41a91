"""The options that several commands have, each declared once."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
NewsletterName = Annotated[
    str | None, typer.Option("--newsletter", "-n", metavar="NAME", help="Which newsletter, where there are several.")
]
Papers = Annotated[
    list[str] | None,
    typer.Option(
        "--newsletter", "-n", metavar="NAME", help="For which newsletters; again for more, '*' for all to come too."
    ),
]
Newsletters = Annotated[
    list[str] | None,
    typer.Option("--newsletter", "-n", metavar="NAME[,NAME]", help="Only these newsletters; again for more."),
]
All = Annotated[bool, typer.Option("--all", help="All newsletters, which is also what goes without saying.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen and change nothing.")]
Limit = Annotated[int, typer.Option(min=1, help="How many, the newest first.")]
Force = Annotated[bool, typer.Option("--force", help="Ask every feed now, whatever its schedule says.")]
LogFile = Annotated[
    str | None,
    typer.Option("--log", metavar="FILE", help="Write a log there too; - is standard error, in place of the talk."),
]
LogFormat = Annotated[str | None, typer.Option("--log-format", metavar="text|json", help="Of the log's lines.")]

# Of feeds and stories.
WhichFeed = Annotated[str, typer.Argument(metavar="FEED", help="Number or address of a feed, as `feed list` shows it.")]
Login = Annotated[bool, typer.Option("--login", help="Ask for a user and password (HTTP Basic).")]
Header = Annotated[
    str | None, typer.Option("--header", metavar="NAME", help="Ask for the value of a header to send, e.g. X-Api-Key.")
]
Select = Annotated[
    str | None,
    typer.Option(
        "--select", metavar="CSS", help="A page's entries: article, xpath://article, xml:xpath://row, json:items."
    ),
]
SelectTitle = Annotated[str | None, typer.Option("--select-title", metavar="CSS", help="In each of them its title.")]
SelectLink = Annotated[str | None, typer.Option("--select-link", metavar="CSS", help="Its address.")]
SelectDate = Annotated[str | None, typer.Option("--select-date", metavar="CSS", help="Its date: time, span@data-date.")]
SelectText = Annotated[str | None, typer.Option("--select-text", metavar="CSS", help="Its text.")]
SelectAuthor = Annotated[str | None, typer.Option("--select-author", metavar="CSS", help="Who wrote it.")]
SelectImage = Annotated[str | None, typer.Option("--select-image", metavar="CSS", help="Its picture.")]
SelectTags = Annotated[str | None, typer.Option("--select-tags", metavar="CSS", help="Its categories.")]
SelectId = Annotated[str | None, typer.Option("--select-id", metavar="CSS", help="What names it for good.")]
WhichStory = Annotated[int, typer.Argument(metavar="STORY", help="The number of `digest story list`.")]

# Of editions, and of what mail servers said.
Number = Annotated[int, typer.Argument(help="The number in the masthead.")]
EditionNumber = Annotated[int, typer.Argument(metavar="NUMBER", help="Of the edition.")]
Why = Annotated[str, typer.Option("--reason", help="Why, for whoever looks at it later.")]
Status = Annotated[str, typer.Option("--status", metavar="CODE", help="Only what was refused with it, as in 5.1.1.")]
Domain = Annotated[str, typer.Option("--domain", metavar="NAME", help="Only addresses of this domain.")]

OldName = Annotated[str, typer.Argument(metavar="OLD", help="What it was called before.")]

# Of readers.
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="Their address.")]
MaybeEmail = Annotated[
    str | None,
    typer.Argument(metavar="[EMAIL]", help="Their address; else --where or --file."),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        "-w",
        metavar="FIELD=VALUE",
        help="Who is meant: state=active, topic=ai, cadence=weekly, tag=vip, field.plan=gold, domain=example.org, "
        "address~part, 'joined<2025-01-01', delivered=never; != is not; again: all of them must be so.",
    ),
]
FromFile = Annotated[
    str | None,
    typer.Option("--file", "-f", metavar="FILE|-", help="Who is meant: a file, an address a line."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
Name = Annotated[str | None, typer.Option("--name", help="What they are called.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="A word of yours about them.")]
Fields = Annotated[
    list[str] | None,
    typer.Option("--field", metavar="NAME=VALUE", help="A field of yours; again for more, NAME= takes it away."),
]
VouchedBy = Annotated[
    str | None, typer.Option("--vouched-by", metavar="WHO", help="Who says that they want it; else your login.")
]
Topics = Annotated[
    list[str] | None, typer.Option("--topic", "-t", metavar="SLUG", help="A topic they get; again for more. Else all.")
]
Cadence = Annotated[
    str | None,
    typer.Option(
        "--cadence",
        metavar="WHEN",
        help="daily, weekdays, 'weekly mon', 'fortnightly mon', 'monthly 1', 'monthly last fri'; '' for all.",
    ),
]
Hour = Annotated[
    str | None, typer.Option("--hour", metavar="0-23", help="On the clock of --zone; '' for when the edition comes.")
]
Zone = Annotated[
    str | None, typer.Option("--zone", metavar="ZONE", help="As in Europe/Berlin; '' for the newsletter's.")
]
Language = Annotated[
    str | None, typer.Option("--language", metavar="CODE", help="Of dates and fixed words; '' for the newsletter's.")
]
MaxStories = Annotated[
    str | None, typer.Option("--max-stories", metavar="N", help="At most so many in a letter, 1 to 100; '' for all.")
]
Mute = Annotated[
    list[str] | None,
    typer.Option("--mute", metavar="WORD", help="No stories with this word or phrase; again for more, '' for none."),
]
MuteSource = Annotated[
    list[str] | None,
    typer.Option("--mute-source", metavar="SITE", help="None that only this site tells; again for more, '' for none."),
]
MuteTopic = Annotated[
    list[str] | None, typer.Option("--mute-topic", metavar="SLUG", help="None on it; again for more, '' for none.")
]
StoryLanguage = Annotated[
    list[str] | None,
    typer.Option("--story-language", metavar="CODE", help="Only stories in it; again for more, '' for all."),
]
MoreOf = Annotated[
    list[str] | None,
    typer.Option(
        "--more", metavar="WHAT", help="More of source:SITE, topic:SLUG, author:NAME, word:WORD; again, '' none."
    ),
]
LessOf = Annotated[
    list[str] | None,
    typer.Option("--less", metavar="WHAT", help="Less of it, as for --more; again for more, '' for none."),
]
Format = Annotated[str | None, typer.Option("--format", metavar="text|html", help="Text alone, or HTML beside it.")]
