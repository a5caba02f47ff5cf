// TLS in front of the programs, as a deployment has it: one HTTPS listener with a certificate made for this start.
//
//   node proxy.mjs PORT FOLDER SANDBOX-PORT VERIFIER-PORT
//
// What begins with /verifier/ goes to the verifier, everything else to the sandbox. FOLDER has key.pem and cert.pem.

import {readFileSync} from 'node:fs';
import {createServer} from 'node:https';
import {Agent, request} from 'node:http';
import {join} from 'node:path';

const [port, folder, sandbox, verifier] = process.argv.slice(2);
const agent = new Agent({keepAlive: true});
const tls = {key: readFileSync(join(folder, 'key.pem')), cert: readFileSync(join(folder, 'cert.pem'))};

createServer(tls, (incoming, outgoing) => {
  const toVerifier = incoming.url.startsWith('/verifier/');
  const path = toVerifier ? incoming.url.slice('/verifier'.length) : incoming.url;
  const target = {
    agent, path, host: '127.0.0.1', port: toVerifier ? verifier : sandbox,
    method: incoming.method, headers: incoming.headers,
  };
  const onward = request(target, answer => {
    outgoing.writeHead(answer.statusCode, answer.headers);
    answer.pipe(outgoing);
  });
  onward.on('error', () => {
    if(!outgoing.headersSent) {
      outgoing.writeHead(502);
    }
    outgoing.end();
  });
  incoming.pipe(onward);
}).listen(Number(port), '127.0.0.1');
// The end of the standard input is the end of the parent.
process.stdin.on('end', () => process.exit(0)).resume();
