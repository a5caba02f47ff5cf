// How many credentials a second each of two verifiers answers for over HTTP, with the status from a list that it has at
// hand: one after the other, by the same client, with the same credentials.
//
//   node bench.mjs INSTANCES SECONDS NAME=URL NAME=URL      INSTANCES is what the sandbox answers at /

import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {spawnSync} from 'node:child_process';
import {tmpdir} from 'node:os';

const CREDENTIALS = 200;
const CONNECTIONS = 8;
const REQUESTS = new URL('requests.lua', import.meta.url).pathname;

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

// The load is made by wrk: a client in JavaScript would take as much of the machine as what it measures.
function rate(url, bodies, span) {
  const options = ['--threads', '1', '--connections', String(CONNECTIONS), '--duration', `${span}s`, '--script', REQUESTS, url];
  const {status, stdout, stderr, error} = spawnSync('wrk', options, {encoding: 'utf8', env: {...process.env, BODIES: bodies}});
  const found = /Requests\/sec:\s+([0-9.]+)/.exec(stdout);
  // Wrk names what was not 200 and what did not arrive, and only then.
  if(error || status !== 0 || !found || /Non-2xx|Socket errors/.test(stdout)) {
    throw new Error(`${url}: ${error ?? ''}${stdout ?? ''}${stderr ?? ''}`);
  }
  return Number(found[1]);
}

const credentials = [];
for(let number = 0; number < CREDENTIALS; number++) {
  credentials.push(await issue(number));
}
const revoked = credentials.pop();
await ask(issuer.status, {credentialId: revoked.id, credentialStatus: {type: 'BitstringStatusListEntry', statusPurpose: 'revocation'}});
await new Promise(resolve => setTimeout(resolve, 2500));
const folder = mkdtempSync(join(tmpdir(), 'aval-bench-'));
const bodies = join(folder, 'bodies');
writeFileSync(bodies, credentials.map(verifiableCredential => `${JSON.stringify({verifiableCredential})}\n`).join(''));
const rates = [];
for(const [name, url] of targets.map(target => target.split('='))) {
  const refused = await ask(url, {verifiableCredential: revoked});
  if(refused.status !== 400) {
    throw new Error(`${name} does not look at the status: ${refused.text}`);
  }
  rate(url, bodies, 1);
  rates.push(rate(url, bodies, Number(seconds)));
  console.log(`${name.padEnd(24)} ${rates.at(-1).toFixed(0).padStart(8)} verified a second`);
}
console.log(`${'ratio'.padEnd(24)} ${(rates[0] / rates[1]).toFixed(1).padStart(8)}`);
rmSync(folder, {recursive: true});
