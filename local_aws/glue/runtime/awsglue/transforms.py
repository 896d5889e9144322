"""Transforms of DynamicFrames: the names exist so that imports work; applying one is refused."""

from __future__ import annotations

from awsglue.dynamicframe import Refused

ApplyMapping = Refused("ApplyMapping")
DropFields = Refused("DropFields")
DropNullFields = Refused("DropNullFields")
ErrorsAsDynamicFrame = Refused("ErrorsAsDynamicFrame")
FillMissingValues = Refused("FillMissingValues")
Filter = Refused("Filter")
FindIncrementalMatches = Refused("FindIncrementalMatches")
FindMatches = Refused("FindMatches")
FlatMap = Refused("FlatMap")
GlueTransform = Refused("GlueTransform")
Join = Refused("Join")
Map = Refused("Map")
MapToCollection = Refused("MapToCollection")
Relationalize = Refused("Relationalize")
RenameField = Refused("RenameField")
Repartition = Refused("Repartition")
ResolveChoice = Refused("ResolveChoice")
SelectFields = Refused("SelectFields")
SelectFromCollection = Refused("SelectFromCollection")
Spigot = Refused("Spigot")
SplitFields = Refused("SplitFields")
SplitRows = Refused("SplitRows")
Unbox = Refused("Unbox")
Union = Refused("Union")
UnnestFrame = Refused("UnnestFrame")
