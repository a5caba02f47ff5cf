// POST /credentials/verify by @digitalbazaar/vc, with the status by @digitalbazaar/vc-bitstring-status-list from a list that is
// fetched once a second: the other side of the benchmark.
//
//   node serve.mjs PORT

import {createServer} from 'node:http';
import * as vc from '@digitalbazaar/vc';
import {checkStatus} from '@digitalbazaar/vc-bitstring-status-list';
import {cryptosuite} from '@digitalbazaar/eddsa-rdfc-2022-cryptosuite';
import {DataIntegrityProof} from '@digitalbazaar/data-integrity';
import {documentLoader as local} from './loader.mjs';

const kept = new Map();

// As the verifier that it is compared with: a list is asked for again after a second.
async function documentLoader(url) {
  if(!url.startsWith('https://localhost')) {
    return local(url);
  }
  let entry = kept.get(url);
  if(!entry || entry.until < Date.now()) {
    const document = fetch(url, {headers: {accept: 'application/json'}}).then(answer => answer.json());
    entry = {until: Date.now() + 1000, document};
    kept.set(url, entry);
  }
  return {contextUrl: null, documentUrl: url, document: await entry.document};
}

const suite = () => new DataIntegrityProof({cryptosuite});
const status = options => checkStatus({...options, suite: suite(), verifyBitstringStatusListCredential: false});

createServer((request, response) => {
  const chunks = [];
  request.on('data', chunk => chunks.push(chunk));
  request.on('end', async () => {
    const {verifiableCredential} = JSON.parse(Buffer.concat(chunks).toString());
    const result = await vc.verifyCredential({
      credential: verifiableCredential, suite: suite(), documentLoader, checkStatus: status,
    }).catch(error => ({verified: false, error}));
    response.writeHead(result.verified ? 200 : 400, {'content-type': 'application/json'});
    response.end(JSON.stringify({verified: result.verified, error: result.error && String(result.error.errors ?? result.error)}));
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
