-- What an issuer keeps. Secrets (codes, tokens, nonces) are kept as SHA-256, so that a copy redeems nothing.

CREATE TABLE templates (
    id              TEXT PRIMARY KEY,
    credential_type TEXT NOT NULL,
    display_name    TEXT NOT NULL,
    format          TEXT NOT NULL,
    validity_days   BIGINT NOT NULL,
    schema_id       TEXT,
    suspendable     BIGINT NOT NULL,
    claims          TEXT NOT NULL,
    created_s       BIGINT NOT NULL,
    retired_s       BIGINT
);

CREATE TABLE subjects (
    id              TEXT PRIMARY KEY,
    reference       TEXT NOT NULL UNIQUE, -- the issuer's own number for them
    claims          TEXT NOT NULL,
    created_s       BIGINT NOT NULL,
    changed_s       BIGINT NOT NULL
);

CREATE TABLE offers (
    id              TEXT PRIMARY KEY,
    code_hash       TEXT NOT NULL UNIQUE,
    configuration   TEXT NOT NULL,
    subject         TEXT NOT NULL, -- emptied when the credential is issued: then it is in `issuances`
    session         TEXT NOT NULL,
    created_s       BIGINT NOT NULL,
    expires_s       BIGINT NOT NULL,
    template_id     TEXT REFERENCES templates (id),
    subject_id      TEXT REFERENCES subjects (id) ON DELETE SET NULL,
    replaces        TEXT
);
CREATE INDEX offers_by_expiry ON offers (expires_s);

CREATE TABLE access_tokens (
    token_hash      TEXT PRIMARY KEY,
    offer_id        TEXT NOT NULL REFERENCES offers (id) ON DELETE CASCADE,
    expires_s       BIGINT NOT NULL
);
CREATE INDEX access_tokens_by_expiry ON access_tokens (expires_s);
CREATE INDEX access_tokens_by_offer ON access_tokens (offer_id);

CREATE TABLE nonces (
    nonce_hash      TEXT PRIMARY KEY,
    expires_s       BIGINT NOT NULL
);
CREATE INDEX nonces_by_expiry ON nonces (expires_s);

CREATE TABLE issuances (
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
    issued_s        BIGINT NOT NULL,
    expires_s       BIGINT NOT NULL,
    state           TEXT NOT NULL
        CHECK (state IN ('valid', 'revoking', 'revoked', 'suspending', 'suspended', 'resuming'))
);
CREATE INDEX issuances_by_time ON issuances (issued_s, id);
CREATE INDEX issuances_by_state ON issuances (state, issued_s);
CREATE INDEX issuances_by_subject ON issuances (subject_id);
CREATE INDEX issuances_by_credential ON issuances (credential_id, issued_s);
CREATE INDEX issuances_by_holder ON issuances (holder);

CREATE TABLE status_entries (
    issuance_id     TEXT NOT NULL REFERENCES issuances (id),
    purpose         TEXT NOT NULL,
    list            TEXT NOT NULL,
    list_index      BIGINT NOT NULL,
    value           BIGINT NOT NULL, -- final on the ledger
    wanted          BIGINT NOT NULL, -- differs while the ledger is asked
    changed_by      TEXT,            -- the ledger transaction, from the moment before it was sent
    PRIMARY KEY (issuance_id, purpose),
    UNIQUE (list, list_index)
);
CREATE INDEX status_entries_open ON status_entries (issuance_id) WHERE wanted <> value;

-- Counts changes of a status list, so that every instance notices those of the others.
CREATE TABLE lists (
    uri             TEXT PRIMARY KEY,
    generation      BIGINT NOT NULL
);

-- What one instance does for all of them.
CREATE TABLE leases (
    name            TEXT PRIMARY KEY,
    holder          TEXT NOT NULL,
    expires_s       BIGINT NOT NULL
);

-- What all instances agree on, such as the key that signs.
CREATE TABLE settings (
    name            TEXT PRIMARY KEY,
    value           TEXT NOT NULL
);

CREATE TABLE operators (
    id              TEXT PRIMARY KEY,
    name            TEXT NOT NULL UNIQUE,
    role            TEXT NOT NULL CHECK (role IN ('viewer', 'issuer', 'revoker', 'admin')),
    token_hash      TEXT NOT NULL UNIQUE,
    created_s       BIGINT NOT NULL
);

CREATE TABLE audit (
    sequence        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time_s          BIGINT NOT NULL,
    event           TEXT NOT NULL,
    subject         TEXT NOT NULL,
    operator        TEXT NOT NULL DEFAULT '',
    detail          TEXT NOT NULL DEFAULT ''
);
CREATE INDEX audit_by_subject ON audit (subject, sequence);
