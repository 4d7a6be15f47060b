"""``daxa-registry init``: a working deployment in one folder, one subfolder for each host that will run a part of it.

Made beside its final place and renamed, so that a run that is stopped leaves nothing half made. Refuses a folder that is there.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_core.model import Kind
from daxa_core.parameters import Parameters
from daxa_core.pseudonym import SECRET_BYTES

from .config import DEFAULT_QUOTA, DEFAULT_TRUST_DOMAIN
from .keys.files import write_public, write_secret
from .keys.pki import Authority
from .keys.shares import ShareFile, deal

MEMBERS = ("upbit", "bithumb", "coinone", "korbit", "gopax")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


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

    def port(self, place: int) -> int:
        """The port of the registry (0) or of an evaluator (its index)."""
        return self.ports[place] if self.ports else self.base_port + place

    def check(self) -> None:
        """Raises ConfigurationError naming the argument that is wrong."""

        def refuse(name: str, expected: str) -> ConfigurationError:
            return ConfigurationError(ErrorCode.INVALID_CONFIGURATION, name, expected)

        if not self.members or len(set(self.members)) != len(self.members):
            raise refuse("member", "one or more, each once")
        for member in self.members:
            if not _NAME.fullmatch(member):
                raise refuse("member", "1 to 63 of a-z, 0-9, _ and -")
        if not 1 <= self.threshold <= self.evaluators <= 255:
            raise refuse("threshold", "1 <= threshold <= evaluators <= 255")
        if not 1 <= self.port(0) <= 65_535 or not 1 <= self.port(self.evaluators) <= 65_535:
            raise refuse("base-port", "a port with as many after it as there are evaluators")


def make_deployment(folder: Path, plan: Plan) -> None:
    """Makes the folder. Raises ConfigurationError where it exists or the plan is wrong."""
    plan.check()
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise ConfigurationError(ErrorCode.INVALID_FILE, str(folder.name), "a folder that is not there yet, or empty")
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        _fill(scratch, plan)
        if folder.exists():
            folder.rmdir()
        os.rename(scratch, folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _fill(root: Path, plan: Plan) -> None:
    authority = Authority.create(plan.trust_domain)
    parameters, shares = deal(plan.threshold, plan.evaluators)
    write_public(root / "README.md", _readme(plan).encode())
    ca = _folder(root / "ca")
    write_public(ca / "ca.pem", authority.certificate)
    write_secret(ca / "ca.key", authority.key)
    hosts = sorted({"localhost", plan.host})
    _registry(_peer(root / "registry", authority, "registry", hosts), plan, parameters)
    for share in shares:
        _evaluator(_peer(root / "evaluators" / str(share.index), authority, f"evaluator/{share.index}", hosts), plan,
                   parameters, share)  # fmt: skip
    for member in plan.members:
        _member(_peer(root / "members" / member, authority, f"member/{member}", []), plan, parameters, member)
    operator = _peer(root / "operators" / "daxa", authority, "operator/daxa", [])
    write_public(operator / "operator.toml", _toml(operator=("daxa",), registry=f"{plan.host}:{plan.port(0)}").encode())


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, mode=0o700)
    return path


def _peer(folder: Path, authority: Authority, path: str, hosts: Sequence[str]) -> Path:
    """A folder for one peer, with its certificate, its key and the authority's certificate."""
    _folder(folder)
    issued = authority.issue(path, hosts)
    write_public(folder / "ca.pem", authority.certificate)
    write_public(folder / "cert.pem", issued.certificate)
    write_secret(folder / "key.pem", issued.key)
    return folder


_TLS = '[tls]\nca = "ca.pem"\ncertificate = "cert.pem"\nkey = "key.pem"\n'


def _toml(operator: tuple[str, ...], registry: str) -> str:
    return f'operator = "{operator[0]}"\n\n[registry]\ntargets = ["{registry}"]\n\n{_TLS}'


def _registry(folder: Path, plan: Plan, parameters: Parameters) -> None:
    members = ", ".join(f'"{member}"' for member in plan.members)
    write_public(folder / "parameters.json", parameters.to_json().encode())
    _folder(folder / "data")
    text = (
        f'listen = "{plan.host}:{plan.port(0)}"\ndatabase = "data/registry.sqlite"\nparameters = "parameters.json"\n'
        f'trust_domain = "{plan.trust_domain}"\nmembers = [{members}]\n\n{_TLS}\n'
        "[retention]\nhours = 720        # how long a sighting counts\nbatch_hours = 48   # how long a batch id is remembered\n"
    )
    write_public(folder / "registry.toml", text.encode())


def _evaluator(folder: Path, plan: Plan, parameters: Parameters, share: ShareFile) -> None:
    write_public(folder / "parameters.json", parameters.to_json().encode())
    write_secret(folder / "share.json", share.to_json().encode())
    _folder(folder / "data")
    quota = "".join(f"{kind.name} = {DEFAULT_QUOTA[kind]}\n" for kind in Kind)
    text = (
        f'listen = "{plan.host}:{plan.port(share.index)}"\nshare = "share.json"\nparameters = "parameters.json"\n'
        f'data = "data"\ntrust_domain = "{plan.trust_domain}"\n\n{_TLS}\n'
        f"# Elements of each kind that one member may have evaluated in a UTC day.\n[quota]\n{quota}"
    )
    write_public(folder / "evaluator.toml", text.encode())


def _member(folder: Path, plan: Plan, parameters: Parameters, member: str) -> None:
    write_public(folder / "parameters.json", parameters.to_json().encode())
    write_secret(folder / "account.secret", secrets.token_bytes(SECRET_BYTES).hex().encode() + b"\n")
    _folder(folder / "data")
    evaluators = "".join(
        f'[[evaluator]]\nindex = {index}\ntarget = "{plan.host}:{plan.port(index)}"\n\n'
        for index in range(1, plan.evaluators + 1)
    )
    text = (
        f'member = "{member}"\n\n[registry]\ntargets = ["{plan.host}:{plan.port(0)}"]\n\n{evaluators}{_TLS}\n'
        '[fingerprints]\nparameters = "parameters.json"\ncache = "data/fingerprints.sqlite"\naccount_secret = "account.secret"\n'
    )
    write_public(folder / "client.toml", text.encode())


def _readme(plan: Plan) -> str:
    starts = "\n".join(
        f"    daxa-registry evaluator evaluators/{i}/evaluator.toml" for i in range(1, plan.evaluators + 1)
    )
    return f"""# A deployment of the shared-key registry

{plan.threshold} of {plan.evaluators} evaluators are needed; the registry listens on {plan.host}:{plan.port(0)}.
Start each in a terminal of its own:

{starts}
    daxa-registry serve registry/registry.toml

Each subfolder stands alone and belongs on one host: copy it there and change `listen` and the targets in `client.toml`.

| folder | goes to | secret in it |
|---|---|---|
| `ca/` | nobody: keep it offline, it can make anybody | `ca.key` |
| `registry/` | the host that DAXA runs | `key.pem` |
| `evaluators/<i>/` | a party of its own each: {plan.threshold} together can test guesses | `share.json`, `key.pem` |
| `members/<name>/` | that exchange's gateway | `account.secret`, `key.pem` |
| `operators/daxa/` | DAXA's operator | `key.pem` |

`parameters.json` is public and must be the same everywhere. Server certificates are good for `localhost` and `{plan.host}`.
"""
