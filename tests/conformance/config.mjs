// Writes the localConfig.cjs that the public suites read: which endpoint answers for which tag.
//
//   node config.mjs INSTANCES URL        INSTANCES is what the sandbox answers at /

import {readFileSync} from 'node:fs';

const [file, url] = process.argv.slice(2);
const {instances} = JSON.parse(readFileSync(file, 'utf8'));
const versions = {vc: ['1.1', '2.0']};
// The tags under which the suites look for an instance.
const tags = {
  'eddsa-rdfc-2022': ['eddsa-rdfc-2022', 'vc2.0', 'vc-api'],
  'eddsa-jcs-2022': ['eddsa-jcs-2022'],
  'ecdsa-rdfc-2019-p256': ['ecdsa-rdfc-2019'],
  'ecdsa-rdfc-2019-p384': ['ecdsa-rdfc-2019'],
  'ecdsa-jcs-2019-p256': ['ecdsa-jcs-2019'],
  'ecdsa-jcs-2019-p384': ['ecdsa-jcs-2019'],
  'ecdsa-sd-2023': ['ecdsa-sd-2023'],
  'ed25519-signature-2020': ['vc-api', 'JWT'],
  'vc-jwt-p256': ['EnvelopingProof'],
  status: ['BitstringStatusList', 'Revocation', 'Suspension'],
};
const keys = {'P-256': ['P-256'], 'P-384': ['P-384'], Ed25519: undefined};
const only = process.env.ONLY_INSTANCES?.split(',');
const used = instances.filter(({name}) => tags[name] && (!only || only.includes(name)));
const endpoint = (instance, address) => ({
  id: instance.issuer, endpoint: address, tags: tags[instance.name], supports: {...versions, keyTypes: keys[instance.keyType]},
  supportedEcdsaKeyTypes: keys[instance.keyType],
});
const all = [...new Set(used.flatMap(({name}) => tags[name]))];
const verifier = (path, types) => ({
  id: 'did:example:verifier', endpoint: `${url}/verifier${path}`, tags: all, supports: {...versions, keyTypes: types},
  supportedEcdsaKeyTypes: types,
});
const config = {
  settings: {enableInteropTests: false, testAllImplementations: false},
  implementations: [{
    name: 'Aval',
    implementation: 'aval-identityd',
    issuers: used.map(one => endpoint(one, one.issue)),
    vcHolders: used.filter(one => one.derive).map(one => ({...endpoint(one, one.derive), tags: ['vcHolder', ...tags[one.name]]})),
    verifiers: [verifier('/credentials/verify', ['P-256', 'P-384'])],
    vpVerifiers: [verifier('/presentations/verify')],
  }],
};
console.log(`module.exports = ${JSON.stringify(config, null, 2)};`);
