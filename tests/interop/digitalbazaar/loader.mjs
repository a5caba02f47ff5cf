// Contexts from packages, and documents of did:key. Nothing is fetched.

import * as didContext from 'did-context';
import {contexts as credentialContexts} from '@digitalbazaar/credentials-context';
import dataIntegrityContext from '@digitalbazaar/data-integrity-context';
import multikeyContext from '@digitalbazaar/multikey-context';

const contexts = new Map([
  ...credentialContexts, ...didContext.contexts, ...dataIntegrityContext.contexts, ...multikeyContext.contexts,
]);
const MULTIKEY = 'https://w3id.org/security/multikey/v1';

export async function documentLoader(url) {
  const document = contexts.get(url);
  if(document) {
    return {contextUrl: null, documentUrl: url, document};
  }
  const [did, fragment] = url.split('#');
  const multikey = did.startsWith('did:key:') && did.slice('did:key:'.length);
  if(!multikey) {
    throw new Error(`${url} is not here`);
  }
  const method = {id: `${did}#${multikey}`, type: 'Multikey', controller: did, publicKeyMultibase: multikey};
  const whole = {
    '@context': ['https://www.w3.org/ns/did/v1', MULTIKEY], id: did, verificationMethod: [method],
    assertionMethod: [method.id], authentication: [method.id],
  };
  return {contextUrl: null, documentUrl: url, document: fragment ? {'@context': MULTIKEY, ...method} : whole};
}
