"""Hear: what came back. Mails are understood, believed where they prove a letter of ours, and then something follows."""

from digest.hear.report import Failed, Kind, Reason, Report, Returned
from digest.hear.understand import understand

__all__ = ["Failed", "Kind", "Reason", "Report", "Returned", "understand"]
