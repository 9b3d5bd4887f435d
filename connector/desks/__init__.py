"""One help desk a file; each exports `Settings` and `connect`."""
