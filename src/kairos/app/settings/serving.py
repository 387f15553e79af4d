"""The part of a model's settings that a server keeps to, in the one form in which the ledger holds it."""

from __future__ import annotations

from dataclasses import dataclass

from kairos.app.settings.values import ModelSettings, PrivacySettings
from kairos.serving.guard import OutputGuard
from kairos.values import Json, plain, unplain

__all__ = ["ServingSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingSettings:
    """What may leave the server, and what may be kept of a request."""

    output: OutputGuard
    privacy: PrivacySettings

    @classmethod
    def of(cls, model: ModelSettings) -> ServingSettings:
        """What ``kairos.toml`` says."""
        return cls(output=model.output, privacy=model.privacy)

    def plain(self) -> Json:
        """The settings as the ledger holds them."""
        told: dict[str, Json] = plain(self)
        if not self.output.each:
            del told["output"]["each"]  # so that it is told as it was before there could be several outputs
        return told

    @classmethod
    def from_plain(cls, value: Json) -> ServingSettings:
        """Undoes ``plain``."""
        fields = unplain(value)
        privacy = dict(fields["privacy"])
        keep = privacy["keep"]
        return cls(
            output=OutputGuard(**{**fields["output"], "each": tuple(map(tuple, fields["output"].get("each", ())))}),
            privacy=PrivacySettings(
                keep=None if keep is None else tuple(keep),
                pseudonymise=tuple(privacy["pseudonymise"]),
                entity=privacy["entity"],
            ),
        )
