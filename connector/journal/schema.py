"""The journal's tables, as named migrations in the SQL that SQLite and PostgreSQL both take.

Ids, versions, keyed fingerprints and intents; never a body, an address, a phone or a token. Field values that an update
replaced are kept encrypted for a while, so that it can be undone.
"""

from __future__ import annotations

MIGRATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "0001-spine",
        (
            "CREATE TABLE cursor (pair TEXT NOT NULL, stream TEXT NOT NULL, value TEXT NOT NULL,"
            " PRIMARY KEY (pair, stream))",
            # What has changed and is not worked yet. A stream is `sync` or one backfill: their horizons differ.
            "CREATE TABLE dirty (pair TEXT NOT NULL, stream TEXT NOT NULL, ref TEXT NOT NULL, mark INTEGER NOT NULL,"
            " attempts INTEGER NOT NULL DEFAULT 0, error TEXT, PRIMARY KEY (pair, stream, ref))",
            # The version that we know all about: a poll that shows the same one shows nothing new.
            "CREATE TABLE record (pair TEXT NOT NULL, ref TEXT NOT NULL, version TEXT NOT NULL, open INTEGER NOT NULL,"
            " modified TEXT, PRIMARY KEY (pair, ref))",
            "CREATE TABLE link (pair TEXT NOT NULL, role TEXT NOT NULL, desk TEXT NOT NULL, crm TEXT NOT NULL,"
            " rule TEXT NOT NULL, made TEXT NOT NULL, PRIMARY KEY (pair, role, desk, crm))",
            "CREATE INDEX link_crm ON link (pair, crm)",
            "CREATE INDEX link_desk ON link (pair, desk)",
            "CREATE TABLE base (pair TEXT NOT NULL, desk TEXT NOT NULL, crm TEXT NOT NULL, field TEXT NOT NULL,"
            " desk_print TEXT NOT NULL, crm_print TEXT NOT NULL, origin TEXT NOT NULL, run INTEGER NOT NULL,"
            " PRIMARY KEY (pair, desk, crm, field))",
            "CREATE TABLE tag (pair TEXT NOT NULL, desk TEXT NOT NULL, crm TEXT NOT NULL, desk_tag TEXT NOT NULL,"
            " crm_tag TEXT NOT NULL, origin TEXT NOT NULL, sure INTEGER NOT NULL,"
            " PRIMARY KEY (pair, desk, crm, desk_tag))",
            "CREATE INDEX tag_crm ON tag (pair, crm)",
            # Which note here is which note there. A slot names a target by its role, so that it outlives merges.
            "CREATE TABLE note (pair TEXT NOT NULL, source TEXT NOT NULL, slot TEXT NOT NULL, parent TEXT NOT NULL,"
            " target TEXT, key TEXT NOT NULL, print TEXT NOT NULL, seq INTEGER NOT NULL, run INTEGER NOT NULL,"
            " PRIMARY KEY (pair, source, slot))",
            "CREATE INDEX note_target ON note (pair, target)",
            "CREATE INDEX note_key ON note (pair, key)",
            "CREATE TABLE intent (pair TEXT NOT NULL, key TEXT NOT NULL, run INTEGER NOT NULL, name TEXT NOT NULL,"
            " source TEXT NOT NULL, side TEXT NOT NULL, target TEXT NOT NULL, state TEXT NOT NULL, at TEXT NOT NULL,"
            " attempts INTEGER NOT NULL, result TEXT, error TEXT, print TEXT NOT NULL DEFAULT '',"
            " PRIMARY KEY (pair, key))",
            "CREATE INDEX intent_state ON intent (pair, state)",
            "CREATE TABLE review (id INTEGER PRIMARY KEY, pair TEXT NOT NULL, kind TEXT NOT NULL,"
            " subject TEXT NOT NULL, detail TEXT NOT NULL, state TEXT NOT NULL, decision TEXT, run INTEGER NOT NULL,"
            " opened TEXT NOT NULL, decided TEXT)",
            "CREATE INDEX review_subject ON review (pair, kind, subject)",
            # Who waits for a match: the keyed fingerprints of the addresses by which they may be found one day.
            "CREATE TABLE waiting (pair TEXT NOT NULL, ref TEXT NOT NULL, print TEXT NOT NULL,"
            " PRIMARY KEY (pair, ref, print))",
            "CREATE INDEX waiting_print ON waiting (pair, print)",
            "CREATE TABLE tombstone (pair TEXT NOT NULL, ref TEXT NOT NULL, merged_into TEXT, at TEXT NOT NULL,"
            " PRIMARY KEY (pair, ref))",
            "CREATE TABLE run (id INTEGER PRIMARY KEY, pair TEXT NOT NULL, command TEXT NOT NULL,"
            " started TEXT NOT NULL, ended TEXT, exit_code INTEGER, counts TEXT)",
        ),
    ),
    # 0: nobody said that it was deleted; it only could not be found.
    ("0002-vanished", ("ALTER TABLE tombstone ADD COLUMN told INTEGER NOT NULL DEFAULT 1",)),
    (
        "0003-undo",
        (
            # What an update replaced. `before` is encrypted; its key is not in this file.
            "CREATE TABLE change (id INTEGER PRIMARY KEY, pair TEXT NOT NULL, run INTEGER NOT NULL, key TEXT NOT NULL,"
            " ref TEXT NOT NULL, what TEXT NOT NULL, name TEXT NOT NULL, before TEXT, after TEXT NOT NULL,"
            " at TEXT NOT NULL, undone INTEGER, UNIQUE (pair, key, what, name))",
            "CREATE INDEX change_run ON change (pair, run)",
            "CREATE INDEX change_at ON change (pair, at)",
            "CREATE INDEX intent_run ON intent (pair, run)",
        ),
    ),
    (
        "0004-forget",
        (
            # Who must not come back: keyed fingerprints of addresses and refs.
            "CREATE TABLE forgotten (pair TEXT NOT NULL, print TEXT NOT NULL, at TEXT NOT NULL,"
            " PRIMARY KEY (pair, print))",
        ),
    ),
    ("0005-change-ref", ("CREATE INDEX change_ref ON change (pair, ref)",)),
    # What a dirty record waits for: a right that the vendor did not grant when it was to be written.
    ("0006-rights", ("ALTER TABLE dirty ADD COLUMN awaits TEXT",)),
    (
        "0007-recent",
        (
            # What a poll showed less than the settle time ago, under the keyed fingerprints of what it is found by.
            "CREATE TABLE recent (pair TEXT NOT NULL, print TEXT NOT NULL, ref TEXT NOT NULL, at TEXT NOT NULL,"
            " PRIMARY KEY (pair, print, ref))",
            "CREATE INDEX recent_at ON recent (pair, at)",
        ),
    ),
    (
        "0008-note-version",
        (
            # The keyed fingerprint of the version in which a write left a note, where its answer told.
            "ALTER TABLE intent ADD COLUMN version TEXT NOT NULL DEFAULT ''",
            "CREATE INDEX intent_result ON intent (pair, result)",
        ),
    ),
)
