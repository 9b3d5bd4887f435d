"""Vendor-shaped APIs on loopback, for the demo, for trying a mapping, for tests."""
