"""What the DAGs of films share."""

from __future__ import annotations

CATALOGUE, TMDB = "catalogue", "tmdb"

TURN = "movies"
"""What they take turns at, since they write the same tables."""

QUARANTINE = "movies_quarantine"
"""Its own: a pipeline publishes the whole of its quarantine (`bronze_to_silver.py` says why)."""
