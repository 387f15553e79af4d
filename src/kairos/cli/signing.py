"""``models sign`` and ``models verify``."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from kairos.cli.opening import open_project
from kairos.cli.output import say, show_json
from kairos.store.files import write_atomically
from kairos.values import VersionRef, plain

if TYPE_CHECKING:
    from kairos.app.project import Project
    from kairos.values import Digest

__all__ = ["sign", "verify"]


def sign(args: Namespace) -> int:
    """Signs a version's package, and writes that down in the ledger."""
    from kairos.app.signing import sign as sign_package

    with open_project(args) as project:
        package = _package(project, args.version)
        signature = sign_package(project, package, key=args.key)
        _keep(project, args, signature)
        if args.json:
            show_json({"version": args.version, "package": package, "signature": signature})
        else:
            say(f"{args.version} is signed: every file of its package {package}. Signature {signature}")
    return 0


def verify(args: Namespace) -> int:
    """Says whose signature of a version's package holds; one that does not is an error."""
    from kairos.app.signing import verify as verify_package

    with open_project(args) as project:
        package = _package(project, args.version)
        signed = verify_package(project, package, keys=[args.key] if args.key else [])
        _keep(project, args, signed.signature)
        if args.json:
            show_json({"version": args.version, **plain(signed)})
        else:
            say(
                f"{args.version} is as {signed.by} signed it (entry {signed.seq}), every file of package {package}.",
                f"The signature holds for {signed.key}, SHA-256 {signed.key_sha256[:16]}…",
            )
    return 0


def _package(project: Project, version: str) -> Digest:
    ref = VersionRef.parse(version)
    return project.state().model(ref.model).version(ref.number).package


def _keep(project: Project, args: Namespace, signature: Digest) -> None:
    if args.output is not None:
        write_atomically(args.output, project.store.get_bytes(signature, verify=True))
