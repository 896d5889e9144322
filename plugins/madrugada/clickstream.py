"""What the DAGs of the clickstream share."""

from __future__ import annotations

SOURCE = "clickstream"

TURN = "clickstream"
"""What they take turns at, since they write the same tables."""

QUARANTINE = "clickstream_quarantine"
"""Its own: a pipeline publishes the whole of its quarantine (`bronze_to_silver.py` says why)."""
