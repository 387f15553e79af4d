"""What may be kept of a model's rows, as the settings say."""

from __future__ import annotations

from kairos.app.project import Project
from kairos.app.settings import PrivacySettings
from kairos.models.signature import Signature
from kairos.privacy import CapturePolicy, load_or_make_key

__all__ = ["capture_policy"]


def capture_policy(project: Project, privacy: PrivacySettings, signature: Signature) -> CapturePolicy:
    """The policy of a version: by default all inputs are kept but free text and what is pseudonymised.

    Args:
        project: Whose secret pseudonyms rest on; it is made if there is none.
        privacy: The model's settings, or those that the version was deployed with.
        signature: The version's.
    """
    keep = privacy.keep
    if keep is None:
        own = [column.name for column in signature.columns if column.kind not in ("text", "array")]
        keep = tuple(name for name in own if name not in privacy.pseudonymise)
    return CapturePolicy(
        keep=frozenset(keep),
        pseudonymise=frozenset(privacy.pseudonymise),
        entity=privacy.entity,
        key=load_or_make_key(project.home / "capture.key"),
    )
