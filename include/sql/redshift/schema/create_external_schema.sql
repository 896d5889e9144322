-- Spectrum: the lake's gold database, readable beside the warehouse's own tables.
-- External DDL cannot run in a transaction, so this is a statement of its own.
create external schema if not exists spectrum
from data catalog
database '{{ params.gold_database }}'
iam_role '{{ params.role }}'
