"""The journal's disk goes wrong in every way: nothing is lost or doubled, and the error says what to do."""
