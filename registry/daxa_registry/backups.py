"""Backups of a running registry or evaluator, what is restored from them, and moving a registry from one store to another.

A restore is believed when the log, rebuilt from the leaves, has the root that the backup was made with; before that nothing is
put anywhere. Nothing is written over what is there. Taking keys out, restoring and moving are acts: of the registry's they are
leaves of the log, of an evaluator's, which has none, lines of ``acts.jsonl`` beside its configuration.

>>> make_backup(Path("registry.toml"), Path("monday.backup"), with_files=True, passphrase=b"…", by="kim").size   # doctest: +SKIP
1042
"""

from __future__ import annotations

import datetime
import json
import os
import sqlite3
import tempfile
import time
import tomllib
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

from daxa_core import merkle
from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_core.pseudonym import digest

from .bootstrap import check_empty, open_store
from .comparison import Contents, check_copy, contents_of
from .config import read_evaluator, read_registry
from .keys.authority_folder import ACTS
from .keys.files import append_line, make_private_folder
from .keys.pki import check_person
from .keys.signing import read_verification_keys
from .service import archive
from .service.acts import ActKind, record_act
from .service.audit import audit
from .store.interface import Store
from .store.transfer import same

DATABASE, QUOTA = "registry.sqlite", "quota.sqlite"
BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database while it is in use."""
PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Kept:
    """What is in a backup, or was restored: how many leaves with which root, rows by table, files beside the database."""

    size: int
    root: str
    rows: dict[str, int]
    files: tuple[str, ...]


def files_to_take(configuration: Path, out: Path, passphrase: bytes | None, by: str) -> list[Path]:
    """What a backup with files takes beside the database. Raises where :meth:`make_backup` would refuse to be asked for it."""
    check_person(by)
    if passphrase is None:
        raise ConfigurationError(
            ErrorCode.INVALID_CONFIGURATION, "--passphrase-file", "one, where keys go into the backup"
        )
    archive.check_place(out)
    database = _database_of(configuration)
    # A database that stands beside the configuration is no file of it: what is copied while it is in use is torn.
    own = {database.with_name(database.name + suffix) for suffix in ("", *BESIDE)}
    beside = configuration.absolute().parent.iterdir()
    return sorted(path for path in beside if path.is_file() and not path.is_symlink() and path not in own)


def make_backup(configuration: Path, out: Path, with_files: bool, passphrase: bytes | None, by: str) -> Kept:
    """The database behind a registry.toml as it is now, or the quota behind an evaluator.toml; it may be in use.

    ``with_files``: also the files beside the configuration, keys and shares among them, which is refused without a passphrase,
    and recorded as an act of ``by`` before they are out.
    """
    archive.check_place(out)
    files = files_to_take(configuration, out, passphrase, by) if with_files else []
    names = tuple(path.name for path in files)
    an_evaluators = _is_evaluators(configuration)
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=out.absolute().parent) as scratch:
        parts = {f"files/{path.name}": path for path in files}
        if an_evaluators:
            kept = Kept(0, "", {}, names)
            if (database := _database_of(configuration)).exists():
                parts[QUOTA] = _copied(database, Path(scratch) / QUOTA)
            if with_files:
                _note(configuration, ActKind.KEYS_BACKED_UP, by, {"files": names})
        else:
            config = read_registry(configuration, checked=False)
            store = open_store(config.database, make=False)
            try:
                parts[DATABASE] = Path(scratch) / DATABASE
                store.save(parts[DATABASE])
                kept = _checked(parts[DATABASE], config.verification, names)
                if with_files:
                    with store.transaction():
                        _record(store, ActKind.KEYS_BACKED_UP, by, kept)
            finally:
                store.close()
        manifest = {
            "made_at": int(time.time()), "configuration": configuration.name,
            "size": kept.size, "root": kept.root, "rows": kept.rows,
        }  # fmt: skip
        archive.write(out, parts, manifest, passphrase)
    return kept


def restore(backup: Path, target: Path, passphrase: bytes | None, by: str, dry_run: bool = False) -> Kept:
    """Puts a backup back: into the database behind an existing registry.toml, or with its files into a new folder.

    What was put there is compared with the backup, and then gets the act of ``by`` as its next leaf. Raises ConfigurationError
    where the backup is torn, its log does not fit, or something is there already; a dry run looks at all of that and no more.
    """
    check_person(by)
    with archive.unpacked(backup, passphrase) as (folder, manifest), ExitStack() as scratch:
        files = [Path(name).name for name in manifest["parts"] if name.startswith("files/")]
        if target.is_file():
            files, home, configuration = [], target.absolute().parent, target
            if _is_evaluators(target) == (folder / DATABASE).exists():
                wanted = "the configuration of a registry for a registry's backup, of an evaluator for an evaluator's"
                raise ConfigurationError(ErrorCode.INVALID_FILE, target.name, wanted)
        else:
            if manifest["configuration"] not in files:
                raise ConfigurationError(
                    ErrorCode.INVALID_FILE, target.name, "an existing registry.toml; this backup holds no configuration"
                )
            if target.exists():
                raise ConfigurationError(ErrorCode.INVALID_FILE, target.name, "a folder that is not there yet")
            archive.check_place(target)
            # Made beside its place and moved there when all of it is there.
            beside = tempfile.TemporaryDirectory(prefix=".restore-", dir=target.absolute().parent)
            home = Path(scratch.enter_context(beside)) / target.name
            configuration = folder / "files" / manifest["configuration"]
        kept = Kept(0, "", {}, tuple(files))
        if (folder / DATABASE).exists():
            verification = read_registry(configuration, checked=False).verification
            kept = _checked(folder / DATABASE, verification, tuple(files))
            if (kept.size, kept.root, kept.rows) != (manifest["size"], manifest["root"], manifest["rows"]):
                raise ConfigurationError(
                    ErrorCode.INVALID_FILE, backup.name, "a database with the root that it was made with"
                )
            check_empty(read_registry(configuration, checked=False).database)
        elif target.is_file() and (folder / QUOTA).exists():
            archive.check_new(_database_of(target))
        if dry_run:
            return kept
        if files:
            make_private_folder(home)
            for name in files:
                with os.fdopen(os.open(home / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                    out.write((folder / "files" / name).read_bytes())
        if (folder / QUOTA).exists():
            data = read_evaluator(home / configuration.name, checked=False).data
            make_private_folder(data)
            _put(folder / QUOTA, data / QUOTA)
        if not (folder / DATABASE).exists():
            _note(home / configuration.name, ActKind.BACKUP_RESTORED, by, {"files": files})
        if (folder / DATABASE).exists():
            there = _contents(folder / DATABASE)
            store = open_store(read_registry(home / configuration.name, checked=False).database)
            try:
                with store.transaction():
                    store.load(folder / DATABASE)
                    check_copy(there, store)
                    _record(store, ActKind.BACKUP_RESTORED, by, kept)
            finally:
                store.close()
        if files:
            home.rename(target)
    return kept


def migrate_store(source: str, target: str, by: str, dry_run: bool = False) -> Kept:
    """Moves a registry, which may be serving, from an SQLite file to an empty PostgreSQL database; the file is then retired, and
    the act of ``by`` is the next leaf in the new one.

    While it runs, the registry answers UNAVAILABLE to whoever writes, and clients come back later. Raises ConfigurationError,
    with the file as it was and in use and the database empty, where anything does not come out the same. A move that was stopped
    when all was copied is finished by the next. A dry run looks at both, and no more.
    """
    check_person(by)
    if "://" in source or not Path(source).is_file():
        raise ConfigurationError(ErrorCode.INVALID_FILE, "--from", "the SQLite file of a registry")
    try:
        old = open_store(source, make=False)
    except ConfigurationError as error:
        raise ConfigurationError(error.code, "--from", error.expected) from None
    try:
        if dry_run:
            _check_target(Path(source), old, target)
            return _described(old)
        new = open_store(target)
        try:
            with old.moving() as path:
                kept, there = _described(old), contents_of(old)
                verdicts = {member: _verdicts(old, member) for member in old.members()}
                copied = _was_copied(path, kept, old, new)
                with new.transaction():
                    if not copied:
                        new.load(path)
                    check_copy(there, new)
                    if verdicts != {member: _verdicts(new, member) for member in new.members()}:
                        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "--to", "the verdicts of --from")
            # Not before the file is retired: while it can still go on, the two have to be the same.
            with new.transaction():
                _record(new, ActKind.STORE_MOVED, by, kept)
        finally:
            new.close()
    finally:
        old.close()
    return kept


def _check_target(path: Path, old: Store, target: str) -> None:
    try:
        check_empty(target)
    except ConfigurationError as refusal:
        new = open_store(target, make=False)
        try:
            if not _was_copied(path, _described(old), old, new):
                raise refusal
        finally:
            new.close()


def _was_copied(path: Path, kept: Kept, old: Store, new: Store) -> bool:
    """Whether a move that was stopped left all of that file, which nobody writes to now, in the new store.

    Raises ConfigurationError where it did, and the file has gone on since.
    """
    there = _described(new)
    if not any(there.rows.values()):
        return False
    if there == kept:
        with tempfile.TemporaryDirectory(prefix=".move-", dir=path.parent) as scratch:
            new.save(Path(scratch) / DATABASE)
            if same(path, Path(scratch) / DATABASE):
                return True
    if there.size and there.size <= kept.size and merkle.root_at(there.size, old.tree_hashes).hex() == there.root:
        wanted = "an empty database; this one holds the same registry as it was at a move that was stopped"
        advice = "drop it, if no registry serves from it, and move into a new one"
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "--to", f"{wanted}: {advice}")
    return False


def _record(store: Store, kind: ActKind, by: str, kept: Kept) -> None:
    """What was done to the registry, in its log; inside a transaction."""
    detail = {"size": kept.size, "root": kept.root, "files": list(kept.files)}
    record_act(store, f"registry/{by}", kind, detail, int(time.time()))


def _note(configuration: Path, kind: ActKind, by: str, detail: Mapping[str, object]) -> None:
    """What was done to an evaluator, in its own party's record."""
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    append_line(configuration.absolute().with_name(ACTS), json.dumps({"at": at, "by": by, "act": kind, **detail}))


def _database_of(configuration: Path) -> Path:
    """The file of a registry's database, or of an evaluator's quota; of a database that is no file, a path where none is."""
    if _is_evaluators(configuration):
        return read_evaluator(configuration, checked=False).data / QUOTA
    return Path(read_registry(configuration, checked=False).database)


def _is_evaluators(configuration: Path) -> bool:
    try:
        return "share" in tomllib.loads(configuration.read_text("utf-8"))
    except (ValueError, RecursionError):
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, configuration.name, "TOML in UTF-8") from None


def _copied(quota: Path, out: Path) -> Path:
    try:
        with closing(sqlite3.connect(quota)) as source, closing(sqlite3.connect(out)) as target:
            source.backup(target)
    except sqlite3.Error:
        raise ConfigurationError(ErrorCode.INVALID_FILE, quota.name, "a quota file that is whole") from None
    return out


def _checked(database: Path, verification: Path, files: tuple[str, ...]) -> Kept:
    """What a database file holds, after its log was rebuilt leaf by leaf."""
    store = open_store(str(database))
    try:
        report = audit(store, read_verification_keys(verification))
        if report.problem is not None:
            wanted = f"a log that fits; leaf {report.problem.index}: {report.problem.what}"
            raise ConfigurationError(ErrorCode.INVALID_FILE, database.name, wanted)
        return Kept(report.size, report.root.hex(), dict(store.counts()), files)
    finally:
        store.close()
        for suffix in BESIDE:
            with suppress(FileNotFoundError):
                database.with_name(database.name + suffix).unlink()


def _described(store: Store) -> Kept:
    size = store.log_size()
    return Kept(size, merkle.root_at(size, store.tree_hashes).hex(), dict(store.counts()), ())


def _contents(database: Path) -> Contents:
    store = open_store(str(database))
    try:
        return contents_of(store)
    finally:
        store.close()


def _verdicts(store: Store, member: int) -> bytes:
    """A digest of every change of a member, in order."""
    made, sequence = b"", 0
    while page := store.verdicts_after(member, sequence, PAGE):
        for sequence, body in page:
            made = digest("daxa verdicts of a member v1", made + sequence.to_bytes(8, "big") + body)
    return made


def _put(source: Path, target: Path) -> None:
    archive.check_new(target)
    target.write_bytes(source.read_bytes())
    target.chmod(0o600)
