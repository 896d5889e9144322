-- Spectrum: a database of the lake, readable beside the warehouse's own tables.
-- External DDL cannot run in a transaction, so this is a statement of its own.
create external schema if not exists {{ params.schema }}
from data catalog
database '{{ params.glue_database }}'
iam_role '{{ params.role }}'
