"""What of Redshift's SQL is supported, different and refused, for the fidelity list."""

from __future__ import annotations

from local_aws.service import Feature

FEATURES: tuple[Feature, ...] = ()
