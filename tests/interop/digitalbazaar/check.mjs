// Data Integrity by @digitalbazaar/vc and its cryptosuites, vc+jwt by jose: verifies what comes on the standard input,
// and makes the same for the other side.
//
// Input: {credential, good: {<name>: secured}, bad: {<name>: secured}, jwtKey: JWK}. A name begins with its cryptosuite, or is
// vc+jwt. Output: {accepted: {<name>: reason or true}, refused: {<name>: true or false}, made: {<name>: secured}, jwtKey: JWK}.

import * as EcdsaMultikey from '@digitalbazaar/ecdsa-multikey';
import * as Ed25519Multikey from '@digitalbazaar/ed25519-multikey';
import * as ecdsaSd2023 from '@digitalbazaar/ecdsa-sd-2023-cryptosuite';
import * as vc from '@digitalbazaar/vc';
import {SignJWT, exportJWK, generateKeyPair, importJWK, jwtVerify} from 'jose';
import {cryptosuite as ecdsaRdfc2019} from '@digitalbazaar/ecdsa-rdfc-2019-cryptosuite';
import {cryptosuite as eddsaRdfc2022} from '@digitalbazaar/eddsa-rdfc-2022-cryptosuite';
import {createSignCryptosuite, createVerifyCryptosuite} from '@digitalbazaar/eddsa-jcs-2022-cryptosuite';
import {DataIntegrityProof} from '@digitalbazaar/data-integrity';
import {documentLoader} from './loader.mjs';

const verifying = {
  'eddsa-rdfc-2022': () => eddsaRdfc2022,
  'eddsa-jcs-2022': createVerifyCryptosuite,
  'ecdsa-rdfc-2019': () => ecdsaRdfc2019,
  'ecdsa-sd-2023': ecdsaSd2023.createVerifyCryptosuite,
};

async function verify(name, secured, jwtKey) {
  if(name.startsWith('vc+jwt')) {
    const {payload} = await jwtVerify(secured, await importJWK(jwtKey, jwtKey.crv === 'Ed25519' ? 'EdDSA' : 'ES256'), {typ: 'vc+jwt'});
    return payload.credentialSubject ? true : 'no subject';
  }
  const cryptosuite = verifying[name.split(' ')[0]]();
  const suite = new DataIntegrityProof({cryptosuite});
  const {verified, error} = await vc.verifyCredential({credential: secured, suite, documentLoader});
  return verified || String(error?.errors?.map(one => one.stack ?? one).join('; ') ?? error);
}

async function keyPair(curve) {
  const pair = curve === 'Ed25519' ? await Ed25519Multikey.generate() : await EcdsaMultikey.generate({curve});
  const controller = `did:key:${pair.publicKeyMultibase}`;
  Object.assign(pair, {controller, id: `${controller}#${pair.publicKeyMultibase}`});
  return pair;
}

async function make(unsigned) {
  const made = {};
  const sign = async (name, curve, cryptosuite) => {
    const pair = await keyPair(curve);
    const credential = {...structuredClone(unsigned), issuer: pair.controller};
    const suite = new DataIntegrityProof({signer: pair.signer(), cryptosuite});
    made[name] = await vc.issue({credential, suite, documentLoader});
  };
  await sign('eddsa-rdfc-2022', 'Ed25519', eddsaRdfc2022);
  await sign('eddsa-jcs-2022', 'Ed25519', createSignCryptosuite());
  await sign('ecdsa-rdfc-2019 P-256', 'P-256', ecdsaRdfc2019);
  await sign('ecdsa-rdfc-2019 P-384', 'P-384', ecdsaRdfc2019);
  await sign('ecdsa-sd-2023', 'P-256', ecdsaSd2023.createSignCryptosuite({mandatoryPointers: ['/issuer']}));
  const selectivePointers = ['/credentialSubject/alumniOf'];
  const suite = new DataIntegrityProof({cryptosuite: ecdsaSd2023.createDiscloseCryptosuite({selectivePointers})});
  made['ecdsa-sd-2023'] = await vc.derive({verifiableCredential: made['ecdsa-sd-2023'], suite, documentLoader});
  return made;
}

async function read() {
  const chunks = [];
  for await (const chunk of process.stdin) {
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString());
}

const input = await read();
const answer = {accepted: {}, refused: {}, made: await make(input.credential)};
for(const [name, secured] of Object.entries(input.good)) {
  answer.accepted[name] = await verify(name, secured, input.jwtKey).catch(error => String(error.stack));
}
for(const [name, secured] of Object.entries(input.bad)) {
  answer.refused[name] = await verify(name, secured, input.jwtKey).then(verified => verified !== true, () => true);
}
const {publicKey, privateKey} = await generateKeyPair('ES256');
answer.jwtKey = await exportJWK(publicKey);
answer.made['vc+jwt'] = await new SignJWT({...input.credential, issuer: 'did:example:other'})
  .setProtectedHeader({alg: 'ES256', typ: 'vc+jwt', cty: 'vc', kid: 'did:example:other#key'}).sign(privateKey);
console.log(JSON.stringify(answer));
