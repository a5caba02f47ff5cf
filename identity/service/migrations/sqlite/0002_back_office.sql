-- Several status entries for one credential, templates, subjects, operators, and what several instances share.

CREATE TABLE templates (
    id              TEXT PRIMARY KEY,
    credential_type TEXT NOT NULL,
    display_name    TEXT NOT NULL,
    format          TEXT NOT NULL,
    validity_days   INTEGER NOT NULL,
    schema_id       TEXT,
    suspendable     INTEGER NOT NULL,
    claims          TEXT NOT NULL,
    created_s       INTEGER NOT NULL,
    retired_s       INTEGER
) STRICT;

CREATE TABLE subjects (
    id              TEXT PRIMARY KEY,
    reference       TEXT NOT NULL UNIQUE, -- the issuer's own number for them
    claims          TEXT NOT NULL,
    created_s       INTEGER NOT NULL,
    changed_s       INTEGER NOT NULL
) STRICT;

CREATE TABLE new_issuances (
    id              TEXT PRIMARY KEY,
    offer_id        TEXT UNIQUE REFERENCES offers (id), -- none when it was issued without an offer
    template_id     TEXT REFERENCES templates (id),
    subject_id      TEXT REFERENCES subjects (id) ON DELETE SET NULL,
    replaces        TEXT,
    credential_id   TEXT NOT NULL, -- the credential's own `id`; clients may give the same one twice
    credential_type TEXT NOT NULL,
    format          TEXT NOT NULL,
    subject         TEXT NOT NULL,
    holder          TEXT NOT NULL,
    key_id          TEXT NOT NULL,
    issued_s        INTEGER NOT NULL,
    expires_s       INTEGER NOT NULL,
    state           TEXT NOT NULL
        CHECK (state IN ('valid', 'revoking', 'revoked', 'suspending', 'suspended', 'resuming'))
) STRICT;
INSERT INTO new_issuances
    (id, offer_id, credential_id, credential_type, format, subject, holder, key_id, issued_s, expires_s, state)
    SELECT id, offer_id, 'urn:uuid:' || id, credential_type, 'vc+sd-jwt', subject, holder, '', issued_s, expires_s, state
    FROM issuances;

CREATE TABLE status_entries (
    issuance_id     TEXT NOT NULL REFERENCES new_issuances (id),
    purpose         TEXT NOT NULL,
    list            TEXT NOT NULL,
    list_index      INTEGER NOT NULL,
    value           INTEGER NOT NULL, -- final on the ledger
    wanted          INTEGER NOT NULL, -- differs while the ledger is asked
    changed_by      TEXT,             -- the ledger transaction, from the moment before it was sent
    PRIMARY KEY (issuance_id, purpose),
    UNIQUE (list, list_index)
) STRICT;
INSERT INTO status_entries (issuance_id, purpose, list, list_index, value, wanted, changed_by)
    SELECT id, 'revocation', list, list_index, state = 'revoked', state <> 'valid', revocation FROM issuances;
CREATE INDEX status_entries_open ON status_entries (issuance_id) WHERE wanted <> value;

DROP TABLE issuances;
ALTER TABLE new_issuances RENAME TO issuances;
CREATE INDEX issuances_by_time ON issuances (issued_s, id);
CREATE INDEX issuances_by_state ON issuances (state, issued_s);
CREATE INDEX issuances_by_subject ON issuances (subject_id);
CREATE INDEX issuances_by_credential ON issuances (credential_id, issued_s);
CREATE INDEX issuances_by_holder ON issuances (holder);

-- Counts changes of a status list, so that every instance notices those of the others.
CREATE TABLE lists (
    uri             TEXT PRIMARY KEY,
    generation      INTEGER NOT NULL
) STRICT;

-- What one instance does for all of them.
CREATE TABLE leases (
    name            TEXT PRIMARY KEY,
    holder          TEXT NOT NULL,
    expires_s       INTEGER NOT NULL
) STRICT;

-- What all instances agree on, such as the key that signs.
CREATE TABLE settings (
    name            TEXT PRIMARY KEY,
    value           TEXT NOT NULL
) STRICT;

CREATE TABLE operators (
    id              TEXT PRIMARY KEY,
    name            TEXT NOT NULL UNIQUE,
    role            TEXT NOT NULL CHECK (role IN ('viewer', 'issuer', 'revoker', 'admin')),
    token_hash      TEXT NOT NULL UNIQUE,
    created_s       INTEGER NOT NULL
) STRICT;

ALTER TABLE offers ADD COLUMN template_id TEXT REFERENCES templates (id);
ALTER TABLE offers ADD COLUMN subject_id TEXT REFERENCES subjects (id) ON DELETE SET NULL;
ALTER TABLE offers ADD COLUMN replaces TEXT;
ALTER TABLE audit ADD COLUMN operator TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN detail TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_by_subject ON audit (subject, sequence);
