"""The face of a checkout: `python cli.py ...` is the same program as an installed `deskbridge ...`."""

from __future__ import annotations

from connector.commands import main

if __name__ == "__main__":
    main()
