#!/usr/bin/env python3
"""Makes signed transactions with JOSE libraries of another language. Written from specs/wire.md and specs/did-method.md alone.

    make_transaction.py keys FILE [--p256]                 makes the keys of a DID
    make_transaction.py did FILE --label LABEL             prints the DID that these keys begin with
    make_transaction.py create FILE --network NETWORK      did.create, with
        --endorser FILE [--endorser-did DID]               ... an endorser's signature beside (general JSON, by joserfc), or
        --credential SD-JWT-FILE --registry ID             ... a presentation of a credential that is bound to the DID's key
    make_transaction.py update FILE --network NETWORK      did.update (compact, by PyJWT), with
        --previous VERSION-ID [--service URL]              ... the version it replaces, and a service to list
    common: --now SECONDS (default: the clock)

Needs Python 3.9 and the packages `cryptography`, `PyJWT` and `joserfc`. The body for POST /v1/transactions goes to standard
output, the transaction's id and the DID to standard error.
"""

import argparse
import base64
import hashlib
import json
import os
import sys
import time
import uuid
from datetime import datetime, timezone

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwk, jws


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def tagged_hash(tag, *parts):
    return hashlib.sha256(tag.encode("ascii") + b"\0" + b"".join(parts)).digest()


def jcs(value):
    # RFC 8785 for what occurs here: ASCII keys, strings, small integers.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58(data):
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = BASE58[digit] + text
    return text  # none of the prefixes used here begins with a zero byte


# Keys ---------------------------------------------------------------------------------------------------------------


class Key:
    """A private key, of the `cryptography` package, and the forms that the libraries want it in."""

    def __init__(self, private):
        self.private = private
        self.alg = "EdDSA" if isinstance(private, ed25519.Ed25519PrivateKey) else "ES256"

    @classmethod
    def load(cls, pem):
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        return cls(load_pem_private_key(pem.encode("ascii"), None))

    def pem(self):
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")

    def multikey(self):
        public = self.private.public_key()
        if self.alg == "EdDSA":
            return "z" + base58(b"\xed\x01" + public.public_bytes(Encoding.Raw, PublicFormat.Raw))
        return "z" + base58(b"\x80\x24" + public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))

    def joserfc(self):
        return jwk.import_key(self.pem(), "OKP" if self.alg == "EdDSA" else "EC")


class Person:
    """The keys of a DID: control and next control (specs/did-method.md), and the key in its document."""

    def __init__(self, path):
        with open(path, encoding="ascii") as file:
            keys = json.load(file)
        self.control, self.next, self.key = (Key.load(keys[name]) for name in ("control", "next", "key"))

    @staticmethod
    def make(path, p256):
        def private():
            return ec.generate_private_key(ec.SECP256R1()) if p256 else ed25519.Ed25519PrivateKey.generate()

        keys = {name: Key(private()).pem() for name in ("control", "next", "key")}
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(keys, file, indent=2)

    def control_object(self):
        commitment = tagged_hash("aval/control-key/1", self.next.multikey().encode("ascii"))
        return {
            "threshold": 1,
            "keys": [self.control.multikey()],
            "next": {"threshold": 1, "hashes": [commitment.hex()]},
        }

    def document(self, service=None):
        document = {
            "verificationMethod": [
                {"id": "#key-1", "type": "Multikey", "publicKeyMultibase": self.key.multikey()},
            ],
            "authentication": ["#key-1"],
        }
        if service:
            document["service"] = [{"id": "#hub", "type": "LinkedDomains", "serviceEndpoint": service}]
        return document

    def did(self, label):
        inception = {"network": label, "control": self.control_object(), "document": self.document()}
        digest = tagged_hash("aval/did-inception/1", jcs(inception))
        return "did:aval:%s:%s" % (label, base58(b"\x12\x20" + digest))


# Transactions -------------------------------------------------------------------------------------------------------


class Transaction:
    """A payload and who signs it, in order: a role, a DID and a key each."""

    def __init__(self, network, action, signers, now, presentation=None):
        self.signers = signers
        payload = {
            "jti": str(uuid.uuid4()),
            "network": network,
            "nbf": now - 5,
            "exp": now + 300,
            "action": action,
            "signers": [{"role": role, "kid": kid(did, key)} for role, did, key in signers],
        }
        if presentation:
            payload["presentation"] = presentation
        self.payload = json.dumps(payload).encode("utf-8")
        self.id = tagged_hash("aval/tx/1", self.payload).hex()

    def compact(self):
        """By PyJWT: one signer."""
        ((_, did, key),) = self.signers
        headers = {"kid": kid(did, key), "typ": "aval-tx+jwt"}
        return jwt.PyJWS().encode(self.payload, key.private, algorithm=key.alg, headers=headers)

    def general(self):
        """By joserfc: any number of signers."""
        members = [
            {"protected": {"alg": key.alg, "kid": kid(did, key), "typ": "aval-tx+jwt"}} for _, did, key in self.signers
        ]
        keys = {kid(did, key): key.joserfc() for _, did, key in self.signers}
        return jws.serialize_json(
            members, self.payload, lambda member: keys[member.headers()["kid"]], algorithms=["EdDSA", "ES256"]
        )


def kid(did, key):
    return "%s#%s" % (did, key.multikey())


def submission(transaction, presentation=None):
    print("id %s" % transaction.id, file=sys.stderr)
    body = {"transaction": transaction.compact() if len(transaction.signers) == 1 else transaction.general()}
    if presentation:
        body["presentation"] = presentation
    print(json.dumps(body))


# A credential (section 5 of wire.md) --------------------------------------------------------------------------------


def decoded(segment):
    return json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))


def grant_of(claims, subject, registry):
    """The grant repeats what the credential says."""
    status, role = claims["credentialStatus"], claims["credentialSubject"]["role"]
    until = datetime.strptime(claims["validUntil"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    return {
        "subject": subject,
        "type": next(name for name in claims["type"] if name != "VerifiableCredential"),
        "issuer": claims["issuer"] if isinstance(claims["issuer"], str) else claims["issuer"]["id"],
        "roles": sorted([role] if isinstance(role, str) else role),
        "status": {
            "registry": registry,
            "list": status["statusListCredential"],
            "index": int(status["statusListIndex"]),
        },
        "expires": int(until.timestamp()),
    }


def sd_hash(sd_jwt):
    return base64url(hashlib.sha256(sd_jwt.encode("ascii")).digest())


def key_binding(sd_jwt, key, transaction, network, now):
    claims = {"iat": now, "aud": network, "nonce": transaction.id, "sd_hash": sd_hash(sd_jwt)}
    return jwt.encode(claims, key.private, algorithm=key.alg, headers={"typ": "kb+jwt"})


# The program --------------------------------------------------------------------------------------------------------


def create(arguments, now):
    person = Person(arguments.keys)
    label = arguments.network.split(":")[1]
    did = person.did(label)
    print("did %s" % did, file=sys.stderr)
    action = {
        "type": "did.create",
        "did": did,
        "control": person.control_object(),
        "document": person.document(),
    }
    signers = [("controller", did, person.control)]
    if arguments.endorser:
        endorser = Person(arguments.endorser)
        endorser_did = arguments.endorser_did or endorser.did(label)
        signers.append(("endorser", endorser_did, endorser.key))
        return submission(Transaction(arguments.network, action, signers, now))
    with open(arguments.credential, encoding="ascii") as file:
        sd_jwt = file.read().strip()  # issuer-signed JWT and all disclosures, ending in "~"
    action["grant"] = grant_of(decoded(sd_jwt.split(".")[1]), did, arguments.registry)
    transaction = Transaction(arguments.network, action, signers, now, sd_hash(sd_jwt))
    bound = sd_jwt + key_binding(sd_jwt, person.key, transaction, arguments.network, now)
    return submission(transaction, bound)


def update(arguments, now):
    person = Person(arguments.keys)
    did = person.did(arguments.network.split(":")[1])
    action = {
        "type": "did.update",
        "did": did,
        "previous": arguments.previous,
        "document": person.document(arguments.service),
    }
    submission(Transaction(arguments.network, action, [("controller", did, person.control)], now))


def main():
    parser = argparse.ArgumentParser(description="Makes signed transactions for an Aval network.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("keys", "did", "create", "update"):
        command = commands.add_parser(name)
        command.add_argument("keys", metavar="FILE")
        command.add_argument("--now", type=int, default=None, metavar="SECONDS")
        if name == "keys":
            command.add_argument("--p256", action="store_true")
        if name == "did":
            command.add_argument("--label", required=True)
        if name in ("create", "update"):
            command.add_argument("--network", required=True)
        if name == "create":
            command.add_argument("--endorser", metavar="FILE")
            command.add_argument("--endorser-did", metavar="DID")
            command.add_argument("--credential", metavar="SD-JWT-FILE")
            command.add_argument("--registry", metavar="ID")
        if name == "update":
            command.add_argument("--previous", required=True, metavar="VERSION-ID")
            command.add_argument("--service", metavar="URL")
    arguments = parser.parse_args()
    now = arguments.now if arguments.now is not None else int(time.time())
    if arguments.command == "keys":
        Person.make(arguments.keys, arguments.p256)
    elif arguments.command == "did":
        print(Person(arguments.keys).did(arguments.label))
    elif arguments.command == "update":
        update(arguments, now)
    elif arguments.endorser or (arguments.credential and arguments.registry):
        create(arguments, now)
    else:
        parser.error("create needs --endorser, or --credential and --registry")


if __name__ == "__main__":
    main()
