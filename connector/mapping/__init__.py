"""The mapping language: load, compile, transform, explain. Pure: no clock, no random, no I/O but reading files in `load`."""
