-- Formats of templates, the authorization code, credentials that come later, and what became of them in wallets.

ALTER TABLE templates ADD COLUMN options TEXT NOT NULL DEFAULT '{}'; -- JSON: suite, key, certificates, approval

ALTER TABLE offers ADD COLUMN grant_type TEXT NOT NULL DEFAULT 'pre-authorized';
ALTER TABLE offers ADD COLUMN login_hash TEXT; -- what its user says to be let in, until it was said
CREATE UNIQUE INDEX offers_by_login ON offers (login_hash) WHERE login_hash IS NOT NULL;

ALTER TABLE issuances ADD COLUMN batch_of TEXT; -- the first of those that were issued by one request
ALTER TABLE issuances ADD COLUMN delivery TEXT; -- what the wallet said of it
CREATE INDEX issuances_by_batch ON issuances (batch_of) WHERE batch_of IS NOT NULL;

CREATE TABLE authorizations (
    name_hash     TEXT PRIMARY KEY,
    progress      TEXT NOT NULL, -- JSON
    code_hash     TEXT UNIQUE,
    offer_id      TEXT REFERENCES offers (id) ON DELETE CASCADE,
    attempts      INTEGER NOT NULL,
    expires_s     INTEGER NOT NULL
) STRICT;
CREATE INDEX authorizations_by_expiry ON authorizations (expires_s);

-- Proofs of possession that were used (DPoP).
CREATE TABLE used_proofs (
    proof_hash    TEXT PRIMARY KEY,
    expires_s     INTEGER NOT NULL
) STRICT;
CREATE INDEX used_proofs_by_expiry ON used_proofs (expires_s);

CREATE TABLE deferrals (
    id               TEXT PRIMARY KEY,
    transaction_hash TEXT NOT NULL UNIQUE,
    offer_id         TEXT NOT NULL REFERENCES offers (id) ON DELETE CASCADE,
    holders          TEXT NOT NULL, -- JSON: the keys that the wallet has shown
    state            TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'refused', 'issued')),
    created_s        INTEGER NOT NULL
) STRICT;
CREATE INDEX deferrals_by_state ON deferrals (state, created_s);
CREATE INDEX deferrals_by_offer ON deferrals (offer_id);

CREATE TABLE notifications (
    id_hash       TEXT PRIMARY KEY,
    offer_id      TEXT NOT NULL REFERENCES offers (id) ON DELETE CASCADE,
    issuance_id   TEXT NOT NULL REFERENCES issuances (id)
) STRICT;
CREATE INDEX notifications_by_offer ON notifications (offer_id);
