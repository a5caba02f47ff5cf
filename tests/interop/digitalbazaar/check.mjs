// Data Integrity by @digitalbazaar/vc and its cryptosuites, vc+jwt by jose: verifies what comes on the standard input,
// and makes the same for the other side.
//
// Input: {credential, plain, old, challenge, domain, good: {<name>: secured}, bad: {<name>: {<what>: secured}},
// jwtKeys: {<algorithm>: JWK}}: `plain` is `credential` with the base context alone, `old` one of VCDM 1.1. A name begins with
// its cryptosuite or is "vc+jwt <algorithm>". Output: {accepted: {<name>: true or why not},
// refused: {<name>: {<what>: true or false}}, made: {<name>: secured}, jwtKeys: {<algorithm>: JWK}}.

import * as EcdsaMultikey from '@digitalbazaar/ecdsa-multikey';
import * as Ed25519Multikey from '@digitalbazaar/ed25519-multikey';
import * as ecdsaJcs2019 from '@digitalbazaar/ecdsa-jcs-2019-cryptosuite';
import * as ecdsaSd2023 from '@digitalbazaar/ecdsa-sd-2023-cryptosuite';
import * as vc from '@digitalbazaar/vc';
import {SignJWT, exportJWK, generateKeyPair, importJWK, jwtVerify} from 'jose';
import {cryptosuite as ecdsaRdfc2019} from '@digitalbazaar/ecdsa-rdfc-2019-cryptosuite';
import {cryptosuite as eddsaRdfc2022} from '@digitalbazaar/eddsa-rdfc-2022-cryptosuite';
import {createSignCryptosuite, createVerifyCryptosuite} from '@digitalbazaar/eddsa-jcs-2022-cryptosuite';
import {DataIntegrityProof} from '@digitalbazaar/data-integrity';
import {Ed25519Signature2020} from '@digitalbazaar/ed25519-signature-2020';
import {Ed25519VerificationKey2020} from '@digitalbazaar/ed25519-verification-key-2020';
import {documentLoader} from './loader.mjs';

const verifying = {
  'eddsa-rdfc-2022': () => eddsaRdfc2022,
  'eddsa-jcs-2022': createVerifyCryptosuite,
  'ecdsa-rdfc-2019': () => ecdsaRdfc2019,
  'ecdsa-jcs-2019': ecdsaJcs2019.createVerifyCryptosuite,
  'ecdsa-sd-2023': ecdsaSd2023.createVerifyCryptosuite,
};

async function verify(name, secured, {jwtKeys, challenge, domain}) {
  const [format, algorithm] = name.split(' ');
  if(format === 'vc+jwt') {
    const key = await importJWK(jwtKeys[algorithm], algorithm);
    const {payload} = await jwtVerify(secured, key, {typ: 'vc+jwt', algorithms: [algorithm]});
    return payload.credentialSubject ? true : 'no subject';
  }
  const suite = format === 'Ed25519Signature2020' ? new Ed25519Signature2020() :
    new DataIntegrityProof({cryptosuite: verifying[format]()});
  const {verified, error} = secured.type.includes('VerifiablePresentation') ?
    await vc.verify({presentation: secured, challenge, domain, suite, documentLoader}) :
    await vc.verifyCredential({credential: secured, suite, documentLoader});
  return verified || String(error?.errors?.map(one => one.stack ?? one).join('; ') ?? error);
}

async function keyPair(curve) {
  const pair = curve === 'Ed25519' ? await Ed25519Multikey.generate() : await EcdsaMultikey.generate({curve});
  const controller = `did:key:${pair.publicKeyMultibase}`;
  Object.assign(pair, {controller, id: `${controller}#${pair.publicKeyMultibase}`});
  return pair;
}

async function make({credential: unsigned, plain, old, challenge, domain}) {
  const made = {};
  const sign = async (name, curve, cryptosuite, unsecured = unsigned) => {
    const pair = await keyPair(curve);
    const credential = {...structuredClone(unsecured), issuer: pair.controller};
    const suite = new DataIntegrityProof({signer: pair.signer(), cryptosuite});
    made[name] = await vc.issue({credential, suite, documentLoader});
  };
  await sign('eddsa-rdfc-2022', 'Ed25519', eddsaRdfc2022);
  await sign('eddsa-jcs-2022', 'Ed25519', createSignCryptosuite());
  await sign('ecdsa-rdfc-2019 P-256', 'P-256', ecdsaRdfc2019);
  await sign('ecdsa-rdfc-2019 P-384', 'P-384', ecdsaRdfc2019);
  await sign('ecdsa-jcs-2019 P-256', 'P-256', ecdsaJcs2019.createSignCryptosuite(), plain);
  await sign('ecdsa-jcs-2019 P-384', 'P-384', ecdsaJcs2019.createSignCryptosuite(), plain);
  await sign('ecdsa-sd-2023', 'P-256', ecdsaSd2023.createSignCryptosuite({mandatoryPointers: ['/issuer']}));
  const selectivePointers = ['/credentialSubject/alumniOf'];
  const suite = new DataIntegrityProof({cryptosuite: ecdsaSd2023.createDiscloseCryptosuite({selectivePointers})});
  made['ecdsa-sd-2023'] = await vc.derive({verifiableCredential: made['ecdsa-sd-2023'], suite, documentLoader});

  const holder = await keyPair('Ed25519');
  const presentation = vc.createPresentation({verifiableCredential: made['eddsa-rdfc-2022'], holder: holder.controller});
  made['eddsa-rdfc-2022 presentation'] = await vc.signPresentation({
    presentation, challenge, domain, documentLoader,
    suite: new DataIntegrityProof({signer: holder.signer(), cryptosuite: eddsaRdfc2022}),
  });

  const key = await Ed25519VerificationKey2020.generate();
  key.controller = `did:key:${key.publicKeyMultibase}`;
  key.id = `${key.controller}#${key.publicKeyMultibase}`;
  const credential = {...structuredClone(old), issuer: key.controller};
  made.Ed25519Signature2020 = await vc.issue({credential, suite: new Ed25519Signature2020({key}), documentLoader});
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
const answer = {accepted: {}, refused: {}, jwtKeys: {}, made: await make(input)};
for(const [name, secured] of Object.entries(input.good)) {
  answer.accepted[name] = await verify(name, secured, input).catch(error => String(error.stack));
}
for(const [name, forged] of Object.entries(input.bad)) {
  answer.refused[name] = {};
  for(const [what, secured] of Object.entries(forged)) {
    answer.refused[name][what] = await verify(name, secured, input).then(verified => verified !== true, () => true);
  }
}
for(const algorithm of Object.keys(input.jwtKeys)) {
  const {publicKey, privateKey} = await generateKeyPair(algorithm);
  answer.jwtKeys[algorithm] = await exportJWK(publicKey);
  answer.made[`vc+jwt ${algorithm}`] = await new SignJWT({...input.credential, issuer: 'did:example:other'})
    .setProtectedHeader({alg: algorithm, typ: 'vc+jwt', cty: 'vc', kid: 'did:example:other#key'}).sign(privateKey);
}
console.log(JSON.stringify(answer));
