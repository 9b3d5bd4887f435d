"""The settings that every vendor shares: where its API is, how to sign in, and where the secrets are kept.

A secret is read only when it is needed, is never shown, and is registered for redaction once it was read.
"""

from __future__ import annotations

import os
import shlex
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, field_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from connector.errors import SecretError
from connector.redaction import MASK, register

_FORMS = {
    "env": "the name of an environment variable",
    "file": "the path of a file that only its owner can read",
    "command": "a command that prints the secret; it is run without a shell",
    "keyring": "service/user in the keyring of this machine",
}
_VALID = 'a text, {env="NAME"}, {file="PATH"}, {command="PROGRAM ARGUMENTS"} or {keyring="SERVICE/USER"}'
_COMMAND_SECONDS = 30.0
_LARGEST = 64 * 1024


class Secret:
    """A secret, or where it is kept. `reveal()` reads it, once; nothing else ever shows it.

    In the configuration it is one of: a text, `{env="NAME"}`, `{file="PATH"}`, `{command="..."}`,
    `{keyring="SERVICE/USER"}`. Two are equal when they name the same place (or are the same text).
    """

    __slots__ = ("_form", "_lock", "_value", "_where")

    def __init__(self, form: str, where: str) -> None:
        """`form` is `text`, `env`, `file`, `command` or `keyring`; `where` is the text itself or its place."""
        self._form = form
        self._where = where
        self._lock = threading.Lock()
        self._value: str | None = None
        if form == "text":
            register(where)

    def reveal(self) -> str:
        """The secret itself. Raises SecretError when it cannot be read; the message names the place only."""
        with self._lock:
            if self._value is None:
                value = _READERS[self._form](self._where)
                if not value:
                    raise SecretError(f"the secret from {self.place} is empty")
                self._value = register(value)
            return self._value

    @property
    def place(self) -> str:
        """Where the secret is kept, for messages: never the secret, nor a command's arguments."""
        match self._form:
            case "env":
                return f"environment variable {self._where}"
            case "file":
                return f"file {self._where}"
            case "command":
                return f"command {shlex.split(self._where)[0]}"
            case "keyring":
                return f"keyring entry {self._where}"
            case _:
                return "the configuration"

    def __repr__(self) -> str:
        return f"Secret({self.place})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self._form, self._where) == (other._form, other._where)

    def __hash__(self) -> int:
        return hash((self._form, self._where))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be pickled")

    # -- pydantic

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._validate, serialization=core_schema.plain_serializer_function_ser_schema(cls._dump, when_used="json")
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        forms = [
            {
                "type": "object",
                "properties": {form: {"type": "string", "minLength": 1, "description": meaning}},
                "required": [form],
                "additionalProperties": False,
            }
            for form, meaning in _FORMS.items()
        ]
        return {"title": "Secret", "anyOf": [{"type": "string", "minLength": 1, "writeOnly": True}, *forms]}

    @classmethod
    def _validate(cls, value: Any, info: core_schema.ValidationInfo) -> Secret:
        if isinstance(value, Secret):
            return value
        if isinstance(value, str):
            if not value:
                raise PydanticCustomError("secret", "the secret is empty; write {valid}", {"valid": _VALID})
            return cls("text", value)
        if not isinstance(value, Mapping) or len(value) != 1 or not _FORMS.keys() >= value.keys():
            raise PydanticCustomError("secret", "a secret is exactly one of: {valid}", {"valid": _VALID})
        ((form, where),) = value.items()
        if not isinstance(where, str) or not where.strip():
            raise PydanticCustomError("secret", "`{form}` needs a text: {meaning}", _facts(form))
        if form == "file":
            directory = (info.context or {}).get("directory", "")
            where = str(Path(directory) / Path(where).expanduser())
        elif form == "command":
            try:
                shlex.split(where)
            except ValueError:
                raise PydanticCustomError("secret", "`command`: a quote is not closed", {}) from None
        elif form == "keyring" and not all(where.rpartition("/")[::2]):
            raise PydanticCustomError("secret", "`{form}` needs a text: {meaning}", _facts(form))
        return cls(form, where)

    def _dump(self) -> str | dict[str, str]:
        return MASK if self._form in ("text", "command") else {self._form: self._where}


def _facts(form: str) -> dict[str, Any]:
    return {"form": form, "meaning": _FORMS[form]}


# ------------------------------------------------------------------------------------------------- where secrets are


def _from_text(text: str) -> str:
    return text


def _from_env(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise SecretError(f"the environment variable {name} is not set", hint=f"export {name}=... , then run again")
    return value


def _from_file(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            # The open file is asked, not the path, so that what is checked is what is read.
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise SecretError(f"the secret's file {path} is not a plain file")
            if facts.st_mode & 0o077:
                raise SecretError(
                    f"the secret's file {path} can be read by others (mode {stat.S_IMODE(facts.st_mode):04o})",
                    hint=f"chmod 600 {shlex.quote(path)}",
                )
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise SecretError(f"the secret's file {path} cannot be read: {error.strerror}") from None
    return _decoded(content, f"file {path}")


def _from_command(command: str) -> str:
    import subprocess

    arguments = shlex.split(command)
    program = arguments[0]
    try:
        done = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what a password program complains about is not for our logs
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SecretError(f"the secret's command {program} gave no answer within {_COMMAND_SECONDS:g} s") from None
    except OSError as error:
        raise SecretError(f"the secret's command {program} cannot be run: {error.strerror}") from None
    if done.returncode:
        raise SecretError(
            f"the secret's command {program} failed with exit code {done.returncode}",
            hint="run the command by hand, as the user that runs Deskbridge, to see why",
        )
    return _decoded(done.stdout, f"command {program}")


def _from_keyring(entry: str) -> str:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise SecretError(
            f"the keyring entry {entry} needs the keyring package", hint="pip install 'deskbridge[keyring]'"
        ) from None
    service, _, user = entry.rpartition("/")
    try:
        value = keyring.get_password(service, user)
    except keyring.errors.KeyringError as error:
        raise SecretError(f"the keyring cannot be read ({type(error).__name__}) for {entry}") from None
    if value is None:
        hint = f"keyring set {shlex.quote(service)} {shlex.quote(user)}"
        raise SecretError(f"the keyring has no entry {entry}", hint=hint)
    return str(value)


def _decoded(content: bytes, place: str) -> str:
    if len(content) > _LARGEST:
        raise SecretError(f"the secret from {place} is larger than {_LARGEST} bytes")
    try:
        return content.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretError(f"the secret from {place} is not UTF-8 text") from None


_READERS = {
    "text": _from_text,
    "env": _from_env,
    "file": _from_file,
    "command": _from_command,
    "keyring": _from_keyring,
}


# ------------------------------------------------------------------------------------------------------ vendor settings


class _Settings(BaseModel):
    # Input is hidden, since pydantic would print a mistyped secret or a URL with a password into the error.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class VendorSettings(_Settings):
    """What every vendor's `Settings` begin with; a vendor adds its own fields."""

    type: str = Field(description="The vendor: the name of its adapter.")
    url: str = Field(description="The base address of the API, http or https, without user, password and query.")
    timeout: float = Field(default=30, gt=0, le=600, description="Seconds to wait for each answer.")
    calls_per_minute: int | None = Field(default=None, ge=1, description="Our own limit, below the vendor's.")
    settle: float | None = Field(
        default=None,
        ge=0,
        le=600,
        description="Seconds after which a write whose answer was lost is certain to be found, if it was made. Without it, "
        "the vendor's own; shorter is right only for a server beside you.",
    )

    @field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        problem = url_problem(url)
        if problem:
            raise PydanticCustomError("url", "the url {problem}", {"problem": problem})
        return url.rstrip("/")


def url_problem(url: str) -> str | None:
    """Why this is no base address, in words that follow "the url"; `None` when it is one. Never repeats the url."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "cannot be read; write it like https://desk.example/api"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "must begin with https:// (or http://) and a host"
    if "@" in parts.netloc:
        return "must not hold a user or password; give them under auth"
    if parts.query or parts.fragment or "?" in url or "#" in url:
        return "must not hold a query or fragment"
    if port == 0 or any(character.isspace() or not character.isprintable() for character in url) or "\\" in url:
        return "cannot be read; write it like https://desk.example/api"
    return None


# ----------------------------------------------------------------------------------------------------------- signing in


class BasicAuth(_Settings):
    """A user (or an API key's public half) and a password or key."""

    type: Literal["basic"]
    user: str = Field(min_length=1)
    secret: Secret


class TokenAuth(_Settings):
    """A fixed token in a header."""

    type: Literal["token"]
    secret: Secret
    scheme: str = Field(default="Bearer", pattern=r"^[A-Za-z0-9._-]*$", description="The word before the token.")


class OAuthClientAuth(_Settings):
    """OAuth client credentials: Deskbridge fetches its own tokens."""

    type: Literal["oauth_client"]
    client_id: str = Field(min_length=1)
    client_secret: Secret
    token_path: str | None = Field(default=None, description="A path or an address; the vendor's own by default.")
    scopes: tuple[str, ...] = ()


class OAuthRefreshAuth(_Settings):
    """OAuth on behalf of a person: `deskbridge login` once; the rotating tokens are kept in the token store."""

    type: Literal["oauth_refresh"]
    client_id: str = Field(min_length=1)
    client_secret: Secret | None = None
    token_path: str | None = Field(default=None, description="A path or an address; the vendor's own by default.")
    authorize_path: str | None = Field(default=None, description="A path or an address; the vendor's own by default.")
    scopes: tuple[str, ...] = ()


Auth: TypeAlias = Annotated[
    BasicAuth | TokenAuth | OAuthClientAuth | OAuthRefreshAuth,
    Field(discriminator="type", description="How to sign in."),
]
"""For a vendor's Settings: `auth: Auth` (or a union of the few that the vendor takes)."""
