"""``python -m local_aws.fidelity``: write FIDELITY.md from what the engines say of themselves."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import botocore.session
import moto
from botocore.model import OperationModel, ServiceModel

from local_aws.control_plane import MOTO_SERVICES
from local_aws.instance import ENGINES
from local_aws.service import Feature, Operation, Service

PATH = Path(__file__).resolve().parent / "FIDELITY.md"

STATUSES = ("supported", "different", "refused")

INTRODUCTION = """\
# What the embedded AWS does as AWS does, and what not

Generated from the engines by `python -m local_aws.fidelity`; change the code, not this page.

An operation that is not listed here, an option that is listed as refused, and a statement or a
feature that is listed as refused fail with an AWS-shaped error (`NotImplemented`, or the engine's
own failure reason for SQL) that names it. Every option that is not listed as refused or ignored is
implemented; *ignored* ones are accepted because they change nothing here, and each says why.
*Different* is what a client could notice."""


def engines() -> dict[str, type[Service]]:
    """Every engine's class by the service's botocore name.

    Raises:
        ImportError: an engine cannot be imported; none is left out.
    """
    found = {}
    for name, where in ENGINES.items():
        module, _, attribute = where.partition(":")
        found[name] = getattr(importlib.import_module(module), attribute)
    return found


def render() -> str:
    """The whole page; the same code gives the same text.

    Raises:
        ValueError: an engine names an operation, an option or a status that does not exist.
    """
    session = botocore.session.Session()
    models = {name: session.get_service_model(name) for name in ENGINES}
    services = engines()
    parts = [INTRODUCTION, *_overview(services, models)]
    for name, service in services.items():
        parts += _service(models[name], service)
    parts += _moto()
    return "\n\n".join(parts) + "\n"


def _overview(services: dict[str, type[Service]], models: dict[str, ServiceModel]) -> Iterable[str]:
    rows = []
    for name, service in services.items():
        count = {s: sum(f.status == s for f in service.features) for s in STATUSES}
        title = _title(models[name])
        rows.append(
            (
                f"[{title}](#{_anchor(title)})",
                f"{len(service.operations())} of {len(models[name].operation_names)}",
                *(str(count[status]) for status in STATUSES),
            )
        )
    yield _table(("Service", "Operations", *(f"Features {s}" for s in STATUSES)), rows)


def _service(model: ServiceModel, service: type[Service]) -> Iterable[str]:
    yield f"## {_title(model)}"
    operations = service.operations()
    if unknown := sorted(set(operations) - set(model.operation_names)):
        raise ValueError(f"{service.__name__}: AWS has no operations {', '.join(unknown)}")
    rows = [
        _operation(model.operation_model(name), one) for name, one in sorted(operations.items())
    ]
    heads = ("Operation", "Status", "What it does", "Refused options", "Ignored options")
    yield _table(heads, rows)
    if service.features:
        yield _table(("Area", "Feature", "Status", "Note"), map(_feature, service.features))


def _operation(model: OperationModel, operation: Operation) -> Sequence[str]:
    members = list(model.input_shape.members) if model.input_shape else []
    implemented = {*operation.accepts, *operation.ignores}
    if unknown := sorted(implemented - set(members)):
        raise ValueError(f"{model.name}: AWS has no options {', '.join(unknown)}")
    refused = [member for member in members if member not in implemented]
    return (
        f"`{operation.name}`",
        "different" if operation.differs else "supported",
        " ".join(_sentence(text) for text in (operation.summary, operation.differs) if text),
        ", ".join(f"`{name}`" for name in refused),
        "; ".join(f"`{name}`: {_text(why)}" for name, why in sorted(operation.ignores.items())),
    )


def _feature(feature: Feature) -> Sequence[str]:
    if feature.status not in STATUSES:
        raise ValueError(
            f"{feature.area}, {feature.name}: the status is {feature.status!r}, expected one of"
            f" {', '.join(STATUSES)}"
        )
    return (_text(feature.area), _text(feature.name), feature.status, _text(feature.note))


def _moto() -> Iterable[str]:
    yield "## Served by moto"
    yield (
        f"These services are [moto](https://github.com/getmoto/moto)'s, version {moto.__version__},"
        " with their state kept on disk; see its"
        " [list of operations](https://docs.getmoto.org/en/latest/docs/services/index.html)."
    )
    yield _table(("Service", "Backend"), sorted((f"`{k}`", v) for k, v in MOTO_SERVICES.items()))
    yield "Every other service of AWS is refused by name."


def _title(model: ServiceModel) -> str:
    return str(model.metadata.get("serviceId", model.service_name))


def _anchor(title: str) -> str:
    """The fragment that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _text(text: str) -> str:
    """A docstring's or note's text as one Markdown table cell."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", " ".join(text.split())).replace("``", "`")
    spans = text.split("`")
    # Every other span is code, where < stands for itself.
    spans[::2] = [span.replace("<", "&lt;") for span in spans[::2]]
    return "`".join(spans).replace("|", "\\|")


def _sentence(text: str) -> str:
    text = _text(text)
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    PATH.write_text(render(), encoding="utf-8")
    print(f"wrote {PATH}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
