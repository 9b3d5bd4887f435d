"""One tree of errors, grouped by what the operator must do next.

A message names the record by its ref and says what to type next. It never holds a body, an address, a token, a phone
or a piece of a vendor's answer: those are what the promise on leaks (docs/privacy.md) is about.
"""

from __future__ import annotations

from connector.model import Ref


class DeskbridgeError(Exception):
    """Any error that Deskbridge foresees. `hint` says what to type next, when there is something."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


# -- change a file or the command line, then run again (exit 2)


class UsageError(DeskbridgeError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class ConfigError(UsageError):
    """The configuration cannot be used. `problems` holds every one, each with its place."""

    def __init__(self, message: str, *, problems: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.problems = problems


class MappingError(ConfigError):
    """The mapping cannot be used, or cannot take a value."""


class SecretError(ConfigError):
    """A secret cannot be read from where the configuration says it is."""


# -- nothing to do: the next run tries again (exit 1)


class TryLater(DeskbridgeError):
    """The request had no effect and may be sent again later. `after` is in seconds, when the vendor said."""

    def __init__(self, message: str, *, after: float | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.after = after


class OutcomeUnknown(DeskbridgeError):
    """The request may or may not have taken effect. A create must be looked up before it is sent again."""


class StaleVersion(DeskbridgeError):
    """The record changed since it was read; nothing was written. Read it again and plan anew."""


class BadAnswer(DeskbridgeError):
    """The vendor answered with something that is not what its API promises (HTML, truncated JSON, missing parts)."""


class Unreadable(BadAnswer):
    """One record of an answer lacks a part, or has one of another type. A note that is so makes its parent unreadable.

    The message names the record and says what was wrong with it, and holds nothing of what it holds.
    """

    def __init__(self, ref: Ref, what: str) -> None:
        super().__init__(f"{ref}: {what}")
        self.ref = ref


class JournalError(DeskbridgeError):
    """The journal cannot be read or written (disk full, read-only, locked, torn, of a newer version)."""


# -- a person must decide or grant something (exit 3)


class NeedsHuman(DeskbridgeError):
    """A person has to decide before this can go on."""

    exit_code = 3


class Unauthorized(NeedsHuman):
    """The credentials are refused: expired, revoked or mistyped."""


class Forbidden(NeedsHuman):
    """The credentials are good, and may not do this."""


class Rejected(NeedsHuman):
    """The vendor refuses this write for good: sending it again would fail again."""

    def __init__(
        self, message: str, *, status: int | None = None, code: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code


class NotFound(Rejected):
    """The record is not there (deleted, merged away, or never was)."""


class CursorExpired(NeedsHuman):
    """The vendor no longer knows this cursor. The adapter says from where it can be read again, if it can."""


class BrakeTripped(NeedsHuman):
    """The run would write more than the configured brake allows; nothing was written."""


class VisibilityBroken(NeedsHuman):
    """A note came back with another visibility than it was written with. The run stops at once."""


# -- wait for the other run (exit 4)


class Locked(DeskbridgeError):
    """Another run holds the lock of this pair."""

    exit_code = 4


class Interrupted(DeskbridgeError):
    """The operator stopped the run; what was done is recorded and the next run goes on from there."""

    exit_code = 1
