-- Operators of a verifier.

ALTER TABLE operators DROP CONSTRAINT operators_role_check;
ALTER TABLE operators ADD CONSTRAINT operators_role_check
    CHECK (role IN ('viewer', 'issuer', 'revoker', 'verifier', 'admin'));
