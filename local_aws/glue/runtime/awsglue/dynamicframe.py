"""DynamicFrames exist on AWS only; using one says so and names the remedy."""

from __future__ import annotations

from typing import Any, NoReturn


class NotInEmbeddedGlue(NotImplementedError):
    """A part of AWS Glue that the embedded AWS does not have."""


def refuse(what: str) -> NoReturn:
    """Raise, naming what was used and what to use instead."""
    raise NotInEmbeddedGlue(
        f"The embedded AWS has no {what}: DynamicFrames are part of AWS Glue's own Spark only."
        " Use Spark DataFrames (spark.read, DataFrame.write), which run on AWS as well."
    )


class DynamicFrame:
    """Refused: use a Spark DataFrame."""

    def __init__(self, *_: Any, **__: Any) -> None:
        refuse("DynamicFrame")

    @classmethod
    def fromDF(cls, *_: Any, **__: Any) -> NoReturn:
        refuse("DynamicFrame.fromDF")


class Refused:
    """Anything under this name is refused when it is called."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Refused:
        if name.startswith("__"):
            raise AttributeError(name)
        return Refused(f"{self._name}.{name}")

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        refuse(self._name)


class DynamicFrameCollection(DynamicFrame):
    """Refused: use a dict of Spark DataFrames."""


class DynamicFrameReader(Refused):
    def __init__(self, *_: Any) -> None:
        super().__init__("DynamicFrameReader")


class DynamicFrameWriter(Refused):
    def __init__(self, *_: Any) -> None:
        super().__init__("DynamicFrameWriter")
