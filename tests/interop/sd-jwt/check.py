"""Verifies Aval's credentials with PyPI `sd-jwt`, and makes some for Aval to verify."""

import json
import sys

from jwcrypto.jwk import JWK
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier


def verify(given, presentation, nonce, audience):
    """The processed payload; raises if anything is wrong."""
    key = JWK.from_json(json.dumps(given["issuerKey"]))

    def issuer_key(_issuer, header):
        assert header["typ"] == given["typ"], header
        assert header["kid"] == given["keyId"], header
        return key

    verifier = SDJWTVerifier(presentation, issuer_key, audience, nonce)
    return verifier.get_verified_payload()


def refuses(given, presentation, nonce, audience):
    try:
        verify(given, presentation, nonce, audience)
    except Exception:
        return True
    return False


def make(given):
    """A credential and a presentation by this library, with keys of its own."""
    issuer = JWK.generate(kty="EC", crv="P-256")
    holder = JWK.generate(kty="EC", crv="P-256")
    claims = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential", "AvalMembershipCredential"],
        "issuer": given["issuer"],
        "validFrom": "2026-01-01T00:00:00Z",
        "credentialSubject": {
            "role": ["member"],
            SDObj("legalName"): "Contoso",
            SDObj("address"): {SDObj("city"): "Tirana", "country": "AL"},
            "languages": [SDObj("sq"), SDObj("en"), "de"],
        },
    }
    if given["typ"] == "dc+sd-jwt":
        claims |= {"iss": "https://issuer.example", "vct": "https://issuer.example/membership"}
    issued = SDJWTIssuer(
        claims,
        issuer,
        holder,
        add_decoy_claims=True,
        extra_header_parameters={"typ": given["typ"], "kid": given["keyId"]},
    ).sd_jwt_issuance
    wallet = SDJWTHolder(issued)
    choice = {"credentialSubject": {"address": {"city": True}, "languages": [True, False]}}
    wallet.create_presentation(choice, given["nonce"], given["audience"], holder)
    return {
        "issuerKey": issuer.export_public(as_dict=True),
        "issued": issued,
        "presented": wallet.sd_jwt_presentation,
    }


def main():
    given = json.load(sys.stdin)
    accepted = {name: verify(given, text, given["nonce"], given["audience"]) for name, text in given["good"].items()}
    refused = {name: refuses(given, text, given["nonce"], given["audience"]) for name, text in given["bad"].items()}
    json.dump({"accepted": accepted, "refused": refused, "made": make(given)}, sys.stdout)


main()
