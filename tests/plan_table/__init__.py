"""The plan as a table: what must come of every state of both sides, written out by hand, to be read and checked."""
