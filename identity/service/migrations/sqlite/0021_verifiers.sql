-- Operators of a verifier.

CREATE TABLE new_operators (
    id              TEXT PRIMARY KEY,
    name            TEXT NOT NULL UNIQUE,
    role            TEXT NOT NULL CHECK (role IN ('viewer', 'issuer', 'revoker', 'verifier', 'admin')),
    token_hash      TEXT NOT NULL UNIQUE,
    created_s       INTEGER NOT NULL
) STRICT;
INSERT INTO new_operators SELECT id, name, role, token_hash, created_s FROM operators;
DROP TABLE operators;
ALTER TABLE new_operators RENAME TO operators;
