// Verifies Aval's credentials with npm `@sd-jwt/core`, and makes some for Aval to verify.

import { createHash, createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { SDJwtInstance } from '@sd-jwt/core';

const hasher = (data, algorithm) => {
  if (algorithm.toLowerCase() !== 'sha-256') throw new Error(`hash algorithm ${algorithm}`);
  return createHash('sha256').update(data).digest();
};

const hashOf = (jwk) => (jwk.kty === 'EC' ? 'sha256' : null);

const signerOf = (key) => {
  const hash = hashOf(key.export({ format: 'jwk' }));
  return (data) => sign(hash, Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
};

const check = (jwk, data, signature) => {
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  return verify(hashOf(jwk), Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'));
};

async function verifyOne(given, text, nonce, audience) {
  const library = new SDJwtInstance({
    hasher,
    hashAlg: 'sha-256',
    verifier: (data, signature) => check(given.issuerKey, data, signature),
    kbVerifier: (data, signature, payload) => check(payload.cnf.jwk, data, signature),
  });
  const result = await library.verify(text, { keyBindingNonce: nonce });
  if (result.header.typ !== given.typ || result.header.kid !== given.keyId) throw new Error('header');
  if (result.kb.payload.aud !== audience) throw new Error('audience');
  return result.payload;
}

async function make(given) {
  const issuer = generateKeyPairSync('ed25519');
  const holder = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const library = new SDJwtInstance({
    hasher,
    hashAlg: 'sha-256',
    saltGenerator: (length) => randomBytes(length).toString('base64url'),
    signer: signerOf(issuer.privateKey),
    signAlg: 'EdDSA',
    kbSigner: signerOf(holder.privateKey),
    kbSignAlg: 'ES256',
  });
  const { kty, crv, x, y } = holder.publicKey.export({ format: 'jwk' });
  const claims = {
    '@context': ['https://www.w3.org/ns/credentials/v2'],
    type: ['VerifiableCredential', 'AvalMembershipCredential'],
    issuer: given.issuer,
    ...(given.typ === 'dc+sd-jwt' && { iss: 'https://issuer.example', vct: 'https://issuer.example/membership' }),
    validFrom: '2026-01-01T00:00:00Z',
    credentialSubject: {
      role: ['member'],
      legalName: 'Contoso',
      address: { city: 'Tirana', country: 'AL' },
      languages: ['sq', 'en', 'de'],
    },
    cnf: { jwk: { kty, crv, x, y } },
  };
  const frame = {
    credentialSubject: {
      _sd: ['legalName', 'address'],
      _sd_decoy: 2,
      address: { _sd: ['city'] },
      languages: { _sd: [0, 1] },
    },
  };
  const header = { typ: given.typ, kid: given.keyId };
  const issued = await library.issue(claims, frame, { header });
  const choice = { credentialSubject: { address: { city: true }, languages: { 0: true } } };
  const payload = { iat: given.now, nonce: given.nonce, aud: given.audience };
  const presented = await library.present(issued, choice, { kb: { payload } });
  return { issuerKey: issuer.publicKey.export({ format: 'jwk' }), issued, presented };
}

const given = JSON.parse(readFileSync(0, 'utf8'));
const accepted = {};
for (const [name, text] of Object.entries(given.good)) {
  accepted[name] = await verifyOne(given, text, given.nonce, given.audience);
}
const refused = {};
for (const [name, text] of Object.entries(given.bad)) {
  refused[name] = await verifyOne(given, text, given.nonce, given.audience).then(() => false, () => true);
}
process.stdout.write(JSON.stringify({ accepted, refused, made: await make(given) }));
