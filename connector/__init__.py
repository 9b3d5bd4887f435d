"""Deskbridge: a help-desk plugin and a two-way sync connector between help desks and CRMs."""

__version__ = "0.1.0"
