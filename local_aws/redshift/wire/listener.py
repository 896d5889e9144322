"""Listens for PostgreSQL clients where the embedded AWS listens, a thread for each connection."""

from __future__ import annotations

import contextlib
import hmac
import logging
import socket
import threading
from typing import TYPE_CHECKING

from local_aws.redshift.logins import LoginError
from local_aws.redshift.wire.connection import Connection

if TYPE_CHECKING:
    from local_aws.instance import Instance

MOST_CONNECTIONS = 100
STOP_SECONDS = 5.0
PAUSE_SECONDS = 0.5
log = logging.getLogger("local_aws.redshift.wire")


class Listener:
    """One address for every workgroup; threads of its own, so that HTTP requests do not wait."""

    def __init__(self, aws: Instance, port: int) -> None:
        self.aws = aws
        self._asked = port
        self._socket: socket.socket | None = None
        self._connections: dict[Connection, threading.Thread] = {}
        self._guard = threading.Lock()
        self._stopped = threading.Event()

    @property
    def port(self) -> int:
        """The port that it listens on; 0 was any free one."""
        return self._socket.getsockname()[1] if self._socket else self._asked

    @property
    def address(self) -> str:
        """Where clients find it: on every address, by this machine's name."""
        host = self.aws.config.host
        return socket.gethostname() if host == "0.0.0.0" else host  # noqa: S104

    def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is in use.
        """
        try:
            self._socket = socket.create_server((self.aws.config.host, self._asked), backlog=64)
        except OSError as error:
            raise OSError(error.errno, f"Redshift's port {self._asked}: {error.strerror}") from None
        threading.Thread(
            target=self._accept, args=(self._socket,), name="redshift-wire", daemon=True
        ).start()

    def _accept(self, listening: socket.socket) -> None:
        while not self._stopped.is_set():
            try:
                self._welcome(listening.accept()[0])
            except Exception:
                # One client less, or no file descriptor left: the next may be luckier.
                if not self._stopped.wait(PAUSE_SECONDS):
                    log.exception("a client could not be accepted")

    def _welcome(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, client)
        thread = threading.Thread(
            target=self._serve, args=(connection,), name="redshift-client", daemon=True
        )
        with self._guard:
            self._connections[connection] = thread
        thread.start()

    def _serve(self, connection: Connection) -> None:
        try:
            connection.run()
        finally:
            with self._guard:
                self._connections.pop(connection, None)

    def check_room(self) -> None:
        """Refuse a connection too many.

        Raises:
            LoginError: as PostgreSQL words it.
        """
        with self._guard:
            if len(self._connections) > MOST_CONNECTIONS:
                raise LoginError("53300", f"connection limit {MOST_CONNECTIONS} exceeded")

    def cancel(self, pid: int, secret: int) -> None:
        """Stop what the connection with that process id runs, if its secret is known."""
        with self._guard:
            found = [
                each
                for each in self._connections
                if each.session is not None
                and each.session.view.pid == pid
                and hmac.compare_digest(str(each.secret), str(secret))
            ]
        for each in found:
            each.cancel()

    def stop(self) -> None:
        """End every connection, and listen no more."""
        self._stopped.set()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        with self._guard:
            connections = dict(self._connections)
        for connection in connections:
            connection.terminate()
        for thread in connections.values():
            thread.join(STOP_SECONDS)
