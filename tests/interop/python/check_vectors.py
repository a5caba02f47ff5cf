#!/usr/bin/env python3
"""Checks verify_proof.py against specs/vectors: what is valid must verify, what is not must be refused, and no bit of a
valid ledger proof may be changed unnoticed. Needs the package `cryptography`.

    check_vectors.py [SPECS-DIRECTORY]
"""

import json
import os
import sys

import verify_proof as own


def outcome(action):
    """'valid', 'malformed' or 'invalid'."""
    try:
        action()
    except own.Malformed:
        return "malformed"
    except own.Invalid:
        return "invalid"
    return "valid"


class Checks:
    def __init__(self):
        self.done = 0

    def expect(self, name, expected, action):
        found = outcome(action)
        if found != expected:
            sys.exit("%s: expected %s, found %s" % (name, expected, found))
        self.done += 1


class Roots:
    """What stands in for a header where a vector gives a root only."""

    def __init__(self, **roots):
        self.__dict__.update(roots)


def check_ledger_proofs(checks, vectors, genesis):
    anchor = own.Anchor(genesis)
    for entry in vectors["valid"]:
        data = entry["proof"].encode()
        checks.expect(entry["name"], "valid", lambda: own.verify(data, anchor))
        checks.expect("every bit of: " + entry["name"], "valid", lambda: own.check_every_bit(data, anchor, False))
    expected = {"proof.malformed": "malformed"}
    for entry in vectors["invalid"]:
        data = entry["proof"].encode()
        checks.expect(entry["name"], expected.get(entry["code"], "invalid"), lambda: own.verify(data, anchor))
    checkpoint = own.base64url(json.loads(vectors["checkpoint"])["header"])
    holding = own.Anchor(genesis, checkpoint)
    for entry in vectors["invalidWithCheckpoint"]:
        data = entry["proof"].encode()
        checks.expect(entry["name"], "invalid", lambda: own.verify(data, holding))


def check_trust_chains(checks, vectors, genesis):
    anchor = own.Anchor(genesis)
    proof = vectors["proof"].encode()
    checks.expect("present header, genesis alone", "invalid", lambda: own.verify(proof, anchor))
    anchor.learn(vectors["chain"].encode())
    checks.expect("present header, changes known", "valid", lambda: own.verify(proof, anchor))
    for entry in vectors["invalid"]:
        checks.expect(entry["name"], "invalid", lambda: own.Anchor(genesis).learn(entry["chain"].encode()))
    for entry in vectors["invalidWithChain"]:
        checks.expect(entry["name"], "invalid", lambda: anchor.learn(entry["chain"].encode()))


def check_states(checks, vectors):
    def verify(entry):
        leaf = entry["leaf"]
        wire = {
            "key": entry["key"],
            "keyHash": own.sha256(entry["key"].encode()),
            "value": None if entry["value"] is None else entry["value"].encode(),
            "siblings": [own.hex_hash(text) for text in entry["siblings"]],
            "leaf": None if leaf is None else (own.hex_hash(leaf["keyHash"]), own.hex_hash(leaf["valueHash"])),
        }
        own.verify_state(wire, Roots(state_root=own.hex_hash(entry["root"])))

    for expected in ("valid", "invalid"):
        for entry in vectors[expected]:
            checks.expect(entry["name"], expected, lambda: verify(entry))


def check_certificates(checks, vectors, genesis):
    anchor = own.Anchor(genesis)
    keys = [own.ed25519_multikey(text) for text in vectors["validators"]]
    if keys != anchor.keys or anchor.set_hash.hex() != vectors["validatorsHash"]:
        sys.exit("the validator set is not that of the genesis file")

    def verify(entry):
        wire = dict(entry["certificate"])
        wire["signatures"] = [own.base64url(text) for text in wire["signatures"]]
        header = Roots(epoch=wire["epoch"], view=wire["view"], digest=own.hex_hash(vectors["digest"]))
        own.verify_certificate(wire, header, anchor.genesis, anchor.keys)

    for expected in ("valid", "invalid"):
        for entry in vectors[expected]:
            checks.expect(entry["name"], expected, lambda: verify(entry))


def check_receipts(checks, vectors):
    def verify(entry):
        siblings = [(side, own.hex_hash(text)) for sibling in entry["siblings"] for side, text in sibling.items()]
        receipt = json.loads(entry["bytes"])
        header = Roots(receipts_root=own.hex_hash(entry["root"]), height=receipt["height"], time=receipt["time"])
        own.verify_receipt({"bytes": entry["bytes"].encode(), "siblings": siblings}, header)

    for entry in vectors["proofs"]:
        checks.expect("a receipt", "valid", lambda: verify(entry))
    for entry in vectors["invalidProofs"]:
        checks.expect(entry["name"], "invalid", lambda: verify(entry))


def check_blocks(checks, vectors):
    for entry in vectors["valid"]:
        header = own.Header(bytes.fromhex(entry["header"]))
        if header.digest.hex() != entry["digest"] or header.state_root.hex() != entry["stateRoot"]:
            sys.exit("a header's digest or state root differs")
        checks.done += 1


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    specs = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", "..", "..", "specs")

    def vectors(name):
        with open(os.path.join(specs, "vectors", name + ".json"), encoding="utf-8") as file:
            return json.load(file)

    genesis = own.read_file(os.path.join(specs, "vectors", "genesis.json"))
    checks = Checks()
    check_ledger_proofs(checks, vectors("ledger-proof"), genesis)
    check_trust_chains(checks, vectors("trust-chain"), genesis)
    check_states(checks, vectors("state-proof"))
    check_certificates(checks, vectors("certificate"), genesis)
    check_receipts(checks, vectors("receipt"))
    check_blocks(checks, vectors("block"))
    print("%d checks passed" % checks.done)


if __name__ == "__main__":
    main()
