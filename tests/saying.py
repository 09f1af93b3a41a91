"""Entries about the subjects of some field, made up of its words: what headings are proposed from."""

from __future__ import annotations

import random
from collections.abc import Iterator

from digest.curate.suggest import Sample

FIELDS = {
    "cooking": {
        "soups": "soup broth ladle onion stew leek simmer carrot",
        "baking": "bread dough oven flour yeast loaf crust sourdough",
        "drinks": "cocktail vermouth lemon whisky shaker bitters syrup tonic",
    },
    "local": {
        "stadtrat": "Stadtrat Bürgermeister Haushalt Sitzung Rathaus Fraktion Satzung Ausschuss",
        "feuerwehr": "Feuerwehr Brand Einsatz Polizei Unfall Verletzte Rettungswagen Zeugen",
        "fussball": "Fußball Trainer Aufstieg Kreisliga Torwart Elfmeter Vereinsheim Niederlage",
    },
    "science": {
        "space": "telescope galaxy exoplanet orbit comet spacecraft nebula astronaut",
        "cells": "protein enzyme genome bacteria mutation embryo receptor ribosome",
        "rocks": "volcano magma fault seismic lava tectonic glacier sediment",
    },
    "law": {
        "patents": "patent trademark infringement licence inventor royalties copyright claimant",
        "crime": "sentencing defendant prosecutor jury bail felony conviction homicide",
        "work": "dismissal employer tribunal wages redundancy harassment union overtime",
    },
    "数据": {
        "data": "数据库 索引 事务 查询 分布式",
        "cloud": "容器 集群 部署 镜像 运维",
        "phone": "手机 屏幕 电池 相机 芯片",
    },
}
FILLER = [
    "why",
    "how",
    "a",
    "the",
    "new",
    "our",
    "best",
    "this",
    "what",
    "we",
    "from",
    "guide",
    "to",
    "about",
    "with",
    "story",
    "big",
    "more",
]


def entries(field: str, number: int, *, feeds: int = 6, categories: bool = False) -> Iterator[tuple[str, Sample]]:
    """So many entries, each after the name of its subject; every seventh is about none of them."""
    chance = random.Random(f"{field} {number}")
    subjects = list(FIELDS[field])
    spaced = field != "数据"
    for at in range(number):
        subject = subjects[at % len(subjects)] if at % 7 else ""
        known = FIELDS[field][subject].split() if subject else [f"word{chance.randrange(10**6)}x" for _ in range(5)]
        telling = chance.sample(known, 3)
        title = (" " if spaced else "的").join([*chance.sample(FILLER, 2 if spaced else 0), *telling])
        text = f"<p>{' '.join([*chance.sample(FILLER, 4), *chance.sample(known, 3)])} &amp; so on, no. {at}.</p>"
        yield subject, Sample(at % feeds, f"{title} {at}", (subject,) if categories and subject else (), text)
