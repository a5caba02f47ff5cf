// Plays a wallet or a verifier with npm `@openid4vc/*`. See README.md.

import { createHash, randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { Oauth2AuthorizationServer, Oauth2ResourceServer } from '@openid4vc/oauth2';
import { Openid4vciClient, Openid4vciIssuer } from '@openid4vc/openid4vci';
import { Openid4vpClient, Openid4vpVerifier } from '@openid4vc/openid4vp';
import * as jose from 'jose';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const hear = async () => JSON.parse((await lines.next()).value);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

// Every request goes to the test, which answers it.
const fetchFromTest = async (url, init = {}) => {
  const request = new Request(url, init);
  const headers = Object.fromEntries(request.headers.entries());
  say({ fetch: { method: request.method, url: String(url), headers, body: await request.text() } });
  const answer = await hear();
  const bodyless = answer.status === 204;
  return new Response(bodyless ? null : answer.body, { status: answer.status, headers: answer.headers });
};

const keys = new Map();
const newKey = async (alg) => {
  const pair = await jose.generateKeyPair(alg, { extractable: true });
  const jwk = await jose.exportJWK(pair.publicKey);
  keys.set(await jose.calculateJwkThumbprint(jwk), pair.privateKey);
  return jwk;
};

const didJwk = (jwk) => `did:jwk:${Buffer.from(JSON.stringify(jwk)).toString('base64url')}`;
const jwkOf = (did) => JSON.parse(Buffer.from(did.split('#')[0].slice('did:jwk:'.length), 'base64url').toString());
const publicOf = (signer) => (signer.method === 'jwk' ? signer.publicJwk : jwkOf(signer.didUrl));

const decryption = new Map();
const callbacks = {
  fetch: fetchFromTest,
  hash: (data, algorithm) => createHash(algorithm.replace('-', '')).update(data).digest(),
  generateRandom: (length) => randomBytes(length),
  signJwt: async (signer, { header, payload }) => {
    const signerJwk = publicOf(signer);
    const key = keys.get(await jose.calculateJwkThumbprint(signerJwk));
    const jwt = await new jose.SignJWT(payload).setProtectedHeader(header).sign(key);
    return { jwt, signerJwk };
  },
  verifyJwt: async (signer, { compact }) => {
    const signerJwk = publicOf(signer);
    try {
      await jose.compactVerify(compact, await jose.importJWK(signerJwk, signer.alg));
      return { verified: true, signerJwk };
    } catch {
      return { verified: false };
    }
  },
  encryptJwe: async ({ publicJwk, enc, apu, apv }, data) => {
    const encrypter = new jose.CompactEncrypt(new TextEncoder().encode(data)).setProtectedHeader({
      alg: 'ECDH-ES',
      enc,
      kid: publicJwk.kid,
      ...(apu && { apu }),
      ...(apv && { apv }),
    });
    const jwe = await encrypter.encrypt(await jose.importJWK(publicJwk, 'ECDH-ES'));
    return { jwe, encryptionJwk: publicJwk };
  },
  decryptJwe: async (jwe) => {
    const { kid } = jose.decodeProtectedHeader(jwe);
    const known = decryption.get(kid);
    const { plaintext } = await jose.compactDecrypt(jwe, known.privateKey);
    return { decrypted: true, decryptionJwk: known.publicJwk, payload: new TextDecoder().decode(plaintext) };
  },
  clientAuthentication: ({ body }) => {
    body.client_id = 'wallet';
  },
};

async function begin(task) {
  const client = new Openid4vciClient({ callbacks });
  const credentialOffer = await client.resolveCredentialOffer(task.offer);
  const issuerMetadata = await client.resolveIssuerMetadata(credentialOffer.credential_issuer);
  const publicJwk = await newKey('ES256');
  const dpop = { signer: { method: 'jwk', alg: 'ES256', publicJwk } };
  return { client, credentialOffer, issuerMetadata, dpop };
}

async function receive({ client, issuerMetadata }, id, { accessTokenResponse, dpop }) {
  const { c_nonce: nonce } = await client.requestNonce({ issuerMetadata });
  const proofs = [];
  for (let count = 0; count < 2; count += 1) {
    const publicJwk = await newKey('ES256');
    const signer = { method: 'jwk', alg: 'ES256', publicJwk };
    const proof = { issuerMetadata, credentialConfigurationId: id, nonce, signer };
    proofs.push((await client.createCredentialRequestJwtProof(proof)).jwt);
  }
  const accessToken = accessTokenResponse.access_token;
  const { credentialResponse } = await client.retrieveCredentials({
    issuerMetadata,
    credentialConfigurationId: id,
    proofs: { jwt: proofs },
    accessToken,
    dpop,
  });
  const notification = { notificationId: credentialResponse.notification_id, event: 'credential_accepted' };
  await client.sendNotification({ issuerMetadata, notification, accessToken, dpop });
  return { credentials: credentialResponse.credentials.map(({ credential }) => credential) };
}

async function issue(task) {
  const begun = await begin(task);
  const token = await begun.client.retrievePreAuthorizedCodeAccessTokenFromOffer({ ...begun, txCode: task.txCode });
  return receive(begun, task.configuration, token);
}

async function authorize(task) {
  const begun = await begin(task);
  const { client, credentialOffer, issuerMetadata } = begun;
  const redirectUri = 'https://wallet.example/back';
  const request = { clientId: 'wallet', credentialOffer, issuerMetadata, redirectUri, scope: task.scope };
  const started = await client.initiateAuthorization({ ...request, dpop: begun.dpop });
  const authorizationUrl = started.authorizationRequestUrl;
  // The user's browser.
  const back = (await fetchFromTest(authorizationUrl)).headers.get('location');
  const server = issuerMetadata.authorizationServers[0];
  const redirect = { url: back, authorizationServerMetadata: server };
  const answer = client.parseAndVerifyAuthorizationResponseRedirectUrl(redirect);
  const token = await client.retrieveAuthorizationCodeAccessTokenFromOffer({
    issuerMetadata,
    credentialOffer,
    authorizationCode: answer.code,
    pkceCodeVerifier: started.pkce.codeVerifier,
    redirectUri,
    dpop: begun.dpop,
  });
  return receive(begun, task.configuration, token);
}

async function present(task) {
  const client = new Openid4vpClient({ callbacks });
  const { params } = client.parseOpenid4vpAuthorizationRequest({ authorizationRequest: task.link });
  const resolved = await client.resolveOpenId4vpAuthorizationRequest({ authorizationRequestPayload: params });
  const { authorizationRequestPayload } = resolved;
  say({ resolved: { ...authorizationRequestPayload, prefix: resolved.client.prefix, version: resolved.version } });
  const { vpToken } = await hear();
  const response = await client.createOpenid4vpAuthorizationResponse({
    authorizationRequestPayload,
    authorizationResponsePayload: { vp_token: vpToken },
    ...(authorizationRequestPayload.response_mode === 'direct_post.jwt' && {
      jarm: {
        encryption: { nonce: 'unused' },
        serverMetadata: {
          authorization_signing_alg_values_supported: [],
          authorization_encryption_alg_values_supported: ['ECDH-ES'],
          authorization_encryption_enc_values_supported: ['A128GCM', 'A256GCM'],
        },
      },
    }),
  });
  const sent = await client.submitOpenid4vpAuthorizationResponse({ authorizationRequestPayload, ...response });
  return { status: sent.response.status };
}

async function ask(task) {
  const verifier = new Openid4vpVerifier({ callbacks });
  const jwk = await newKey('ES256');
  const did = didJwk(jwk);
  const pair = await jose.generateKeyPair('ECDH-ES', { crv: 'P-256', extractable: true });
  const publicJwk = { ...(await jose.exportJWK(pair.publicKey)), kid: 'enc-1', alg: 'ECDH-ES', use: 'enc' };
  decryption.set('enc-1', { privateKey: pair.privateKey, publicJwk });
  const created = await verifier.createOpenId4vpAuthorizationRequest({
    authorizationRequestPayload: {
      response_type: 'vp_token',
      response_mode: task.responseMode,
      client_id: `decentralized_identifier:${did}`,
      response_uri: 'https://verifier.example/answers/1',
      nonce: randomBytes(16).toString('base64url'),
      state: randomBytes(16).toString('base64url'),
      dcql_query: task.query,
      client_metadata: {
        jwks: { keys: [publicJwk] },
        encrypted_response_enc_values_supported: ['A256GCM'],
        vp_formats_supported: { 'vc+sd-jwt': {} },
      },
      aud: 'https://self-issued.me/v2',
    },
    jar: {
      requestUri: 'https://verifier.example/requests/1',
      jwtSigner: { method: 'did', didUrl: `${did}#0`, alg: 'ES256' },
      expiresInSeconds: 300,
    },
  });
  const { authorizationRequest, jar, authorizationRequestPayload } = created;
  say({ asked: { link: authorizationRequest, object: jar.authorizationRequestJwt } });
  const { form, forged } = await hear();
  const parse = (text) => verifier.parseOpenid4vpAuthorizationResponse({
    authorizationResponse: Object.fromEntries(new URLSearchParams(text)),
    authorizationRequestPayload: jar?.authorizationRequestPayload ?? authorizationRequestPayload,
    callbacks,
  });
  const parsed = await parse(form);
  const refused = await parse(forged).then(() => false, () => true);
  return { presentations: parsed.dcql.presentations, nonce: parsed.expectedNonce, refused };
}

// An issuer with an authorization server of its own, until the test says that it is finished.
async function offer(task) {
  const base = 'https://issuer.example';
  const signer = { method: 'jwk', alg: 'ES256', publicJwk: await newKey('ES256') };
  const issuer = new Openid4vciIssuer({ callbacks });
  const server = new Oauth2AuthorizationServer({ callbacks });
  // The resource server asks its own authorization server for the key of tokens.
  const keySet = async () => Response.json({ keys: [signer.publicJwk] });
  const resources = new Oauth2ResourceServer({ callbacks: { ...callbacks, fetch: keySet } });
  const credentialIssuer = issuer.createCredentialIssuerMetadata({
    credential_issuer: base,
    credential_endpoint: `${base}/credential`,
    nonce_endpoint: `${base}/nonce`,
    batch_credential_issuance: { batch_size: 2 },
    credential_configurations_supported: { diploma: task.configuration },
  });
  const authorizationServer = server.createAuthorizationServerMetadata({
    issuer: base,
    token_endpoint: `${base}/token`,
    jwks_uri: `${base}/keys`,
    grant_types_supported: ['urn:ietf:params:oauth:grant-type:pre-authorized_code'],
    dpop_signing_alg_values_supported: ['ES256'],
  });
  const issuerMetadata = {
    credentialIssuer,
    authorizationServers: [authorizationServer],
    knownCredentialConfigurations: issuer.getKnownCredentialConfigurationsSupported(credentialIssuer),
  };
  const grant = { 'pre-authorized_code': 'code-0', tx_code: { input_mode: 'numeric', length: task.txCode.length } };
  const { credentialOffer } = await issuer.createCredentialOffer({
    issuerMetadata,
    credentialConfigurationIds: ['diploma'],
    grants: { 'urn:ietf:params:oauth:grant-type:pre-authorized_code': grant },
  });
  say({ offer: credentialOffer });
  let nonces = 0;
  const answers = {
    '/.well-known/openid-credential-issuer': () => credentialIssuer,
    '/.well-known/oauth-authorization-server': () => authorizationServer,
    '/nonce': () => issuer.createNonceResponse({ cNonce: `nonce-${(nonces += 1)}` }),
    '/token': async (request, body) => {
      const accessTokenRequest = Object.fromEntries(new URLSearchParams(body));
      const parsed = server.parseAccessTokenRequest({ accessTokenRequest, request });
      const { dpop } = await server.verifyPreAuthorizedCodeAccessTokenRequest({
        grant: parsed.grant,
        accessTokenRequest: parsed.accessTokenRequest,
        request,
        authorizationServerMetadata: authorizationServer,
        expectedPreAuthorizedCode: grant['pre-authorized_code'],
        expectedTxCode: task.txCode,
        dpop: { required: true, ...parsed.dpop },
      });
      return server.createAccessTokenResponse({
        audience: base,
        authorizationServer: base,
        signer,
        dpop,
        expiresInSeconds: 300,
        subject: 'holder',
        clientId: 'wallet',
      });
    },
    '/credential': async (request, body) => {
      await resources.verifyResourceRequest({
        request,
        resourceServer: base,
        authorizationServers: [authorizationServer],
        allowedAuthenticationSchemes: ['DPoP'],
      });
      const { proofs } = issuer.parseCredentialRequest({ issuerMetadata, credentialRequest: JSON.parse(body) });
      const holders = [];
      const expectedNonce = `nonce-${nonces}`;
      for (const jwt of proofs.jwt) {
        const verified = await issuer.verifyCredentialRequestJwtProof({ issuerMetadata, jwt, expectedNonce });
        holders.push(verified.signer.publicJwk);
      }
      // What the credentials say is the test's matter: it makes one for each key.
      say({ holders });
      const credentials = (await hear()).credentials.map((credential) => ({ credential }));
      return issuer.createCredentialResponse({ credentialRequest: { proofs }, credentials });
    },
  };
  for (;;) {
    const asked = await hear();
    if (asked.finished) {
      return { nonces };
    }
    const url = new URL(asked.url);
    const request = { method: asked.method, url: asked.url, headers: new Headers(asked.headers) };
    try {
      say({ status: 200, body: await answers[url.pathname](request, asked.body) });
    } catch (error) {
      const body = error.errorResponse ?? { error: error.wwwAuthenticateHeaders ? 'invalid_token' : 'server_error' };
      say({ status: error.wwwAuthenticateHeaders ? 401 : 400, body, why: String(error.stack).slice(0, 2000) });
    }
  }
}

const task = await hear();
try {
  say({ done: await { issue, authorize, present, ask, offer }[task.play](task) });
} catch (error) {
  say({ failed: `${error?.stack ?? error}`.slice(0, 3000) });
}
process.exit(0);
