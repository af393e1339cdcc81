"""Forges tokens: of any shape, signed with any key, or with AgentIdP's as if it had leaked."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from joserfc.jwk import ECKey
from jwt.utils import der_to_raw_signature, raw_to_der_signature

from tokens.keys import LoadedKey, key_ring

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True)
class Parts:
    """The decoded parts of a real token."""

    header: dict[str, Any]
    claims: dict[str, Any]
    text: str


def take_apart(text: str) -> Parts:
    header = jwt.get_unverified_header(text)
    return Parts(header, jwt.decode(text, options={"verify_signature": False}), text)


def b64(content: bytes | str | dict[str, Any]) -> str:
    """The base64url encoding without padding of bytes, text, or an object as JSON."""
    if isinstance(content, dict):
        content = json.dumps(content)
    if isinstance(content, str):
        content = content.encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def ring_key(algorithm: str = "ES256") -> LoadedKey:
    return key_ring.signing_key(algorithm)


def sign(header: dict[str, Any] | str, claims: dict[str, Any] | str, key: Any = None) -> str:
    """Sign exactly these texts with a P-256 key, by default AgentIdP's."""
    signed = f"{b64(header)}.{b64(claims)}"
    signer = jwt.get_algorithm_by_name("ES256")
    return f"{signed}.{b64(signer.sign(signed.encode(), key or ring_key().private_key))}"


def encode(header: dict[str, Any], claims: dict[str, Any], key: Any, algorithm: str) -> str:
    """Sign with any algorithm of PyJWT, without its checks of the key."""
    signed = f"{b64(header)}.{b64(claims)}"
    if algorithm == "none":
        return f"{signed}."
    signer = jwt.get_algorithm_by_name(algorithm)
    return f"{signed}.{b64(signer.sign(signed.encode(), key))}"


def with_other_signature_value(text: str) -> str:
    """The token with the other valid ECDSA signature, (r, n - s)."""
    signed, _, signature = text.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    r, s = decode_dss_signature(raw_to_der_signature(raw, ec.SECP256R1()))
    other = encode_dss_signature(r, P256_ORDER - s)
    return f"{signed}.{b64(der_to_raw_signature(other, ec.SECP256R1()))}"


def spellings_of_public_key() -> dict[str, bytes]:
    """Encodings of the public key that a careless verifier may accept as an HMAC secret
    (CVE-2026-48526)."""
    rsa = ring_key("RS256")
    spki = rsa.public_key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    pkcs1 = rsa.public_key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.PKCS1
    )
    der = rsa.public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    jwk = json.dumps(rsa.public_jwk).encode()
    return {
        "spki": spki,
        "pkcs1": pkcs1,
        "crlf": spki.replace(b"\n", b"\r\n"),
        "no-final-newline": spki.rstrip(b"\n"),
        "byte-order-mark": b"\xef\xbb\xbf" + spki,
        "der": der,
        "jwk": jwk,
        "jwks": json.dumps({"keys": [rsa.public_jwk]}).encode(),
    }


def stranger_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


# Each of the following returns a function that turns a real token into a forged one.

Forge = Callable[[Parts], str]


def header_with(**changes: Any) -> Forge:
    return lambda real: sign(real.header | changes, real.claims)


def claims_with(**changes: Any) -> Forge:
    return lambda real: sign(real.header, real.claims | changes)


def header_without(name: str) -> Forge:
    return lambda real: sign({k: v for k, v in real.header.items() if k != name}, real.claims)


def claims_without(name: str) -> Forge:
    return lambda real: sign(real.header, {k: v for k, v in real.claims.items() if k != name})


def edited(edit: Callable[[list[str]], list[str]]) -> Forge:
    return lambda real: ".".join(edit(real.text.split(".")))


def flipped(segment: int) -> Forge:
    def flip(parts: list[str]) -> list[str]:
        content = bytearray(base64.urlsafe_b64decode(parts[segment] + "=="))
        content[len(content) // 2] ^= 1
        parts[segment] = b64(bytes(content))
        return parts

    return edited(flip)


def unsigned(name: str) -> Forge:
    return lambda real: f"{b64(real.header | {'alg': name})}.{b64(real.claims)}."


def unsigned_with_old_signature(name: str) -> Forge:
    return lambda real: (
        f"{b64(real.header | {'alg': name})}.{b64(real.claims)}.{real.text.split('.')[2]}"
    )


def signed_by_stranger(**header: Any) -> Forge:
    return lambda real: sign(real.header | header, real.claims, stranger_key())


def with_embedded_key(real: Parts) -> str:
    key = stranger_key()
    public = ECKey.import_key(key.public_key()).as_dict(private=False)
    return sign(real.header | {"jwk": public}, real.claims, key)


def hmac_with(key: bytes, algorithm: str, kid: str | None = None) -> Forge:
    def forge(real: Parts) -> str:
        header = real.header | {"alg": algorithm, "kid": kid or ring_key("RS256").kid}
        signed = f"{b64(header)}.{b64(real.claims)}"
        mac = hmac.digest(key, signed.encode(), algorithm.replace("HS", "sha"))
        return f"{signed}.{b64(mac)}"

    return forge


def rsa_signed(algorithm: str, kid_of: str, **header: Any) -> Forge:
    def forge(real: Parts) -> str:
        kid = ring_key(kid_of).kid
        return encode(
            real.header | {"alg": algorithm, "kid": kid} | header,
            real.claims,
            ring_key("RS256").private_key,
            "PS256" if algorithm == "PS256" else "RS256",
        )

    return forge


def repeated(name: str, value: Any) -> Forge:
    """The claim repeated, with the attacker's value last."""

    def forge(real: Parts) -> str:
        text = json.dumps(real.claims)[:-1] + f", {json.dumps(name)}: {json.dumps(value)}}}"
        return sign(real.header, text)

    return forge


def raw_claims(change: Callable[[str], str]) -> Forge:
    return lambda real: sign(real.header, change(json.dumps(real.claims)))


def time_claim(name: str, seconds: float) -> Forge:
    return lambda real: sign(real.header, real.claims | {name: int(time.time() + seconds)})


def jws_json(flattened: bool, empty: bool = False) -> Forge:
    def forge(real: Parts) -> str:
        protected, payload, signature = real.text.split(".")
        one = {"protected": protected, "signature": signature}
        if flattened:
            return json.dumps({"payload": payload, **one})
        return json.dumps({"payload": payload, "signatures": [] if empty else [one]})

    return forge


def other_spelling(segment: str) -> str:
    """Another spelling of the bytes: four bits of the last of 86 characters are unused."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return segment[:-1] + alphabet[alphabet.index(segment[-1]) ^ 1]
