-- Questions of relying parties and what came of them (OpenID4VP).

CREATE TABLE presentations (
    id        TEXT PRIMARY KEY,
    session   TEXT NOT NULL, -- JSON, with the key for the answer
    expires_s INTEGER NOT NULL
) STRICT;

CREATE INDEX presentations_by_end ON presentations (expires_s);
