// vc+jwt, vc+sd-jwt and dc+sd-jwt by @credo-ts/core: verifies what comes on the standard input, and makes the same for the
// other side. Everything is by did:key.
//
// Input: {credential, nonce, audience, good: {<name>: text}, bad: {<name>: {<what>: text}}}; a name is a format and an algorithm.
// Output: {accepted: {<name>: true or why not}, refused: {<name>: {<what>: true or false}}, made: {<name>: text}}.

import {
  ClaimFormat, DidKey, JsonTransformer, Kms, W3cV2Credential, W3cV2JwtVerifiableCredential, W3cV2SdJwtVerifiableCredential,
} from '@credo-ts/core';
import {newAgent} from './agent.mjs';

const TYPES = {EdDSA: {kty: 'OKP', crv: 'Ed25519'}, ES256: {kty: 'EC', crv: 'P-256'}, ES384: {kty: 'EC', crv: 'P-384'}};
const agent = await newAgent();

async function verify(name, text, {nonce, audience}) {
  const [format] = name.split(' ');
  let result;
  if(format === 'vc+jwt') {
    result = await agent.w3cV2Credentials.verifyCredential({credential: W3cV2JwtVerifiableCredential.fromCompact(text)});
  } else if(format === 'vc+sd-jwt') {
    const credential = W3cV2SdJwtVerifiableCredential.fromCompact(text);
    result = await agent.w3cV2Credentials.verifyCredential({credential});
  } else {
    result = await agent.sdJwtVc.verify({compactSdJwtVc: text, keyBinding: {nonce, audience}});
  }
  return (result.isValid ?? result.verified) || String(result.error?.stack ?? JSON.stringify(result));
}

async function newKey(algorithm) {
  const {keyId, publicJwk} = await agent.kms.createKey({type: TYPES[algorithm]});
  const didKey = new DidKey(Kms.PublicJwk.fromPublicJwk(publicJwk));
  const didUrl = `${didKey.did}#${didKey.publicJwk.fingerprint}`;
  const relativeKeyId = `#${didKey.publicJwk.fingerprint}`;
  await agent.dids.import({did: didKey.did, keys: [{kmsKeyId: keyId, didDocumentRelativeKeyId: relativeKeyId}]});
  return {did: didKey.did, didUrl, keyId, publicJwk: Kms.PublicJwk.fromPublicJwk(publicJwk)};
}

async function make(name, {credential: unsigned, nonce, audience}) {
  const [format, alg] = name.split(' ');
  const issuer = await newKey(alg);
  if(format === 'dc+sd-jwt') {
    const holder = await newKey('ES256');
    const {compact} = await agent.sdJwtVc.sign({
      payload: {vct: 'https://issuer.example/diploma', given_name: 'Ëndri', family_name: 'Hoxha'},
      disclosureFrame: {_sd: ['given_name', 'family_name']},
      issuer: {method: 'did', didUrl: issuer.didUrl},
      holder: {method: 'jwk', jwk: holder.publicJwk},
    });
    const sdJwtVc = {...agent.sdJwtVc.fromCompact(compact), kmsKeyId: holder.keyId};
    const verifierMetadata = {audience, nonce, issuedAt: Math.floor(Date.now() / 1000)};
    return agent.sdJwtVc.present({sdJwtVc, presentationFrame: {given_name: true}, verifierMetadata});
  }
  const made = await agent.w3cV2Credentials.signCredential({
    format: format === 'vc+jwt' ? ClaimFormat.JwtW3cVc : ClaimFormat.SdJwtW3cVc, alg,
    credential: JsonTransformer.fromJSON({...unsigned, issuer: issuer.did}, W3cV2Credential), verificationMethod: issuer.didUrl,
    ...(format === 'vc+sd-jwt' && {disclosureFrame: {credentialSubject: {_sd: ['alumniOf']}}}),
  });
  return made.encoded;
}

async function read() {
  const chunks = [];
  for await (const chunk of process.stdin) {
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString());
}

const input = await read();
const answer = {accepted: {}, refused: {}, made: {}};
for(const [name, text] of Object.entries(input.good)) {
  answer.accepted[name] = await verify(name, text, input).catch(error => String(error.stack));
  answer.refused[name] = {};
  for(const [what, forged] of Object.entries(input.bad[name])) {
    answer.refused[name][what] = await verify(name, forged, input).then(verified => verified !== true, () => true);
  }
  answer.made[name] = await make(name, input).catch(error => ({failed: String(error.stack)}));
}
console.log(JSON.stringify(answer));
process.exit(0);
