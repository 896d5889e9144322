"""What Athena's SQL can do here, for the fidelity list."""

from __future__ import annotations

from local_aws.service import Feature

FEATURES: tuple[Feature, ...] = ()
