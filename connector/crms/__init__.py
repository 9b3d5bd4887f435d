"""One CRM a file; each exports `Settings` and `connect`."""
