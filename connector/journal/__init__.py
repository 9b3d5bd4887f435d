"""The journal: the only state of Deskbridge, in one SQLite file. The only importer of a database."""

from connector.journal.journal import Journal, RunRow

__all__ = ["Journal", "RunRow"]
