#!/usr/bin/env python3
"""Verifies a ledger proof offline, against a genesis file. Written from specs/wire.md alone.

    verify_proof.py GENESIS.json PROOF.json [--checkpoint FILE] [--past] [--every-bit]

Needs Python 3.9 and the package `cryptography`. What is proven goes to standard output as JSON, talk to standard error.
Exit codes: 0 the proof holds, 3 it was read and does not hold, 2 usage, or a file that cannot be read.

--checkpoint FILE   never accept less than this checkpoint, and move it on if the proof is newer (section 11)
--past              the past was asked for: state may be older than the checkpoint
--every-bit         also change every bit of the proof, one at a time, and check that each change is refused
"""

import base64
import hashlib
import json
import os
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Malformed(Exception):
    """The input cannot be read."""


class Invalid(Exception):
    """The input was read and does not hold."""


# 1 Conventions ------------------------------------------------------------------------------------------------------


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def tagged_hash(tag, *parts):
    return sha256(tag.encode("ascii"), b"\0", *parts)


def base64url(text):
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        raise Malformed("not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise Malformed("not the one spelling of this base64url")
    return data


def hex_hash(text):
    if not isinstance(text, str) or not re.fullmatch(r"[0-9a-f]{64}", text):
        raise Malformed("not a hash")
    return bytes.fromhex(text)


def strict_json(data, size_max, depth_max=32):
    if len(data) > size_max:
        raise Malformed("too large")

    def members(pairs):
        result = dict(pairs)
        if len(result) != len(pairs):
            raise Malformed("a key occurs twice")
        return result

    def integer(text):
        if text == "-0" or len(text) > 17 or abs(int(text)) > 2**53 - 1:
            raise Malformed("an integer is out of range")
        return int(text)

    def refuse(_):
        raise Malformed("a number is not an integer")

    def check(value, depth):
        if isinstance(value, str):
            value.encode("utf-8")  # a lone surrogate raises
        elif isinstance(value, (dict, list)):
            if depth == depth_max:
                raise Malformed("nested too deep")
            for item in value.values() if isinstance(value, dict) else value:
                check(item, depth + 1)
            for key in value if isinstance(value, dict) else ():
                key.encode("utf-8")

    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=members,
            parse_int=integer,
            parse_float=refuse,
            parse_constant=refuse,
        )
        check(value, 0)
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from error
    return value


def shape(value, required, optional=()):
    """Checks that an object has exactly these members."""
    if not isinstance(value, dict):
        raise Malformed("not an object")
    names = set(value)
    if not set(required) <= names or not names <= set(required) | set(optional):
        raise Malformed("an object lacks a member or has one that is not known")
    return value


def typed(value, kind):
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Malformed("a value has another type")
    return value


def unsigned(value):
    if typed(value, int) < 0:
        raise Malformed("a number is negative")
    return value


BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def ed25519_multikey(text):
    if not isinstance(text, str) or not re.fullmatch("z[" + BASE58 + "]{40,60}", text):
        raise Malformed("not a multikey")
    number = 0
    for character in text[1:]:
        number = number * 58 + BASE58.index(character)
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    if len(data) != 34 or data[:2] != b"\xed\x01":
        raise Malformed("not an Ed25519 multikey")
    return data[2:]


# 2 Network and genesis ----------------------------------------------------------------------------------------------


class Anchor:
    def __init__(self, genesis_bytes, checkpoint=None):
        self.checkpoint = None
        genesis = strict_json(genesis_bytes, 4 * 1024 * 1024)
        if not isinstance(genesis, dict) or genesis.get("version") != 1:
            raise Malformed("not a genesis file of version 1")
        label = genesis.get("network")
        if not isinstance(label, str) or not re.fullmatch(r"[a-z][a-z0-9-]{0,31}", label):
            raise Malformed("the network's label is not one")
        validators = typed(genesis.get("validators"), list)
        self.genesis = sha256(genesis_bytes)
        self.network = "aval:%s:%s" % (label, self.genesis.hex())
        self.keys = sorted(ed25519_multikey(typed(entry, dict).get("key")) for entry in validators)
        if not self.keys or len(set(self.keys)) != len(self.keys):
            raise Malformed("the validators are not a set")
        self.set_hash = set_hash(self.keys)
        self.changes = []  # (header of the change, keys after it), ascending
        self.hold(checkpoint)

    def hold(self, checkpoint):
        self.checkpoint = Header(checkpoint) if checkpoint else None
        if not self.checkpoint:
            return
        if self.checkpoint.genesis != self.genesis:
            raise Invalid("the checkpoint is of another network")
        # The checkpoint names the newest change at or below it: another history of changes does not lead there.
        self.keys_for(self.checkpoint)


    def newest(self):
        return self.changes[-1][1] if self.changes else self.keys

    def keys_for(self, header):
        """The keys that certify a header: section 10, step 5, with section 11."""
        keys, change = self.keys, 0
        for known, following in self.changes:
            if known.height < header.height:
                keys, change = following, known.height
        own = header.height if header.validators != header.next_validators else change
        if header.validators != set_hash(keys) or header.last_change != own:
            raise Invalid("the validator set is not the one that is known for this height")
        return keys

    def learn(self, data):
        """Section 11: the changes of a trust chain, each certified by the set before it."""
        chain = shape(strict_json(data, 2 * 1024 * 1024), ["network", "genesis", "links", "more"])
        if not isinstance(chain["more"], bool):
            raise Malformed("more is not a truth value")
        links = []
        for entry in typed(chain["links"], list):
            link = shape(entry, ["header", "certificate", "next"])
            following = [ed25519_multikey(text) for text in typed(link["next"], list)]
            if any(a >= b for a, b in zip(following, following[1:])):
                raise Malformed("a validator set is not ascending")
            links.append((Header(base64url(link["header"])), read_certificate(link["certificate"]), following))
        if len(links) > 32:
            raise Malformed("the trust chain is too long")
        if chain["network"] != self.network or hex_hash(chain["genesis"]) != self.genesis:
            raise Invalid("the trust chain is of another network")
        for header, certificate, following in links:
            known = [change for change, _ in self.changes if change.height == header.height]
            if known and known[0].digest == header.digest:
                continue
            before = self.newest()
            if header.genesis != self.genesis:
                raise Invalid("a header is of another network")
            if header.validators != set_hash(before) or header.next_validators != set_hash(following):
                raise Invalid("a link does not follow upon the set before it")
            if header.validators == header.next_validators or header.last_change != header.height:
                raise Invalid("a link is no change of the set")
            verify_certificate(certificate, header, self.genesis, before)
            if known or header.height <= max(
                [change.height for change, _ in self.changes] + [self.checkpoint.height if self.checkpoint else 0]
            ):
                raise Invalid("the validators have signed two histories")
            self.changes.append((header, following))


def set_hash(keys):
    return tagged_hash("aval/validators/1", len(keys).to_bytes(4, "big"), *keys)


# 6 Block ------------------------------------------------------------------------------------------------------------


class Header:
    def __init__(self, data):
        if len(data) != 337 or data[0] != 1:
            raise Malformed("not a header of version 1")

        def number(offset):
            return int.from_bytes(data[offset : offset + 8], "big")

        self.bytes = data
        self.genesis = data[1:33]
        self.height = number(33)
        self.time = number(41)
        self.epoch = number(49)
        self.view = number(57)
        self.parent = data[105:137]
        self.receipts_root = data[201:233]
        self.state_root = data[233:265]
        self.validators = data[265:297]
        self.next_validators = data[297:329]
        self.last_change = number(329)
        self.digest = tagged_hash("aval/header/1", data)


# 7 Receipt ----------------------------------------------------------------------------------------------------------


def verify_receipt(wire, header):
    data = wire["bytes"]
    hash_ = sha256(b"\0", data)
    for side, sibling in wire["siblings"]:
        hash_ = sha256(b"\1", sibling, hash_) if side == "left" else sha256(b"\1", hash_, sibling)
    if hash_ != header.receipts_root:
        raise Invalid("the receipt does not lead to the receipts root")
    receipt = json.loads(data)
    if receipt["height"] != header.height or receipt["time"] != header.time:
        raise Invalid("the receipt is of another block")
    return {"receipt": receipt}


# 8 State and its tree -----------------------------------------------------------------------------------------------

EMPTY = b"SPARSE_MERKLE_PLACEHOLDER_HASH__"


def bit(hash_, index):
    return hash_[index // 8] >> (7 - index % 8) & 1


def verify_state(wire, header):
    key = sha256(wire["key"].encode("utf-8"))
    siblings, value, leaf = wire["siblings"], wire["value"], wire["leaf"]
    if key != wire["keyHash"]:
        raise Invalid("the key is not the one of its hash")
    depth = len(siblings)
    if depth > 256:
        raise Invalid("more siblings than levels")
    if value is not None:
        if leaf is not None:
            raise Invalid("a proof of presence names another leaf")
        hash_ = sha256(b"JMT::LeafNode", key, sha256(value))
    elif leaf is None:
        hash_ = EMPTY
    else:
        other, other_value = leaf
        if other == key or any(bit(other, index) != bit(key, index) for index in range(depth)):
            raise Invalid("the leaf is not another one in the key's place")
        hash_ = sha256(b"JMT::LeafNode", other, other_value)
    for index, sibling in enumerate(siblings):
        pair = (sibling, hash_) if bit(key, depth - 1 - index) else (hash_, sibling)
        hash_ = sha256(b"JMT::IntrnalNode", *pair)
    if hash_ != header.state_root:
        raise Invalid("the proof does not lead to the state root")
    return {"key": wire["key"], "value": None if value is None else printable(value)}


def printable(value):
    try:
        return json.loads(value)
    except ValueError:
        return {"base64": base64.b64encode(value).decode()}


# 9 Certificate ------------------------------------------------------------------------------------------------------


def varint(number):
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def read_certificate(wire):
    certificate = shape(wire, ["epoch", "view", "parentView", "signers", "signatures"])
    result = {
        "epoch": unsigned(certificate["epoch"]),
        "view": unsigned(certificate["view"]),
        "parentView": unsigned(certificate["parentView"]),
        "signers": [unsigned(signer) for signer in typed(certificate["signers"], list)],
        "signatures": [base64url(text) for text in typed(certificate["signatures"], list)],
    }
    if any(len(signature) != 64 for signature in result["signatures"]):
        raise Malformed("a signature has another length")
    return result


def verify_certificate(wire, header, genesis, keys):
    signers, signatures = wire["signers"], wire["signatures"]
    count = len(keys)
    if wire["epoch"] != header.epoch or wire["view"] < header.view:
        raise Invalid("the certificate's round is not that of the header")
    if len(signers) != len(signatures) or any(a >= b for a, b in zip(signers, signers[1:])):
        raise Invalid("signers and signatures do not pair up in order")
    if len(signers) < count - (count - 1) // 3:
        raise Invalid("fewer signatures than a quorum")
    if signers[-1] >= count:
        raise Invalid("a signer is not in the validator set")
    namespace = b"aval-consensus/1/" + genesis.hex().encode() + b"_FINALIZE"
    message = b"".join([
        varint(len(namespace)),
        namespace,
        varint(wire["epoch"]),
        varint(wire["view"]),
        varint(wire["parentView"]),
        header.digest,
    ])
    for signer, signature in zip(signers, signatures):
        try:
            Ed25519PublicKey.from_public_bytes(keys[signer]).verify(signature, message)
        except InvalidSignature as error:
            raise Invalid("a signature does not verify") from error


# 10 Ledger proof ----------------------------------------------------------------------------------------------------


def read_proof(data):
    """Step 1: everything is read before anything is checked."""
    proof = strict_json(data, 1024 * 1024)
    shape(proof, ["network", "genesis", "header", "path", "certificate"], ["state", "receipt"])
    result = {
        "network": typed(proof["network"], str),
        "genesis": hex_hash(proof["genesis"]),
        "headers": [Header(base64url(text)) for text in [proof["header"]] + typed(proof["path"], list)],
        "certificate": read_certificate(proof["certificate"]),
    }
    if len(result["headers"]) > 1025:
        raise Malformed("the path is too long")
    if "state" in proof and "receipt" in proof:
        raise Malformed("state and receipt at once")
    if "state" in proof:
        state = shape(proof["state"], ["key", "keyHash", "value", "siblings", "leaf"])
        leaf = state["leaf"] if state["leaf"] is None else shape(state["leaf"], ["keyHash", "valueHash"])
        result["state"] = {
            "key": typed(state["key"], str),
            "keyHash": hex_hash(state["keyHash"]),
            "value": None if state["value"] is None else base64url(state["value"]),
            "siblings": [hex_hash(text) for text in typed(state["siblings"], list)],
            "leaf": None if leaf is None else (hex_hash(leaf["keyHash"]), hex_hash(leaf["valueHash"])),
        }
    if "receipt" in proof:
        receipt = shape(proof["receipt"], ["bytes", "siblings"])
        siblings = []
        for sibling in typed(receipt["siblings"], list):
            side = "left" if isinstance(sibling, dict) and "left" in sibling else "right"
            siblings.append((side, hex_hash(shape(sibling, [side])[side])))
        result["receipt"] = {"bytes": base64url(receipt["bytes"]), "siblings": siblings}
    return result


def verify(data, anchor, past=False):
    proof = read_proof(data)
    if proof["network"] != anchor.network or proof["genesis"] != anchor.genesis:
        raise Invalid("the proof is about another network")
    headers = proof["headers"]
    if any(header.genesis != anchor.genesis for header in headers):
        raise Invalid("a header is of another network")
    for before, after in zip(headers, headers[1:]):
        if after.parent != before.digest or after.height != before.height + 1 or after.time <= before.time:
            raise Invalid("the headers do not connect")
    header, certified = headers[0], headers[-1]
    verify_certificate(proof["certificate"], certified, anchor.genesis, anchor.keys_for(certified))
    if any(other.height == change.height and other.digest != change.digest
           for other in headers for change, _ in anchor.changes):
        raise Invalid("the validators have signed two histories")
    if "state" in proof:
        result = verify_state(proof["state"], header)
    elif "receipt" in proof:
        result = verify_receipt(proof["receipt"], header)
    else:
        result = {}
    seen = anchor.checkpoint
    if seen:
        if any(other.height == seen.height and other.digest != seen.digest for other in headers):
            raise Invalid("the validators have signed two histories")
        if header.height < seen.height and not past and "receipt" not in proof:
            raise Invalid("the answer is older than the checkpoint")
    return certified, {"height": header.height, "time": header.time, **result}


# The program --------------------------------------------------------------------------------------------------------


def check_every_bit(data, anchor, past):
    for index in range(len(data) * 8):
        changed = bytearray(data)
        changed[index // 8] ^= 1 << index % 8
        try:
            verify(bytes(changed), anchor, past)
        except (Malformed, Invalid):
            continue
        raise Invalid("the proof still holds with bit %d of byte %d changed" % (index % 8, index // 8))
    print("each of %d changed bits is refused" % (len(data) * 8), file=sys.stderr)


def read_file(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise Malformed(str(error)) from error


def run(arguments):
    flags = {name: name in arguments for name in ("--past", "--every-bit")}
    arguments = [argument for argument in arguments if argument not in flags]
    checkpoint_path, checkpoint, chains = None, None, []
    while "--trust-chain" in arguments:
        place = arguments.index("--trust-chain")
        chains += arguments[place + 1 : place + 2]
        del arguments[place : place + 2]
    if "--checkpoint" in arguments:
        place = arguments.index("--checkpoint")
        checkpoint_path = arguments[place + 1] if place + 1 < len(arguments) else None
        del arguments[place : place + 2]
    if len(arguments) != 2 or any(argument.startswith("-") for argument in arguments):
        raise Malformed("usage: verify_proof.py GENESIS PROOF [--trust-chain FILE]... [--checkpoint FILE] [--past] [--every-bit]")
    if checkpoint_path and os.path.exists(checkpoint_path):
        wire = shape(strict_json(read_file(checkpoint_path), 64 * 1024), ["header"])
        checkpoint = base64url(wire["header"])
    anchor = Anchor(read_file(arguments[0]))
    for path in chains:
        anchor.learn(read_file(path).rstrip(b"\n"))
    # Chains are learnt from genesis on each time, so only what they lead to may be newer than the checkpoint.
    anchor.hold(checkpoint)
    data = read_file(arguments[1]).rstrip(b"\n")
    certified, result = verify(data, anchor, flags["--past"])
    if flags["--every-bit"]:
        check_every_bit(data, anchor, flags["--past"])
    if checkpoint_path and (anchor.checkpoint is None or certified.height > anchor.checkpoint.height):
        text = base64.urlsafe_b64encode(certified.bytes).rstrip(b"=").decode()
        with open(checkpoint_path, "w") as file:
            json.dump({"header": text}, file)
    print(json.dumps(result, indent=2))


def main():
    try:
        run(sys.argv[1:])
    except Malformed as error:
        print("cannot read: %s" % error, file=sys.stderr)
        return 2
    except Invalid as error:
        print("INVALID: %s" % error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
