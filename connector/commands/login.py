"""`deskbridge login`: signs in to a vendor that wants OAuth on behalf of a person."""

from __future__ import annotations

import click

from connector.commands._face import Face
from connector.commands._options import config_option


@click.command(epilog="Example: deskbridge login sales --no-browser")
@click.argument("name")
@click.option("--no-browser", is_flag=True, help="Open nothing here; paste the address that the browser ends at.")
@click.option("--redirect", metavar="URL", help="The redirect address that is registered with the vendor.")
@config_option
@click.pass_obj
def command(face: Face, name: str, no_browser: bool, redirect: str | None) -> None:
    """Sign in to NAME (of a [desks.NAME] or [crms.NAME]) in a browser; the tokens are kept beside the journal."""
    from connector.adapter import vendor
    from connector.connect import tools
    from connector.errors import UsageError
    from connector.login import REDIRECT, finish_login, login_url, receive
    from connector.model import Side
    from connector.problems import nearest
    from connector.settings import OAuthRefreshAuth

    config = face.config()
    systems = {**{key: (Side.DESK, one) for key, one in config.desks.items()}}
    both = sorted(set(config.desks) & set(config.crms))
    if name in both:
        raise UsageError(f"{name!r} names a help desk and a CRM", hint="rename one of them in the configuration")
    systems |= {key: (Side.CRM, one) for key, one in config.crms.items()}
    if name not in systems:
        raise UsageError(f"there is no system {name!r}{nearest(name, systems)}")
    side, settings = systems[name]
    auth = getattr(settings, "auth", None)
    if not isinstance(auth, OAuthRefreshAuth):
        raise UsageError(
            f"{name!r} does not sign in with OAuth on behalf of a person",
            hint="nothing to do: its credentials stand in the configuration; try `deskbridge check`",
        )
    oauth = getattr(vendor(side, settings.type), "OAUTH", None)
    begun = login_url(auth, url=settings.url, oauth=oauth, redirect=redirect or REDIRECT)
    click.echo(f"Open this address in a browser and agree:\n\n  {begun.url}\n", err=True)
    if no_browser:
        answer = click.prompt("Paste the address that the browser ended at", hide_input=True, err=True)
    else:
        import webbrowser

        webbrowser.open(begun.url)
        click.echo("Waiting for the browser to come back ...", err=True)
        answer = receive(begun)
    finish_login(begun, answer, auth, tools(config), url=settings.url, oauth=oauth)
    face.say(f"Signed in to {name}; the tokens are in {config.tokens}.")
