"""Editions: entries admitted as stories, stories composed into letters owed, and the answers about both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest import lazily

if TYPE_CHECKING:
    from digest.edition.admit import admit as admit
    from digest.edition.admit import propose as propose
    from digest.edition.admit import take_in as take_in
    from digest.edition.backtest import Backtest as Backtest
    from digest.edition.backtest import Difference as Difference
    from digest.edition.backtest import backtest as backtest
    from digest.edition.chosen import Choice as Choice
    from digest.edition.chosen import asked_for as asked_for
    from digest.edition.chosen import choices as choices
    from digest.edition.chosen import thumbs as thumbs
    from digest.edition.compose import compose as compose
    from digest.edition.compose import prepare as prepare
    from digest.edition.compose import take_turn as take_turn
    from digest.edition.editor import Rewording as Rewording
    from digest.edition.editor import Standing as Standing
    from digest.edition.editor import arrange as arrange
    from digest.edition.editor import drop as drop
    from digest.edition.editor import find as find
    from digest.edition.editor import move as move
    from digest.edition.editor import pin as pin
    from digest.edition.editor import reword as reword
    from digest.edition.editor import stand_again as stand_again
    from digest.edition.editor import standing as standing
    from digest.edition.full_text import use_full_texts as use_full_texts
    from digest.edition.full_text import wanting as wanting
    from digest.edition.held import annotate as annotate
    from digest.edition.held import approve as approve
    from digest.edition.held import follow as follow
    from digest.edition.held import held_edition as held_edition
    from digest.edition.held import recompose as recompose
    from digest.edition.held import still_to_come as still_to_come
    from digest.edition.judge import Judge as Judge
    from digest.edition.judge import scorer as scorer
    from digest.edition.meanings import keep_meanings as keep_meanings
    from digest.edition.meanings import wanting_meanings as wanting_meanings
    from digest.edition.pictures import brought as brought
    from digest.edition.pictures import seen as seen
    from digest.edition.pictures import wanting_pictures as wanting_pictures
    from digest.edition.report import Admitted as Admitted
    from digest.edition.report import Composed as Composed
    from digest.edition.sample import sample as sample
    from digest.edition.show import Shown as Shown
    from digest.edition.show import coming as coming
    from digest.edition.show import preview as preview
    from digest.edition.show import shown as shown
    from digest.edition.show import use_known_texts as use_known_texts
    from digest.edition.summaries import by_whom as by_whom
    from digest.edition.summaries import use_summaries as use_summaries
    from digest.edition.summaries import wanting_summaries as wanting_summaries
    from digest.edition.turns import not_now as not_now
    from digest.edition.turns import overdue as overdue
    from digest.edition.variants import Draft as Draft
    from digest.edition.welcome import welcome as welcome
    from digest.edition.why import explain as explain
    from digest.edition.why import explain_entry as explain_entry
    from digest.edition.why import explain_for as explain_for
    from digest.edition.why import pruned_words as pruned_words

lazily.offer(__name__)
