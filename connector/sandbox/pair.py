"""Both sandboxes together on loopback, filled, with a configuration that fits them: for `deskbridge sandbox`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from connector.sandbox.data import make
from connector.sandbox.data_fill import fill_crm, fill_desk
from connector.sandbox.nutshell import NutshellSandbox
from connector.sandbox.server import Server, serve
from connector.sandbox.zendesk import ZendeskSandbox

_USER = "sync@crm.example"
_KEY = "sandbox-crm-key"
_DESK_FIELDS = ("Deal owner", "Deal amount")
"""Fields that the ready-made mapping writes, beside those that the data brings."""


@dataclass(frozen=True, slots=True)
class SandboxPair:
    """A help desk and a CRM that run."""

    desk: ZendeskSandbox
    crm: NutshellSandbox
    desk_server: Server
    crm_server: Server
    config: str
    """A whole configuration in TOML; its secrets are made up and open nothing but these two."""

    def credentials(self) -> dict[str, str]:
        """What to sign in with, by what it is."""
        return {
            "help desk": self.desk_server.url,
            "help desk user": self.desk.api_email,
            "help desk API token": self.desk.api_token,
            "CRM": self.crm_server.url,
            "CRM user": _USER,
            "CRM API key": _KEY,
        }


@contextmanager
def sandbox_pair(*, tickets: int = 300, seed: int = 7, desk_port: int = 0, crm_port: int = 0) -> Iterator[SandboxPair]:
    """Runs both sandboxes with believable customers in them; the same seed makes the same data. Port 0: a free one."""
    desk, crm = ZendeskSandbox(), NutshellSandbox(user=_USER, key=_KEY)
    now = datetime.now(UTC).replace(microsecond=0)
    data = make(seed, tickets=tickets)
    fill_desk(desk, data, now)
    fill_crm(crm, data, now)
    for title in _DESK_FIELDS:
        desk.add_field("ticket", "text", title)
    crm.add_custom_field("leads", "Support priority")
    # From here on both live in the present, so that what a sync writes and what a person changes has its real time.
    desk.world._fixed = crm._fixed = None
    with serve(desk.app, desk_port) as desk_server, serve(crm.app, crm_port) as crm_server:
        yield SandboxPair(desk, crm, desk_server, crm_server, _config(desk, desk_server.url, crm_server.url))


def _config(desk: ZendeskSandbox, desk_url: str, crm_url: str) -> str:
    return f"""\
[desks.support]
type = "zendesk"
url = "{desk_url}"
auth = {{ type = "basic", user = "{desk.api_email}", secret = "{desk.api_token}" }}

[crms.sales]
type = "nutshell"
url = "{crm_url}"
auth = {{ type = "basic", user = "{_USER}", secret = "{_KEY}" }}
calls_per_minute = 60000
custom_fields = ["deal"]

[pairs.main]
desk = "support"
crm = "sales"
"""
