"""Content credentials (C2PA): who signed a file, and whether it is as it was when they signed it.

They are read by the extra `c2pa`, from the file alone: no manifest, no trust list and no
certificate's state is fetched. See https://spec.c2pa.org.
"""

import contextlib
import dataclasses
import hashlib
import importlib.util
import json
import os
import pathlib
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dfjax.errors import UserError
from dfjax.evidence import text

SIGNED = ("trusted", "untrusted", "unknown_signer", "broken")  # states in which there is a signer
STATES = (*SIGNED, "remote", "unreadable", "none", "unsupported", "not_installed")
# Of the IPTC's digital source types, those that claim generation by a trained model.
AI_SOURCES = (
    "trainedAlgorithmicMedia",
    "compositeWithTrainedAlgorithmicMedia",
    "trainedAlgorithmicData",
)

PACKAGE = "c2pa-python"
MAX_ACTIONS = 20
# Errors of the library, by how they begin, that are none.
_ANSWERS = {"ManifestNotFound": "none", "NotSupported": "unsupported", "Remote": "remote"}
_UNTRUSTED = "signingCredential.untrusted"  # a failure that leaves credentials valid
_SETTINGS = {
    "version": 1,
    "verify": {
        "verify_trust": True,
        "remote_manifest_fetch": False,
        "ocsp_fetch": False,
    },
    "core": {"allowed_network_hosts": []},
}
_MAX_COUNT = 10**6
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_MAX_TRUST_LIST = 2**20  # bytes: it goes to every process that reads credentials


@dataclasses.dataclass(frozen=True)
class Action:
    """One edit, as the signer tells it.

    Attributes:
      action: what was done, as "c2pa.cropped".
      time: when.
      tool: the program that did it.
      source: where the pixels come from: the last part of an IPTC digital source type.
    """

    action: str | None
    time: str | None
    tool: str | None
    source: str | None

    def __post_init__(self):
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, text.clean(getattr(self, field.name)))


@dataclasses.dataclass(frozen=True)
class ContentCredentials:
    """What the credentials of a file say, and whether they hold. Every text is `text.clean`.

    Attributes:
      state: one of `STATES`.
      failures: codes of the C2PA specification for checks that failed, without the one that a trust
        list decides; or why they cannot be read, as "reader.died".
      signer, organization: to whom the signer's certificate was made out.
      time: when it was signed, by a time stamp of a third party; None: there is none.
      tool: the program that wrote the credentials.
      actions: up to MAX_ACTIONS edits, the first ones.
      num_actions: how many there are.
      num_ingredients: how many files the file was made of.
      ai_sources: those of `AI_SOURCES` that the credentials claim of the file.
      ai_sources_of_ingredients: those that credentials of its ingredients claim of these.
    """

    state: str
    failures: tuple[str, ...] = ()
    signer: str | None = None
    organization: str | None = None
    time: str | None = None
    tool: str | None = None
    actions: tuple[Action, ...] = ()
    num_actions: int = 0
    num_ingredients: int = 0
    ai_sources: tuple[str, ...] = ()
    ai_sources_of_ingredients: tuple[str, ...] = ()

    def __post_init__(self):
        if self.state not in STATES:
            raise ValueError(f"state is {text.clean(self.state)}")
        for name in ("signer", "organization", "time", "tool"):
            object.__setattr__(self, name, text.clean(getattr(self, name)))
        object.__setattr__(self, "failures", text.clean_all(self.failures))
        object.__setattr__(self, "actions", tuple(self.actions)[:MAX_ACTIONS])
        for name in ("num_actions", "num_ingredients"):
            if not isinstance(count := getattr(self, name), int):
                raise TypeError(f"{name} is no integer")
            object.__setattr__(self, name, min(max(0, count), _MAX_COUNT))
        for name in ("ai_sources", "ai_sources_of_ingredients"):
            claimed = set(getattr(self, name))
            object.__setattr__(self, name, tuple(each for each in AI_SOURCES if each in claimed))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ContentCredentials":
        """Returns what `dataclasses.asdict` was made of; its texts are not trusted.

        Raises:
          KeyError, TypeError, ValueError: these are no such values.
        """
        actions = tuple(Action(**action) for action in values["actions"][:MAX_ACTIONS])
        return cls(**{**values, "actions": actions})


def read_trust_list(path: str | os.PathLike) -> str:
    """Returns the certificates, in PEM, of the issuers that a user trusts.

    Raises:
      UserError: the file cannot be read, is too long, or holds something else; or the extra that
        would use it is not installed.
    """
    if not _is_installed():
        raise UserError("a trust list is used by dfjax[c2pa] alone: install that, or leave it out")
    try:
        certificates = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: give a file of certificates") from error
    if len(certificates) > _MAX_TRUST_LIST:
        raise UserError(f"{path} has over {_MAX_TRUST_LIST} bytes: give a shorter trust list")
    try:
        certificates = "\n".join(_CERTIFICATE.findall(certificates.decode("utf-8", "replace")))
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificates)
    except (ssl.SSLError, ValueError) as error:
        raise UserError(f"{path} holds no certificates: give a trust list in PEM") from error
    return certificates


def digest(trust_list: str) -> str:
    """Returns by what a report names a trust list: its SHA-256."""
    return hashlib.sha256(trust_list.encode()).hexdigest()


def unreadable(failure: str) -> ContentCredentials:
    """Returns the credentials that cannot be read: why is a code, as "reader.died"."""
    return ContentCredentials("unreadable", (failure,))


def load() -> None:
    """Loads what reads credentials, if it is installed."""
    if _is_installed():
        with contextlib.suppress(Exception):  # `read` says so, and everything else works
            import c2pa  # noqa: F401


def read(path: str | os.PathLike, *, trust_list: str | None = None) -> ContentCredentials:
    """Returns the content credentials of the picture or video at `path`; never raises.

    `trust_list` is what `read_trust_list` returns. Crashes of the library, which hostile
    bytes might cause, are the caller's to contain.
    """
    if not _is_installed():
        return ContentCredentials("not_installed")
    try:
        return _read(path, trust_list)
    except Exception:  # of the library, of json, or of `_describe` on what makes no sense
        return unreadable("reader.refused")


def _read(path: str | os.PathLike, trust_list: str | None) -> ContentCredentials:
    import c2pa

    settings = dict(_SETTINGS)
    if trust_list is not None:
        settings["trust"] = {"user_anchors": trust_list}
    context = c2pa.Context(c2pa.Settings.from_dict(settings))
    try:
        with open(path, "rb") as file, c2pa.Reader(None, file, context=context) as reader:
            store = json.loads(reader.json())
    except c2pa.C2paError as error:
        state = _ANSWERS.get(str(error).partition(":")[0])
        if state is None:
            raise
        return ContentCredentials(state)
    return _describe(store, has_trust_list=trust_list is not None)


def _is_installed() -> bool:
    return importlib.util.find_spec("c2pa") is not None


def _describe(store: Mapping[str, Any], *, has_trust_list: bool) -> ContentCredentials:
    label, manifests = store["active_manifest"], store["manifests"]
    active = manifests[label]
    signature = active.get("signature_info") or {}
    actions = list(_actions(active))
    others = (manifest for name, manifest in manifests.items() if name != label)
    failures = _failures(store["validation_results"])
    return ContentCredentials(
        state=_state(store["validation_state"], has_trust_list=has_trust_list),
        failures=tuple(code for code in failures if code != _UNTRUSTED),
        signer=signature.get("common_name"),
        organization=signature.get("issuer"),
        time=signature.get("time"),
        tool=_tool(active.get("claim_generator_info") or active.get("claim_generator")),
        actions=tuple(map(_action, actions[:MAX_ACTIONS])),
        num_actions=len(actions),
        num_ingredients=len(active.get("ingredients") or ()),
        ai_sources=tuple(map(_source, actions)),
        ai_sources_of_ingredients=tuple(
            _source(action) for manifest in others for action in _actions(manifest)
        ),
    )


def _state(validated: str, *, has_trust_list: bool) -> str:
    if validated not in ("Valid", "Trusted"):
        return "broken"
    if not has_trust_list:
        return "unknown_signer"
    return "trusted" if validated == "Trusted" else "untrusted"


def _failures(results: Mapping[str, Any]) -> Iterator[str]:
    """The codes of the checks that failed, of the file's own credentials and of ingredients'."""
    deltas = (each["validationDeltas"] for each in results.get("ingredientDeltas") or ())
    for checks in (results.get("activeManifest") or {}, *deltas):
        yield from (check["code"] for check in checks.get("failure") or ())


def _actions(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for assertion in manifest.get("assertions") or ():
        if assertion["label"].startswith("c2pa.actions"):
            yield from assertion["data"]["actions"]


def _action(action: Mapping[str, Any]) -> Action:
    return Action(
        action.get("action"),
        action.get("when"),
        _tool(action.get("softwareAgent")),
        _source(action),
    )


def _source(action: Mapping[str, Any]) -> str | None:
    source = action.get("digitalSourceType")
    return source if source is None else str(source).rpartition("/")[2]


def _tool(told: str | Mapping[str, Any] | Iterable[Any] | None) -> str | None:
    """A program: a text, its name and version, or a list that begins with these."""
    if isinstance(told, list):
        told = told[0] if told else None
    if isinstance(told, dict):
        parts = (text.clean(told.get(key)) for key in ("name", "version"))
        return " ".join(filter(None, parts))
    return told
