// JWT VC 1.1 by an agent of Veramo with keys in memory: verifies what comes on the standard input, and makes the same for the
// other side. Everything is by did:key.
//
// Input: {credential, good: {<name>: text}, bad: {<name>: {<what>: text}}}. Output: {accepted: {<name>: true or why not},
// refused: {<name>: {<what>: true or false}}, made: {<name>: text}}.

import {MemoryKeyStore, MemoryPrivateKeyStore, KeyManager} from '@veramo/key-manager';
import {DIDManager, MemoryDIDStore} from '@veramo/did-manager';
import {KeyDIDProvider, getDidKeyResolver} from '@veramo/did-provider-key';
import {CredentialPlugin} from '@veramo/credential-w3c';
import {CredentialProviderJWT} from '@veramo/credential-jwt';
import {DIDResolverPlugin} from '@veramo/did-resolver';
import {KeyManagementSystem} from '@veramo/kms-local';
import {Resolver} from 'did-resolver';
import {createAgent} from '@veramo/core';

const agent = createAgent({
  plugins: [
    new KeyManager({store: new MemoryKeyStore(), kms: {local: new KeyManagementSystem(new MemoryPrivateKeyStore())}}),
    new DIDManager({
      store: new MemoryDIDStore(), defaultProvider: 'did:key', providers: {'did:key': new KeyDIDProvider({defaultKms: 'local'})},
    }),
    new DIDResolverPlugin({resolver: new Resolver(getDidKeyResolver())}),
    new CredentialPlugin([new CredentialProviderJWT()]),
  ],
});

async function verify(credential) {
  const {verified, error} = await agent.verifyCredential({credential});
  return verified || JSON.stringify(error);
}

async function make(unsigned) {
  const {did} = await agent.didManagerCreate({options: {keyType: 'Ed25519'}});
  const credential = {...unsigned, issuer: {id: did}};
  const made = await agent.createVerifiableCredential({credential, proofFormat: 'jwt'});
  return made.proof.jwt;
}

const chunks = [];
for await (const chunk of process.stdin) {
  chunks.push(chunk);
}
const input = JSON.parse(Buffer.concat(chunks).toString());
const answer = {accepted: {}, refused: {}, made: {}};
for(const [name, text] of Object.entries(input.good)) {
  answer.accepted[name] = await verify(text).catch(error => String(error.stack));
  answer.refused[name] = {};
  for(const [what, forged] of Object.entries(input.bad[name])) {
    answer.refused[name][what] = await verify(forged).then(verified => verified !== true, () => true);
  }
  answer.made[name] = await make(input.credential).catch(error => ({failed: String(error.stack)}));
}
console.log(JSON.stringify(answer));
process.exit(0);
