"""Brings up a real help desk (Request Tracker 5) and a real CRM (Tryton 8.2) on loopback, both on SQLite.

`available()` says why not, where they cannot be had. Packages and the two template databases are made once, in a cache
folder (env DESKBRIDGE_REAL_CACHE, default `~/.cache/deskbridge-real`); each test session then starts from copies in a
folder of its own, on free ports. `python -m tests.real.servers` fills the cache, as a CI step does.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import email
import email.policy
import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import recipes

RT_SERVER = Path("/usr/share/request-tracker5/libexec/rt-server")
APT_PACKAGES = ("dbconfig-no-thanks", "request-tracker5", "rt5-db-sqlite", "rt5-standalone", "starman")
PIP_PACKAGES = ("trytond==8.2.1", "trytond-sale-opportunity==8.2.0")


class Unavailable(Exception):
    """The real servers cannot be had here; the message says why."""


def cache_folder() -> Path:
    """Where packages and template databases are kept between sessions."""
    return Path(os.environ.get("DESKBRIDGE_REAL_CACHE") or Path.home() / ".cache" / "deskbridge-real")


# ------------------------------------------------------------------------------------------------------------- packages


def _run(command: list[str], *, folder: Path, env: dict[str, str] | None = None, stdin: str | None = None) -> str:
    """Runs a step of the installation; its standard output. Raises Unavailable with the last line of what it said."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **(env or {})}, input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(f"{command[0]} failed ({done.returncode}): {said[-1] if said else 'no output'}")
    return done.stdout


def _install_rt(folder: Path) -> None:
    if RT_SERVER.exists():
        return
    if not shutil.which("apt-get"):
        raise Unavailable("Request Tracker comes from apt, and this is not a Debian or Ubuntu")
    if os.geteuid() != 0:
        raise Unavailable(f"Request Tracker is not installed; as root: apt-get install {' '.join(APT_PACKAGES)}")
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-qq"]
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    _run([*apt, "update"], folder=folder, env=quiet)
    _run([*apt, "install", "-y", "--no-install-recommends", *APT_PACKAGES], folder=folder, env=quiet)


def _install_tryton(cache: Path) -> Path:
    """The folder of a virtual environment that holds trytond."""
    place = cache / f"venv-{_digest(*PIP_PACKAGES)}"
    if (place / "complete").exists():
        return place
    venv.create(place, with_pip=True, clear=True)
    _run([str(place / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", *PIP_PACKAGES], folder=cache)
    (place / "complete").touch()
    return place


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


# ------------------------------------------------------------------------------------------------------------ templates


@dataclass(frozen=True)
class Templates:
    """The two databases as they were filled once, and the credentials inside them."""

    folder: Path
    venv: Path
    rt_tokens: dict[str, str] = field(repr=False)
    tryton_key: str = field(repr=False)

    @property
    def rt_database(self) -> Path:
        return self.folder / "rt" / "rtdb"

    @property
    def tryton_database(self) -> Path:
        return self.folder / "tryton" / "crm.sqlite"


def templates() -> Templates:
    """Installs what is missing, makes the template databases once, and gives them. Raises Unavailable."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two sessions on one machine: the second waits and finds all made
        _install_rt(cache)
        environment = _install_tryton(cache)
        recipe = _digest(*PIP_PACKAGES, recipes.RT_CONFIG, recipes.RT_SEED, recipes.TRYTON_CONFIG, recipes.TRYTON_SEED)
        place = cache / f"templates-{recipe}"
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            (place / "rt").mkdir(parents=True)
            (place / "tryton").mkdir()
            _make_rt(place / "rt")
            _make_tryton(place / "tryton", environment)
            (place / "complete").touch()
    return Templates(
        folder=place,
        venv=environment,
        rt_tokens=json.loads((place / "rt" / "tokens.json").read_text()),
        tryton_key=(place / "tryton" / "key").read_text(),
    )


def _rt_environment(folder: Path, port: int) -> dict[str, str]:
    """Writes Request Tracker's configuration and our stand-in for sendmail into `folder`; the variables naming them."""
    for name in ("empty.d", "mason", "sess", "mail"):
        (folder / name).mkdir(exist_ok=True)
    sendmail = folder / "sendmail"
    sendmail.write_text(recipes.SENDMAIL.format(mail=folder / "mail"))
    sendmail.chmod(0o755)
    config = folder / "RT_SiteConfig.pm"
    config.write_text(recipes.RT_CONFIG.format(folder=folder, port=port, sendmail=sendmail))
    return {"RT_SITE_CONFIG": str(config), "RT_SITE_CONFIG_DIR": str(folder / "empty.d")}


def _make_rt(folder: Path) -> None:
    env = _rt_environment(folder, 80)
    setup = ["rt-setup-database-5", "--action", "init", "--skip-create", "--dba", "root", "--dba-password", ""]
    _run(setup, folder=folder, env=env)
    tokens = _run(["perl", "-"], folder=folder, env=env, stdin=recipes.RT_SEED)
    (folder / "tokens.json").write_text(tokens)
    json.loads(tokens)


def _make_tryton(folder: Path, environment: Path) -> None:
    _tryton_config(folder, 0)
    (folder / "crm.sqlite").touch()
    (folder / "password").write_text(recipes.TRYTON_PASSWORD)
    admin = [str(environment / "bin" / "trytond-admin"), "-c", "trytond.conf", "-d", "crm", "--all"]
    admin += ["--email", "admin@crm.example", "-u", "sale_opportunity", "--activate-dependencies"]
    _run(admin, folder=folder, env={"TRYTONPASSFILE": str(folder / "password")})
    key = _run([str(environment / "bin" / "python"), "-"], folder=folder, stdin=recipes.TRYTON_SEED)
    (folder / "key").write_text(key.strip())


def _tryton_config(folder: Path, port: int) -> None:
    (folder / "trytond.conf").write_text(recipes.TRYTON_CONFIG.format(folder=folder, port=port))


# -------------------------------------------------------------------------------------------------------------- running


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    """In the child: Linux ends it when the test process dies, even of SIGKILL."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class _Server:
    """A process group that answers HTTP at `probe`."""

    def __init__(self, name: str, command: list[str], folder: Path, env: dict[str, str], probe: str) -> None:
        self.name, self._command, self._folder, self._env, self._probe = name, command, folder, env, probe
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env={**os.environ, **self._env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    def wait(self, seconds: float = 60) -> None:
        """Returns once HTTP is answered, with whatever status. Raises Unavailable when the process ends or is late."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise Unavailable(f"{self.name} ended while starting; see {self._folder / (self.name + '.log')}")
            try:
                urllib.request.urlopen(self._probe, timeout=10).close()
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise Unavailable(f"{self.name} does not answer after {seconds:.0f} s")

    def stop(self) -> None:
        """Ends the whole process group."""
        process, self._process = self._process, None
        if process is None:
            return
        for sign, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@dataclass(frozen=True)
class Mail:
    """One message that the help desk handed to sendmail."""

    recipients: tuple[str, ...]
    subject: str


class RequestTracker:
    """A running Request Tracker: `url`, `tokens` by user, the mail that it sent, and `reset()`.

    Tokens: `sync` and `agent` may do all; `integration` has the rights that a sync needs and no more; `reader` may
    only see tickets; `revoked` is no longer valid.
    """

    def __init__(self, templates: Templates, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder, self._templates = folder, templates
        self.tokens = dict(templates.rt_tokens)
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [
            str(RT_SERVER),
            "--server",
            "Starman",
            "--workers",
            "3",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
        ]
        env = _rt_environment(folder, self.port)
        self._server = _Server("request-tracker", command, folder, env, f"{self.url}/REST/2.0/rt")

    @property
    def token(self) -> str:
        return self.tokens["sync"]

    def start(self, database: Path | None = None) -> None:
        """Starts on a copy of `database`; without one, of the template."""
        shutil.copyfile(database or self._templates.rt_database, self.folder / "rtdb")
        for leftover in ("rtdb-wal", "rtdb-shm", "rtdb-journal"):
            (self.folder / leftover).unlink(missing_ok=True)
        for mail in (self.folder / "mail").iterdir():
            mail.unlink()
        self._server.start()

    def wait(self) -> None:
        self._server.wait()

    def stop(self) -> None:
        self._server.stop()

    def reset(self) -> None:
        """Back to the template: no tickets, no mail. Takes about 3 s; url and tokens stay."""
        self.stop()
        self.start()
        self.wait()

    def mail(self) -> list[Mail]:
        """Every message really sent so far, oldest first."""
        found = []
        for path in sorted((self.folder / "mail").glob("*.eml")):
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            to = [header.addresses for name in ("To", "Cc", "Bcc") for header in message.get_all(name, [])]
            found.append(Mail(tuple(str(a.addr_spec) for group in to for a in group), str(message["Subject"] or "")))
        return found


class Tryton:
    """A running Tryton with one company and the database `crm`: `url` (`.../crm`), `key` and `reset()`."""

    def __init__(self, templates: Templates, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder, self._templates = folder, templates
        self.key = templates.tryton_key
        self.port = _free_port()
        self.host = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.host}/crm"
        _tryton_config(folder, self.port)
        command = [str(templates.venv / "bin" / "trytond"), "-c", "trytond.conf", "-d", "crm"]
        self._server = _Server("tryton", command, folder, {}, f"{self.host}/")

    def start(self, database: Path | None = None) -> None:
        """Starts on a copy of `database`; without one, of the template."""
        for leftover in ("crm.sqlite-wal", "crm.sqlite-shm", "crm.sqlite-journal"):
            (self.folder / leftover).unlink(missing_ok=True)
        shutil.copyfile(database or self._templates.tryton_database, self.folder / "crm.sqlite")
        self._server.start()

    def wait(self) -> None:
        self._server.wait()

    def stop(self) -> None:
        self._server.stop()

    def reset(self) -> None:
        """Back to the template: one company and its sales rep. Takes about 2 s; url and key stay."""
        self.stop()
        self.start()
        self.wait()


@dataclass(frozen=True)
class RealServers:
    """Both servers, running."""

    rt: RequestTracker
    tryton: Tryton

    def reset(self) -> None:
        """Both back to their templates, together: about 4 s."""
        for server in (self.rt, self.tryton):
            server.stop()
        for server in (self.rt, self.tryton):
            server.start()
        for server in (self.rt, self.tryton):
            server.wait()


@contextlib.contextmanager
def running(which: str) -> Iterator[RequestTracker | Tryton]:
    """One server (`rt` or `tryton`), from nothing, stopped and swept away at the end. Raises Unavailable."""
    made = templates()
    folder = Path(tempfile.mkdtemp(prefix=f"deskbridge-{which}-"))
    server = RequestTracker(made, folder / which) if which == "rt" else Tryton(made, folder / which)
    atexit.register(server.stop)
    try:
        server.start()
        server.wait()
        yield server
    finally:
        server.stop()
        atexit.unregister(server.stop)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    print(f"templates in {templates().folder}")
