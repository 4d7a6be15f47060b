"""``daxa-registry init``: a working deployment in one folder, one subfolder for each host that will run a part of it.

Made beside its final place and moved there when it is whole, so that a run that is stopped leaves nothing half made. Refuses
a folder that has something in it.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daxa_core.envelope import SigningKey
from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_core.model import Kind
from daxa_core.note import Witness
from daxa_core.parameters import Parameters
from daxa_core.pseudonym import SECRET_BYTES
from daxa_core.threshold import MAX_EVALUATORS

from .config import DEFAULT_QUOTA, DEFAULT_TRUST_DOMAIN
from .keys.authority_folder import ACTS, AuthorityFolder
from .keys.files import make_private_folder, write_public, write_secret
from .keys.pki import PEER_NAME, TRUST_DOMAIN
from .keys.shares import ShareFile, deal
from .keys.signing import SIGNING, VERIFICATION
from .keys.signing import make as make_signing_keys

MEMBERS = ("upbit", "bithumb", "coinone", "korbit", "gopax")
OPERATOR = "daxa"
METRICS_ABOVE = 300
"""How far above its own port a server's metrics are served."""
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,62})(\.[a-z0-9]([a-z0-9-]{0,62}))*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make."""

    members: Sequence[str] = MEMBERS
    threshold: int = 2
    evaluators: int = 3
    host: str = "127.0.0.1"
    base_port: int = 7400
    trust_domain: str = DEFAULT_TRUST_DOMAIN
    ports: Sequence[int] | None = None
    """The registry's port and then each evaluator's, where they are not base_port and those after it."""
    registry_host: str | None = None
    evaluator_hosts: Sequence[str] = ()
    """Where they are not all at ``host``: one for each evaluator, in order."""

    def port(self, place: int) -> int:
        """The port of the registry (0) or of an evaluator (its index)."""
        return self.ports[place] if self.ports else self.base_port + place

    def host_of(self, place: int) -> str:
        """The host of the registry (0) or of an evaluator (its index)."""
        if place == 0:
            return self.registry_host or self.host
        return self.evaluator_hosts[place - 1] if self.evaluator_hosts else self.host

    def target(self, place: int) -> str:
        """host:port of the registry (0) or of an evaluator (its index); an IPv6 address stands in brackets."""
        host = self.host_of(place)
        return f"[{host}]:{self.port(place)}" if ":" in host else f"{host}:{self.port(place)}"

    def check(self) -> None:
        """Raises ConfigurationError naming the argument that is wrong."""
        if not self.members or len(set(self.members)) != len(self.members):
            raise _refuse("member", "one or more, each once")
        if not all(PEER_NAME.fullmatch(member) for member in self.members):
            raise _refuse("member", "1 to 63 of a-z, 0-9, _ and -, a letter or digit first")
        if not 1 <= self.evaluators <= MAX_EVALUATORS:
            raise _refuse("evaluators", f"1 to {MAX_EVALUATORS}")
        if not 1 <= self.threshold <= self.evaluators:
            raise _refuse("threshold", "1 to as many as there are evaluators")
        if len(self.evaluator_hosts) not in (0, self.evaluators):
            raise _refuse("evaluator-host", f"none, or one for each of the {self.evaluators} evaluators")
        hosts = [("host", self.host), ("registry-host", self.host_of(0))]
        for name, host in (*hosts, *(("evaluator-host", host) for host in self.evaluator_hosts)):
            if not _is_host(host):
                raise _refuse(name, "an IP address or a host name that members can reach; not a wildcard")
        if not 1 <= self.port(0) <= 65_535 or not 1 <= self.port(self.evaluators) <= 65_535:
            raise _refuse("base-port", "a port with as many after it as there are evaluators")
        if not TRUST_DOMAIN.fullmatch(self.trust_domain):
            raise _refuse("trust-domain", "1 to 255 of a-z, 0-9, ., _ and -")


def _refuse(name: str, expected: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.INVALID_CONFIGURATION, name, expected)


def _is_host(host: str) -> bool:
    try:
        # Members are given this address too, and nobody can connect to 0.0.0.0.
        return not ipaddress.ip_address(host).is_unspecified and "%" not in host
    except ValueError:
        return bool(_HOST.fullmatch(host))


def make_deployment(folder: Path, plan: Plan) -> None:
    """Makes the folder, for its owner alone. Raises ConfigurationError where something is there or the plan is wrong."""
    plan.check()
    try:
        _make(folder.absolute(), plan)
    except OSError as error:
        wanted = f"a folder that can be made and written to, got {type(error).__name__}"
        raise ConfigurationError(ErrorCode.INVALID_FILE, str(folder), wanted) from None


def _make(folder: Path, plan: Plan) -> None:
    if folder.is_symlink() or folder.exists():
        if not folder.is_dir() or any(folder.iterdir()):
            raise ConfigurationError(ErrorCode.INVALID_FILE, str(folder), "a folder that is empty or not there yet")
        # It may be somebody's working folder or a mounted volume, so it stays what it is and is filled from within.
        scratch = Path(tempfile.mkdtemp(dir=folder, prefix=".init-"))
    else:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    made = [scratch]
    try:
        _fill(scratch, plan)
        if scratch.parent != folder:
            os.rename(scratch, folder)
            return
        parts = sorted(scratch.iterdir())
        made += [folder / part.name for part in parts]
        for part in parts:
            part.rename(folder / part.name)
        scratch.rmdir()
    except BaseException:
        for part in made:
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink(missing_ok=True)
        raise


def _fill(root: Path, plan: Plan) -> None:
    authority = AuthorityFolder.create(root / "ca", plan.trust_domain)
    parameters, shares = deal(plan.threshold, plan.evaluators)
    write_public(root / "README.md", _readme(plan, parameters).encode())
    registry = _peer(root / "registry", authority, "registry", _names(plan, 0))
    _registry(registry, plan, parameters)
    witnesses = {
        member: Witness(f"{member}.{plan.trust_domain}/witness", SigningKey.generate()) for member in plan.members
    }
    verification = make_signing_keys(
        registry, plan.trust_domain, int(time.time()), [witness.verifier for witness in witnesses.values()]
    )
    for share in shares:
        peer = _peer(
            root / "evaluators" / str(share.index), authority, f"evaluator/{share.index}", _names(plan, share.index)
        )
        _evaluator(peer, plan, parameters, share)
    for member in plan.members:
        home = _peer(root / "members" / member, authority, f"member/{member}", [])
        _member(home, plan, parameters, member)
        write_public(home / VERIFICATION, verification.to_json().encode())
        write_secret(home / "witness.key", witnesses[member].to_text().encode())
    _operator(_peer(root / "operators" / OPERATOR, authority, f"operator/{OPERATOR}", []), plan, parameters)
    write_public(registry / ACTS, authority.acts)


def _names(plan: Plan, place: int) -> list[str]:
    return sorted({"localhost", plan.host_of(place)})


def _peer(folder: Path, authority: AuthorityFolder, path: str, hosts: Sequence[str]) -> Path:
    """A folder for one peer, with its certificate, its key and the authority's certificate; a server's has its list too."""
    make_private_folder(folder)
    issued = authority.issue(path, hosts, by="init")
    write_public(folder / "ca.pem", authority.authority.certificate)
    if hosts:
        write_public(folder / "crl.pem", authority.revocation_list)
    write_public(folder / "cert.pem", issued.certificate)
    write_secret(folder / "key.pem", issued.key)
    return folder


_TLS = '[tls]\nca = "ca.pem"\ncertificate = "cert.pem"\nkey = "key.pem"\n'
_SERVER_TLS = f'{_TLS}crl = "crl.pem"   # `daxa-registry pki revoke` makes it; read again while the server runs\n'


def _metrics_port(plan: Plan, place: int) -> str:
    """Prometheus's port, on loopback alone; none where the ports were chosen one by one."""
    port = plan.base_port + METRICS_ABOVE + place
    return "" if plan.ports or port > 65_535 else f"metrics_port = {port}   # on 127.0.0.1 alone\n"


def _registry(folder: Path, plan: Plan, parameters: Parameters) -> None:
    members = ", ".join(f'"{member}"' for member in plan.members)
    write_public(folder / "parameters.json", parameters.to_json().encode())
    make_private_folder(folder / "data")
    text = (
        f'listen = "{plan.target(0)}"\ndatabase = "data/registry.sqlite"\nparameters = "parameters.json"\n'
        f'{_metrics_port(plan, 0)}signing = "{SIGNING}"\nverification = "{VERIFICATION}"\n'
        f'trust_domain = "{plan.trust_domain}"\nmembers = [{members}]\n\n{_SERVER_TLS}\n'
        "[retention]\nhours = 720        # how long a sighting counts\n"
        "batch_hours = 48   # how long a batch is known again by its id: 48 or more\n"
    )
    write_public(folder / "registry.toml", text.encode())


def _evaluator(folder: Path, plan: Plan, parameters: Parameters, share: ShareFile) -> None:
    write_public(folder / "parameters.json", parameters.to_json().encode())
    write_secret(folder / "share.json", share.to_json().encode())
    make_private_folder(folder / "data")
    quota = "".join(f"{kind.name} = {DEFAULT_QUOTA[kind]}\n" for kind in Kind)
    text = (
        f'listen = "{plan.target(share.index)}"\nshare = "share.json"\nparameters = "parameters.json"\n'
        f'{_metrics_port(plan, share.index)}data = "data"\ntrust_domain = "{plan.trust_domain}"\n\n{_SERVER_TLS}\n'
        f"# Elements of each kind that one caller may have evaluated in a UTC day.\n[quota]\n{quota}"
    )
    write_public(folder / "evaluator.toml", text.encode())


def _member(folder: Path, plan: Plan, parameters: Parameters, member: str) -> None:
    write_public(folder / "parameters.json", parameters.to_json().encode())
    write_secret(folder / "account.secret", secrets.token_bytes(SECRET_BYTES).hex().encode() + b"\n")
    make_private_folder(folder / "data")
    text = (
        f'member = "{member}"\n\n[registry]\ntargets = ["{plan.target(0)}"]\n\n{_evaluators_of(plan)}{_TLS}\n'
        '[fingerprints]\nparameters = "parameters.json"\ncache = "data/fingerprints.sqlite"\n'
        'account_secret = "account.secret"\n\n'
        f'[verification]\nkeys = "{VERIFICATION}"\ncheckpoint = "data/checkpoint"\nwitness = "witness.key"\n'
    )
    write_public(folder / "client.toml", text.encode())


def _operator(folder: Path, plan: Plan, parameters: Parameters) -> None:
    write_public(folder / "parameters.json", parameters.to_json().encode())
    text = (
        f'operator = "{OPERATOR}"\n\n[registry]\ntargets = ["{plan.target(0)}"]\n\n{_evaluators_of(plan)}{_TLS}\n'
        '[fingerprints]\nparameters = "parameters.json"\n'
    )
    write_public(folder / "operator.toml", text.encode())


def _evaluators_of(plan: Plan) -> str:
    return "".join(
        f'[[evaluator]]\nindex = {index}\ntarget = "{plan.target(index)}"\n\n'
        for index in range(1, plan.evaluators + 1)
    )


def _readme(plan: Plan, parameters: Parameters) -> str:
    starts = "\n".join(
        f"    daxa-registry evaluator evaluators/{index}/evaluator.toml" for index in range(1, plan.evaluators + 1)
    )
    return f"""# A deployment of the shared-key registry

{plan.threshold} of {plan.evaluators} evaluators are needed to make a fingerprint; the registry listens on `{plan.target(0)}`.
Start each of these in a terminal of its own, here:

{starts}
    daxa-registry serve registry/registry.toml

A member's engineer then writes `RegistryClient.from_file("members/{plan.members[0]}/client.toml")`.

## What goes where

Each subfolder stands alone: paths in its configuration are relative to it. Copy it to its host, then delete it here.

| folder | goes to | secret in it |
|---|---|---|
| `ca/` | nobody: keep it offline, its key can make anybody's certificate | `ca.key` |
| `registry/` | the host that DAXA runs | `signing.json`, `key.pem`; `data/` holds what members sent |
| `evaluators/<i>/` | a party of its own each: {plan.threshold} of them together can test guesses | `share.json`, `key.pem` |
| `members/<name>/` | that exchange's gateway | `account.secret`, `key.pem`, `witness.key`; `data/` holds its cache |
| `operators/{OPERATOR}/` | DAXA's operator | `key.pem` |

A server's certificate is good for `localhost` and for the host that `init` was told; `init --registry-host` and
`--evaluator-host` (once for each) tell several. Where a server must listen on another address than members connect to, change
`listen` in its configuration.

`parameters.json` is public and must be the same everywhere: key version {parameters.key_version}, digest
`{parameters.digest.hex()}`.
`verification.json` is public too: the keys that verdicts and the log are verified with. `daxa-registry signing-key rotate
registry` makes the next one; every member gets the new file before the new key signs.
`account.secret` is its member's alone, and must not change: with another, every customer of that member looks new.
Certificates are good for a year: `daxa-registry pki list --ca ca` tells until when, `pki renew` replaces one while its server
runs, and `pki revoke` shuts one out. Each act is a line of `ca/acts.jsonl`; copied beside `registry.toml`, it goes into the log.
An evaluator's `data/quota.sqlite` counts what it has evaluated for whom; without it, today's quota is forgiven.
"""
