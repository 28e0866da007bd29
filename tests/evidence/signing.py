"""Files with content credentials, signed by certificates that are made here."""

import dataclasses
import datetime
import functools
import io
import json
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@dataclasses.dataclass(frozen=True)
class Signer:
    """Certificates in PEM by the profile of C2PA 2.x, section 14.5, and a private key.

    Attributes:
      chain: the signer's and its issuer's.
      key: the signer's.
      root: the issuer's.
    """

    chain: bytes
    key: bytes
    root: str


@functools.cache
def make_signer(name: str = "Camera 12", organization: str = "Example Press") -> Signer:
    """A signer below an issuer of its own."""
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer, subject = _name("Root", "Issuer of tests"), _name(name, organization)
    root = _sign(
        _certificate(issuer, issuer, root_key, is_issuer=True).add_extension(
            x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False
        ),
        root_key,
    )
    purpose = x509.ExtendedKeyUsage([oid.ExtendedKeyUsageOID.EMAIL_PROTECTION])
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    leaf = _sign(
        _certificate(subject, issuer, key, is_issuer=False)
        .add_extension(purpose, critical=False)
        .add_extension(issued_by, critical=False),
        root_key,
    )
    pem = serialization.Encoding.PEM
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return Signer(leaf + root, key.private_bytes(pem, form, plain), root.decode())


def _name(name: str, organization: str) -> x509.Name:
    told = {oid.NameOID.ORGANIZATION_NAME: organization, oid.NameOID.COMMON_NAME: name}
    return x509.Name([x509.NameAttribute(*each) for each in told.items()])


def _certificate(subject, issuer, key, *, is_issuer) -> x509.CertificateBuilder:
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    usage |= {"digital_signature": not is_issuer, "key_cert_sign": is_issuer, "crl_sign": is_issuer}
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.BasicConstraints(is_issuer, None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
    )


def _sign(certificate: x509.CertificateBuilder, key) -> bytes:
    signed = certificate.sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def sign(
    data: bytes,
    mime: str,
    *actions: dict[str, Any],
    tool: str = "Darkroom 2.1",
    ingredient: bytes | None = None,
    remote: str | None = None,
    signer: Signer | None = None,
) -> bytes:
    """The file with credentials: its first action has to be created or opened.

    `ingredient` is a JPEG that it was made of. With `remote` the file says only where they are.
    """
    signer = signer or make_signer()
    name, _, version = tool.partition(" ")
    actions = actions or ({"action": "c2pa.created", "digitalSourceType": IPTC + "digitalCapture"},)
    told = {
        "claim_generator_info": [{"name": name, "version": version}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": list(actions)}}],
    }
    info = c2pa.C2paSignerInfo("es256", signer.chain, signer.key, None)
    signed = io.BytesIO()
    with c2pa.Signer.from_info(info) as by, c2pa.Builder(json.dumps(told)) as builder:
        if ingredient is not None:
            parent = {"title": "parent.jpg", "relationship": "parentOf"}
            builder.add_ingredient(json.dumps(parent), "image/jpeg", io.BytesIO(ingredient))
        if remote is not None:
            builder.set_no_embed()
            builder.set_remote_url(remote)
        builder.sign(by, mime, io.BytesIO(data), signed)
    return signed.getvalue()
