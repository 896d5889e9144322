"""Who may connect to a database: the namespace's administrator, or temporary credentials.

Passwords are kept as salted hashes; one that Secrets Manager holds is read from there.
https://docs.aws.amazon.com/redshift/latest/mgmt/generating-user-credentials.html
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local_aws.instance import Instance

PASSWORD, TEMPORARY = "redshift-serverless/password", "redshift-serverless/credentials"
NAMESPACE, WORKGROUP = "redshift-serverless/namespace", "redshift-serverless/workgroup"


class LoginError(Exception):
    """A connection is refused, with PostgreSQL's code for why."""

    def __init__(self, state: str, message: str) -> None:
        super().__init__(message)
        self.state = state


@dataclass(frozen=True)
class Login:
    """The database that a client may use."""

    workgroup: str
    namespace: str
    database: str
    user: str


def _hashed(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=4096, r=8, p=1)


def set_password(aws: Instance, namespace: str, password: str) -> None:
    """Keep the administrator's password, not readable."""
    salt = secrets.token_bytes(16)
    aws.store.put(PASSWORD, namespace, {"salt": salt, "hash": _hashed(password, salt)})


def forget_password(aws: Instance, namespace: str) -> None:
    aws.store.delete(PASSWORD, namespace)


def make_temporary(
    aws: Instance, workgroup: str, database: str | None, user: str, expires: datetime
) -> str:
    """A password for one user of a workgroup until a time; for any database unless one is named."""
    now = aws.now()
    for key, known in aws.store.list(TEMPORARY):
        if known["Expires"] < now:
            aws.store.delete(TEMPORARY, key)
    password = secrets.token_urlsafe(48)
    key = hashlib.sha256(password.encode()).hexdigest()
    aws.store.put(TEMPORARY, key, {
        "Workgroup": workgroup, "Database": database, "User": user, "Expires": expires,
    })  # fmt: skip
    return password


def _is_administrator(aws: Instance, namespace: dict[str, Any], user: str, password: str) -> bool:
    if user != namespace["adminUsername"]:
        return False
    managed = namespace.get("adminPasswordSecretArn")
    if managed:
        found = aws.client("secretsmanager").get_secret_value(SecretId=managed)
        wanted = json.loads(found["SecretString"])["password"]
        return hmac.compare_digest(wanted.encode(), password.encode())
    kept = aws.store.get(PASSWORD, namespace["namespaceName"])
    return kept is not None and hmac.compare_digest(kept["hash"], _hashed(password, kept["salt"]))


def log_in(aws: Instance, user: str, database: str, password: str) -> Login:
    """The workgroup and database that these credentials open.

    Workgroups share one address here, where AWS has one for each; so the user, the password and
    the database say which is meant.

    Raises:
        LoginError: the password is wrong, or there is no such database.
    """
    temporary = aws.store.get(TEMPORARY, hashlib.sha256(password.encode()).hexdigest())
    if temporary is not None and (temporary["User"] != user or temporary["Expires"] < aws.now()):
        temporary = None
    opened: list[Login] = []
    for name, workgroup in aws.store.list(WORKGROUP):
        namespace = aws.store.get(NAMESPACE, workgroup["namespaceName"])
        if namespace is None:
            continue
        if temporary is not None:
            if temporary["Workgroup"] != name:
                continue
        elif not _is_administrator(aws, namespace, user, password):
            continue
        opened.append(Login(name, namespace["namespaceName"], namespace["dbName"], user))
    if not opened:
        raise LoginError("28000", f'password authentication failed for user "{user}"')
    wanted = [login for login in opened if login.database == database]
    if not wanted:
        raise LoginError("3D000", f'database "{database}" does not exist')
    if temporary is not None and temporary["Database"] not in (None, database):
        raise LoginError("28000", f'the credentials of "{user}" are not for "{database}"')
    if len(wanted) > 1:
        names = ", ".join(login.workgroup for login in wanted)
        raise LoginError(
            "0A000",
            f"These credentials open the database {database} of several workgroups: {names}."
            " The embedded AWS has one address for all; give them different passwords.",
        )
    return wanted[0]
