"""Editions: entries admitted as stories, stories composed into letters owed, and the answers about both."""

from digest.edition.admit import Admitted as Admitted
from digest.edition.admit import Judge as Judge
from digest.edition.admit import admit as admit
from digest.edition.backtest import Backtest as Backtest
from digest.edition.backtest import Difference as Difference
from digest.edition.backtest import backtest as backtest
from digest.edition.compose import compose as compose
from digest.edition.compose import prepare as prepare
from digest.edition.compose import take_turn as take_turn
from digest.edition.desk import drop as drop
from digest.edition.desk import find as find
from digest.edition.desk import move as move
from digest.edition.desk import pin as pin
from digest.edition.held import annotate as annotate
from digest.edition.held import approve as approve
from digest.edition.held import held_edition as held_edition
from digest.edition.held import recompose as recompose
from digest.edition.press import Composed as Composed
from digest.edition.press import Draft as Draft
from digest.edition.show import Shown as Shown
from digest.edition.show import coming as coming
from digest.edition.show import preview as preview
from digest.edition.show import shown as shown
from digest.edition.why import explain as explain
from digest.edition.why import explain_entry as explain_entry
from digest.edition.why import explain_for as explain_for
