-- What an issuer keeps: the offers it made, the sessions that redeem them, and what it issued.
-- Secrets (codes, tokens, nonces) are kept as SHA-256, so that a copy of the file redeems nothing.

CREATE TABLE offers (
    id              TEXT PRIMARY KEY,
    code_hash       TEXT NOT NULL UNIQUE,
    configuration   TEXT NOT NULL,
    subject         TEXT NOT NULL, -- emptied when the credential is issued: then it is in `issuances`
    session         TEXT NOT NULL,
    created_s       INTEGER NOT NULL,
    expires_s       INTEGER NOT NULL
) STRICT;
CREATE INDEX offers_by_expiry ON offers (expires_s);

CREATE TABLE access_tokens (
    token_hash      TEXT PRIMARY KEY,
    offer_id        TEXT NOT NULL REFERENCES offers (id) ON DELETE CASCADE,
    expires_s       INTEGER NOT NULL
) STRICT;
CREATE INDEX access_tokens_by_expiry ON access_tokens (expires_s);
CREATE INDEX access_tokens_by_offer ON access_tokens (offer_id);

CREATE TABLE nonces (
    nonce_hash      TEXT PRIMARY KEY,
    expires_s       INTEGER NOT NULL
) STRICT;
CREATE INDEX nonces_by_expiry ON nonces (expires_s);

CREATE TABLE issuances (
    id              TEXT PRIMARY KEY,
    offer_id        TEXT NOT NULL UNIQUE REFERENCES offers (id),
    credential_type TEXT NOT NULL,
    subject         TEXT NOT NULL,
    holder          TEXT NOT NULL,
    list            TEXT NOT NULL,
    list_index      INTEGER NOT NULL,
    issued_s        INTEGER NOT NULL,
    expires_s       INTEGER NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('valid', 'revoking', 'revoked')),
    revocation      TEXT,
    UNIQUE (list, list_index)
) STRICT;
CREATE INDEX issuances_by_time ON issuances (issued_s);
CREATE INDEX issuances_by_state ON issuances (state) WHERE state = 'revoking';

CREATE TABLE audit (
    sequence        INTEGER PRIMARY KEY AUTOINCREMENT,
    time_s          INTEGER NOT NULL,
    event           TEXT NOT NULL,
    subject         TEXT NOT NULL
) STRICT;
