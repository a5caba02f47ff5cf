// An agent of @credo-ts/core with keys and records in memory: it comes without either.

import 'reflect-metadata';
import {createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, randomUUID, sign, verify} from 'node:crypto';
import {EventEmitter} from 'node:events';
import {Agent, InjectionSymbols, Kms} from '@credo-ts/core';

const HASHES = {ES256: 'sha256', ES384: 'sha384', EdDSA: null, Ed25519: null};
const asKey = (key, algorithm) => ({key, ...(HASHES[algorithm] && {dsaEncoding: 'ieee-p1363'})});

class Keys {
  backend = 'memory';
  keys = new Map();

  isOperationSupported(_context, {operation}) {
    return ['createKey', 'sign', 'verify', 'randomBytes'].includes(operation);
  }

  async getPublicKey(_context, keyId) {
    return this.keys.get(keyId)?.publicJwk ?? null;
  }

  async createKey(_context, {type, keyId = randomUUID()}) {
    const pair = type.kty === 'OKP' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', {namedCurve: type.crv});
    const publicJwk = {...pair.publicKey.export({format: 'jwk'}), kid: keyId};
    this.keys.set(keyId, {publicJwk, privateJwk: pair.privateKey.export({format: 'jwk'})});
    return {keyId, publicJwk};
  }

  async sign(_context, {keyId, algorithm, data}) {
    const key = createPrivateKey({key: this.keys.get(keyId).privateJwk, format: 'jwk'});
    return {signature: new Uint8Array(sign(HASHES[algorithm], data, asKey(key, algorithm)))};
  }

  async verify(_context, {key, algorithm, data, signature}) {
    const publicJwk = key.publicJwk ?? this.keys.get(key.keyId).publicJwk;
    const publicKey = createPublicKey({key: publicJwk, format: 'jwk'});
    const verified = verify(HASHES[algorithm], data, asKey(publicKey, algorithm), signature);
    return verified ? {verified, publicJwk} : {verified};
  }

  randomBytes(_context, {length}) {
    return new Uint8Array(randomBytes(length));
  }
}

class Records {
  supportsCursorPagination = false;
  records = new Map();

  async save(_context, record) {
    this.records.set(record.id, record);
  }

  async update(context, record) {
    await this.save(context, record);
  }

  async delete(_context, record) {
    this.records.delete(record.id);
  }

  async deleteById(_context, _kind, id) {
    this.records.delete(id);
  }

  async getById(_context, _kind, id) {
    return this.records.get(id);
  }

  async getAll(_context, kind) {
    return [...this.records.values()].filter(record => record.type === kind.type);
  }

  async findByQuery(context, kind, query) {
    const fits = (record, {$and = [], $or, $not, ...tags}) => $and.every(one => fits(record, one)) &&
      (!$or || $or.some(one => fits(record, one))) && !($not && fits(record, $not)) &&
      Object.entries(tags).every(([name, value]) => value === undefined || record.getTags()[name] === value);
    return (await this.getAll(context, kind)).filter(record => fits(record, query));
  }
}

const noFetch = async url => {
  throw new Error(`${url} is not here`);
};

export async function newAgent() {
  class FileSystem {}
  class Socket {}
  const storage = {register: manager => manager.registerInstance(InjectionSymbols.StorageService, new Records())};
  const agent = new Agent({
    config: {autoUpdateStorageOnStartup: true},
    dependencies: {FileSystem, EventEmitterClass: EventEmitter, fetch: noFetch, WebSocketClass: Socket},
    modules: {keys: new Kms.KeyManagementModule({backends: [new Keys()]}), storage},
  });
  await agent.initialize();
  return agent;
}
