"""The HTTP server: one port for every service."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from cheroot import wsgi

from local_aws.control_plane import ControlPlane
from local_aws.gateway import Gateway
from local_aws.instance import Config, Instance
from local_aws.sweep import Sweep

THREADS = 24
"""For calls that do not wait; those that do, ``Config.max_waiting`` at most, have as many more.

All are there from the start: cheroot's pool never grows by itself.
"""


class Server:
    """Starts and stops one embedded AWS; usable as a context manager.

    >>> with Server(Config(state=Path("/tmp/state"))) as server:
    ...     boto3.client("s3", endpoint_url=server.endpoint_url)
    """

    def __init__(self, config: Config, services: list[str] | None = None) -> None:
        self.aws = Instance(config, services)
        queues: Any = self.aws.services.get("sqs")
        control_plane = ControlPlane(config.state / "moto", config.region, queues)
        self._http = wsgi.Server(
            (config.host, config.port),
            Gateway(self.aws, control_plane),
            numthreads=THREADS + config.max_waiting,
            request_queue_size=128,
            timeout=120,
            shutdown_timeout=2,
        )
        self._thread: threading.Thread | None = None
        self._sweep = Sweep({**self.aws.services, "moto": control_plane})

    @property
    def endpoint_url(self) -> str:
        return self.aws.endpoint_url

    def start(self) -> None:
        """Listen, and return when requests are answered.

        Raises:
            OSError: the port is in use.
        """
        self._http.prepare()
        self.aws.port = self._http.bind_addr[1]
        self._thread = threading.Thread(target=self._http.serve, name="http", daemon=True)
        self._thread.start()
        self.aws.start()
        self._sweep.start()

    def stop(self) -> None:
        self._sweep.stop()
        self.aws.end_waits()
        self._http.stop()
        if self._thread:
            self._thread.join(5)
        self.aws.stop()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
