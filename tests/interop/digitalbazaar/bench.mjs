// How many credentials a second each of two verifiers answers for over HTTP, with the status from a list that it has at
// hand: one after the other, by the same client, with the same credentials.
//
//   node bench.mjs INSTANCES SECONDS NAME=URL NAME=URL      INSTANCES is what the sandbox answers at /

import {Agent, request} from 'node:http';
import {readFileSync} from 'node:fs';

const CREDENTIALS = 200;
const CONNECTIONS = 8;

const [file, seconds, ...targets] = process.argv.slice(2);
const issuer = JSON.parse(readFileSync(file)).instances.find(({name}) => name === 'revocable');

async function ask(url, body) {
  const answer = await fetch(url, {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(body)});
  return {status: answer.status, text: await answer.text()};
}

async function issue(number) {
  const credential = {
    '@context': ['https://www.w3.org/ns/credentials/v2', {alumniOf: 'https://schema.org/alumniOf'}],
    type: ['VerifiableCredential'], issuer: issuer.issuer, validFrom: '2026-01-01T00:00:00Z', name: `Alumni Credential ${number}`,
    credentialSubject: {id: `did:example:person${number}`, alumniOf: 'The School of Examples'},
  };
  const {status, text} = await ask(issuer.issue, {credential});
  if(status !== 201) {
    throw new Error(text);
  }
  return JSON.parse(text).verifiableCredential;
}

function verify(agent, url, body) {
  return new Promise((resolve, reject) => {
    const headers = {'content-type': 'application/json', 'content-length': Buffer.byteLength(body)};
    const asked = request(url, {agent, method: 'POST', headers}, answer => {
      answer.on('data', () => {}).on('end', () => resolve(answer.statusCode));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

async function rate(url, bodies, span) {
  const agent = new Agent({keepAlive: true, maxSockets: CONNECTIONS});
  const end = Date.now() + span;
  const begin = Date.now();
  let count = 0;
  await Promise.all(Array.from({length: CONNECTIONS}, async () => {
    while(Date.now() < end) {
      const status = await verify(agent, url, bodies[count++ % bodies.length]);
      if(status !== 200) {
        throw new Error(`${url} answered ${status}`);
      }
    }
  }));
  agent.destroy();
  return count * 1000 / (Date.now() - begin);
}

const credentials = [];
for(let number = 0; number < CREDENTIALS; number++) {
  credentials.push(await issue(number));
}
const revoked = credentials.pop();
await ask(issuer.status, {credentialId: revoked.id, credentialStatus: {type: 'BitstringStatusListEntry', statusPurpose: 'revocation'}});
await new Promise(resolve => setTimeout(resolve, 2500));
const bodies = credentials.map(verifiableCredential => JSON.stringify({verifiableCredential}));
const rates = [];
for(const [name, url] of targets.map(target => target.split('='))) {
  const refused = await ask(url, {verifiableCredential: revoked});
  if(refused.status !== 400) {
    throw new Error(`${name} does not look at the status: ${refused.text}`);
  }
  await rate(url, bodies, 1000);
  rates.push(await rate(url, bodies, Number(seconds) * 1000));
  console.log(`${name.padEnd(24)} ${rates.at(-1).toFixed(0).padStart(8)} verified a second`);
}
console.log(`${'ratio'.padEnd(24)} ${(rates[0] / rates[1]).toFixed(1).padStart(8)}`);
