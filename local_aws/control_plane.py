"""The services that moto serves, and their state on disk.

moto keeps its state in memory. After each call that may have changed a service, that service's
backend is written to the state folder, and read back when the embedded AWS starts again, also by
another version of moto, as far as that can read it.
"""

from __future__ import annotations

import copyreg
import io
import logging
import os
import threading
import time
from collections import ChainMap, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import moto
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from local_aws import snapshots
from local_aws.sqs.for_sns import queues_of

if TYPE_CHECKING:
    from local_aws.sqs.engine import Sqs

log = logging.getLogger("local_aws.control_plane")

MOTO_SERVICES = {
    "iam": "iam",
    "sts": "sts",
    "sns": "sns",
    "secretsmanager": "secretsmanager",
    "ssm": "ssm",
    "kms": "kms",
    "monitoring": "cloudwatch",
}
"""Signing name to moto's backend name; a service that only pretends is not in this list."""

_TRIES = 20
_CHANGES_NOTHING = ("Get", "List", "Describe", "Simulate", "Publish")
"""What SNS publishes is in the queues; moto notes it once more, for tests to look at."""
_LOCK, _RLOCK = type(threading.Lock()), type(threading.RLock())

_PRIVATE_KEYS = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)


def _read_key(pkcs8: bytes) -> Any:
    return serialization.load_der_private_key(pkcs8, None)


class _Pickler(cloudpickle.Pickler):
    """Locks are made anew when a backend is read back."""

    dispatch_table = ChainMap(
        {_LOCK: lambda _: (threading.Lock, ()), _RLOCK: lambda _: (threading.RLock, ())},
        cloudpickle.Pickler.dispatch_table,
    )

    def reducer_override(self, value: Any) -> Any:
        """What pickle cannot do: keys of KMS, subclasses of defaultdict with other arguments."""
        kind = type(value)
        if isinstance(value, _PRIVATE_KEYS):
            pkcs8 = value.private_bytes(
                Encoding.DER, PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            return _read_key, (pkcs8,)
        if isinstance(value, defaultdict) and kind is not defaultdict:
            state = (value.__dict__, {"default_factory": value.default_factory})
            return copyreg.__newobj__, (kind,), state, None, iter(value.items())  # type: ignore[attr-defined]
        return super().reducer_override(value)


class ControlPlane:
    """moto behind one WSGI call, with a snapshot per service under ``folder``.

    ``queues`` are where SNS delivers to.

    Raises:
        UnreadableSnapshot: a service would lose what it held.
    """

    def __init__(self, folder: Path, region: str, queues: Sqs | None = None) -> None:
        self._queues = queues
        self.folder = folder / moto.__version__
        self.region = region
        self._app = DomainDispatcherApplication(create_backend_app)
        self._locks = {name: threading.Lock() for name in MOTO_SERVICES.values()}
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in MOTO_SERVICES.values():
            self._restore(name)

    def wsgi(
        self, service: str, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        with queues_of(self._queues):
            answer = list(self._app(environ, start_response))
        if not self._changes_nothing(environ, body):
            self._snapshot(MOTO_SERVICES[service])
        return answer

    def expire(self) -> None:
        """Forget the copies that moto keeps of what was published."""
        noted = [
            topic.sent_notifications
            for region in list(self._regions("sns").values())
            for topic in list(region.topics.values())
            if topic.sent_notifications
        ]
        for notifications in noted:
            notifications.clear()
        if noted:
            self._snapshot("sns")

    @staticmethod
    def _changes_nothing(environ: dict[str, Any], body: bytes) -> bool:
        name = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        if not name and b"Action=" in body:
            name = body.split(b"Action=", 1)[1].split(b"&", 1)[0].decode()
        return name.startswith(_CHANGES_NOTHING)

    def _regions(self, name: str) -> Any:
        return get_backend(name)[DEFAULT_ACCOUNT_ID]  # type: ignore[call-overload]

    def _snapshot(self, name: str) -> None:
        path = self.folder / f"{name}.pickle"
        with self._locks[name]:
            scratch = path.with_suffix(".new")
            scratch.write_bytes(self._pickle(name))
            os.replace(scratch, path)

    def _pickle(self, name: str) -> bytes:
        """A backend's state; again when another call changed it meanwhile."""
        for attempt in range(1, _TRIES + 1):
            buffer = io.BytesIO()
            try:
                _Pickler(buffer).dump(dict(self._regions(name).items()))
            except RuntimeError:  # a dictionary changed size during iteration
                if attempt == _TRIES:
                    raise
                time.sleep(0.001 * attempt)
            else:
                break
        return buffer.getvalue()

    def _restore(self, name: str) -> None:
        path = snapshots.newest(self.folder.parent, name)
        if path is None:
            return
        regions = self._regions(name)
        for region, backend in snapshots.read(path).items():
            regions[region] = backend
        log.info("read %s back from %s", name, path)
        if path.parent != self.folder:
            self._snapshot(name)
            snapshots.set_aside(path)
