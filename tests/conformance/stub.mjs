// A server that always accepts, or always refuses, whatever it is asked: what a suite says of it shows what a pass of
// that suite is worth.
//
//   node stub.mjs accept|refuse PORT FOLDER      FOLDER has key.pem and cert.pem

import {readFileSync} from 'node:fs';
import {createServer} from 'node:https';
import {join} from 'node:path';

const [mode, port, folder] = process.argv.slice(2);
const tls = {key: readFileSync(join(folder, 'key.pem')), cert: readFileSync(join(folder, 'cert.pem'))};
const proof = {
  type: 'DataIntegrityProof', cryptosuite: 'eddsa-rdfc-2022', created: '2026-01-01T00:00:00Z', proofPurpose: 'assertionMethod',
  verificationMethod: 'did:example:issuer#key', proofValue: 'z1',
};

function accept(path, body) {
  if(path.endsWith('/issue')) {
    return [201, {verifiableCredential: {...body.credential, proof}}];
  }
  if(path.endsWith('/derive')) {
    return [201, {verifiableCredential: body.verifiableCredential}];
  }
  return [200, {verified: true, checks: [], warnings: [], errors: []}];
}

createServer(tls, (request, response) => {
  const chunks = [];
  request.on('data', chunk => chunks.push(chunk));
  request.on('end', () => {
    let body = {};
    try {
      body = JSON.parse(Buffer.concat(chunks).toString());
    } catch {
      // It does not care.
    }
    const refused = [400, {verified: false, errors: [{title: 'no'}]}];
    const [status, answer] = mode === 'accept' ? accept(request.url, body) : refused;
    response.writeHead(status, {'content-type': 'application/json'});
    response.end(JSON.stringify(answer));
  });
}).listen(Number(port), '127.0.0.1');
