"""Credentials are read as they were signed, hold as long as the file is unchanged, and are text."""

import io
import socket
import sys

import pytest
from PIL import Image

pytest.importorskip("c2pa")

from dfjax import phrases, words
from dfjax.errors import UserError
from dfjax.evidence import content_credentials, text
from dfjax.evidence.content_credentials import ContentCredentials
from tests.evidence import signing
from tests.evidence.conftest import MIMES

AI = signing.IPTC + "trainedAlgorithmicMedia"
CREATED = {"action": "c2pa.created", "digitalSourceType": signing.IPTC + "digitalCapture"}
ACTING = "\x1b[31m\r\n\u202e\u2066"
MARKUP = "<script>window.hacked=1</script>"


@pytest.fixture
def read(tmp_path):
    """Reads the credentials of bytes."""

    def read(data: bytes, **options) -> ContentCredentials:
        (tmp_path / "file").write_bytes(data)
        return content_credentials.read(tmp_path / "file", **options)

    return read


@pytest.fixture
def trust(tmp_path):
    """A trust list with one issuer."""

    def trust(root: str) -> str:
        (tmp_path / "list.pem").write_text(root)
        return content_credentials.read_trust_list(tmp_path / "list.pem")

    return trust


@pytest.mark.parametrize("kind", MIMES)
def test_who_signed_and_what_was_done(read, plain, kind):
    cropped = {"action": "c2pa.cropped", "when": "2026-05-01T10:00:00Z", "softwareAgent": "Cutter"}
    told = read(signing.sign(plain[kind], MIMES[kind], CREATED, cropped))
    assert (told.state, told.failures) == ("unknown_signer", ())
    assert (told.signer, told.organization) == ("Camera 12", "Example Press")
    assert (told.tool, told.time, told.num_ingredients) == ("Darkroom 2.1", None, 0)
    first, second = told.actions
    assert (first.action, first.source) == ("c2pa.created", "digitalCapture")
    assert (second.action, second.tool) == ("c2pa.cropped", "Cutter")
    assert second.time == "2026-05-01T10:00:00Z"
    assert told.ai_sources == told.ai_sources_of_ingredients == ()


def test_a_trust_list_parts_signers(read, plain, trust):
    signed = signing.sign(plain["jpg"], "image/jpeg")
    ours, others = signing.make_signer(), signing.make_signer("Camera 12", "Example Press ")
    assert read(signed, trust_list=trust(ours.root)).state == "trusted"
    assert read(signed, trust_list=trust(others.root)).state == "untrusted"
    both = f"# Zürich\n{others.root}# more\n{ours.root}"
    assert read(signed, trust_list=trust(both)).state == "trusted"
    # The same name, by another issuer: that is why a name alone says nothing.
    forged = signing.sign(plain["jpg"], "image/jpeg", signer=others)
    told = read(forged, trust_list=trust(ours.root))
    assert (told.state, told.signer) == ("untrusted", "Camera 12")


def test_a_trust_list_has_certificates(tmp_path, trust):
    for content in ("", "a,b\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(UserError, match="holds no certificates: give a trust list in PEM"):
            trust(content)
    with pytest.raises(UserError, match="give a shorter trust list"):
        trust(signing.make_signer().root * 2000)
    with pytest.raises(UserError, match="No such file"):
        content_credentials.read_trust_list(tmp_path / "none")


def test_generation_by_ai_is_claimed_of_the_file_or_of_what_it_was_made_from(read, plain):
    generated = signing.sign(
        plain["jpg"], "image/jpeg", {"action": "c2pa.created", "digitalSourceType": AI}
    )
    told = read(generated)
    assert told.ai_sources == ("trainedAlgorithmicMedia",)
    assert told.ai_sources_of_ingredients == ()
    edited = signing.sign(
        plain["png"],
        "image/png",
        {"action": "c2pa.created", "digitalSourceType": signing.IPTC + "composite"},
        ingredient=generated,
    )
    told = read(edited)
    assert (told.state, told.num_ingredients, told.ai_sources) == ("unknown_signer", 1, ())
    assert told.ai_sources_of_ingredients == ("trainedAlgorithmicMedia",)


@pytest.mark.parametrize(
    ("kind", "check"), [("jpg", "dataHash"), ("png", "dataHash"), ("mp4", "bmffHash")]
)
def test_a_changed_file_is_broken(read, plain, kind, check):
    signed = bytearray(signing.sign(plain[kind], MIMES[kind]))
    place = signed.rindex(plain[kind][-40:-20]) if kind != "mp4" else signed.index(b"mdat") + 500
    signed[place] ^= 1
    told = read(bytes(signed))
    assert (told.state, told.failures) == ("broken", (f"assertion.{check}.mismatch",))
    assert phrases.failure(told.failures[0]) == "the file was changed after it was signed"
    assert told.signer == "Camera 12"


def test_changed_credentials_are_broken(read, plain):
    signed = signing.sign(plain["jpg"], "image/jpeg", CREATED, tool="Darkroom 2.1")
    told = read(signed.replace(b"Darkroom", b"Darkr00m"))
    assert told.state == "broken"
    assert "claimSignature.mismatch" in told.failures
    told = read(signed.replace(b"digitalCapture", b"digitalCaptvre"))
    assert told.state == "broken"
    assert "assertion.hashedURI.mismatch" in told.failures


def test_saving_a_file_again_removes_them(read, plain):
    signed = signing.sign(plain["jpg"], "image/jpeg")
    again = io.BytesIO()
    Image.open(io.BytesIO(signed)).save(again, "JPEG")
    assert read(again.getvalue()) == ContentCredentials("none")


@pytest.mark.parametrize("kind", MIMES)
def test_a_file_without_them_is_nothing_special(read, plain, kind):
    assert read(plain[kind]) == ContentCredentials("none")


def test_kinds_of_files_without_credentials(read, plain):
    bitmap = io.BytesIO()
    Image.open(io.BytesIO(plain["png"])).save(bitmap, "BMP")
    assert read(bitmap.getvalue()) == ContentCredentials("unsupported")


def test_long_and_acting_texts_become_short_lines(read, plain):
    evil = {"action": ACTING + MARKUP, "softwareAgent": "x" * 900_000, "when": ACTING}
    many = [{"action": f"c2pa.edited.{n}"} for n in range(30)]
    signer = signing.make_signer(f"\u202eresrever{MARKUP}", "line\nbreak")
    signed = signing.sign(
        plain["jpg"], "image/jpeg", CREATED, evil, *many, tool="y" * 100_000, signer=signer
    )
    assert len(signed) > 1_000_000
    told = read(signed)
    assert told.state == "unknown_signer"
    assert told.signer == f"\\u202eresrever{MARKUP}"
    assert told.organization == "line break"
    assert told.tool == f"{'y' * 199}…"
    assert told.actions[1].action == f"\\x1b[31m \\u202e\\u2066{MARKUP}"
    assert told.actions[1].tool == f"{'x' * 199}…"
    assert (len(told.actions), told.num_actions) == (content_credentials.MAX_ACTIONS, 32)


def test_a_cleaned_text_stays_as_it_is():
    for value in (ACTING, "a" * 500, "\U000e0001" * 100, " two  words ", "\udcff", "é…"):
        cleaned = text.clean(value)
        assert len(cleaned) <= text.MAX_LENGTH
        assert cleaned.isprintable()
        assert text.clean(cleaned) == cleaned
    assert text.clean(" \n") is text.clean("") is text.clean(None) is None
    assert text.clean_all(["a", None, "a", "", "b", *"cdefghijk"]) == tuple("abcdefgh")


@pytest.mark.parametrize("kind", MIMES)
def test_damaged_credentials_end_nothing(read, plain, kind):
    signed = signing.sign(plain[kind], MIMES[kind])
    begin, end = signed.index(b"jumb") - 4, signed.rindex(b"c2pa.signature") + 200
    for cut in range(begin, end, (end - begin) // 12):
        gap = signed[:cut] + bytes(end - cut) + signed[end:]
        assert read(gap).state in ("broken", "unreadable", "none")
        assert read(signed[:cut]).state in ("broken", "unreadable", "none")
    assert read(b"").state in ("unreadable", "unsupported")
    assert content_credentials.read("/nowhere").state == "unreadable"


def test_nothing_is_fetched(read, plain):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/manifest.c2pa"
        told = read(signing.sign(plain["jpg"], "image/jpeg", remote=address))
        assert told == ContentCredentials("remote")
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()


def test_without_the_extra_it_is_said(read, plain, monkeypatch, tmp_path):
    signed = signing.sign(plain["jpg"], "image/jpeg")
    monkeypatch.setitem(sys.modules, "c2pa", None)  # as if it were not installed
    content_credentials.load()
    told = read(signed)
    assert told == ContentCredentials("not_installed")
    headline, meaning = words.CREDENTIALS[told.state]
    assert (headline, meaning[:21]) == ("Not looked at", "Install dfjax[c2pa] t")
    with pytest.raises(UserError, match="install that, or leave it out"):
        content_credentials.read_trust_list(tmp_path / "list.pem")
