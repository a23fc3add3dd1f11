"""A Kafka that lets in by TLS and a user, and asks an authorizer: for tests of security."""

import base64
import contextlib
import json
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    UserScramCredentialUpsertion,
)

from streams.broker_base import Broker
from streams.broker_java import free_ports, java_broker
from streams.rights import Right

SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
OAUTH = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"


class Certificates:
    """An authority, and what it has signed: PEM files in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.ca, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        _openssl("req", "-x509", *_new_key(self._key), "-subj", f"/CN={name}", "-days", "2", "-out", self.ca)

    def sign(self, name: str, host: str | None = None) -> tuple[Path, Path]:
        """A certificate and its key."""
        cert, key, ask = (self.folder / f"{self.name}-{name}.{end}" for end in ("pem", "key", "csr"))
        more = self.folder / f"{self.name}-{name}.ext"
        more.write_text(f"subjectAltName={host}\n" if host else "basicConstraints=CA:FALSE\n")
        _openssl("req", *_new_key(key), "-subj", f"/CN={name}", "-out", ask)
        _openssl("x509", "-req", "-in", ask, "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial", "-days", "2",
                 "-extfile", more, "-out", cert)  # fmt: skip
        return cert, key


def _new_key(path: Path) -> list[str | Path]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path]


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class SecureKafka:
    """`plain` is the test's own door, as a super user; `sasl` wants a user, `mutual` a certificate, `elsewhere` shows
    the certificate of another host."""

    def __init__(self, folder: Path, logs: Path) -> None:
        self.folder = folder
        self.certificates = Certificates(folder, "authority")
        self.stranger = Certificates(folder, "stranger")
        ports = free_ports(3)
        self.sasl, self.mutual, self.elsewhere = (f"127.0.0.1:{port}" for port in ports)
        own = _keystore(folder / "broker.store", *self.certificates.sign("broker", "IP:127.0.0.1"))
        other = _keystore(folder / "other.store", *self.certificates.sign("other", "DNS:kafka.example"))
        self._broker: Broker = java_broker(logs, lambda base: base | self._properties(base, own, other))
        self.plain = self._broker.bootstrap_servers

    def _properties(self, base: dict[str, str], own: Path, other: Path) -> dict[str, str]:
        doors = f"SASL://{self.sasl},MUTUAL://{self.mutual},ELSEWHERE://{self.elsewhere}"
        of_sasl = {f"listener.name.{name}.{key}": value for name in ("sasl", "elsewhere") for key, value in {
            "sasl.enabled.mechanisms": "SCRAM-SHA-512,OAUTHBEARER",
            "scram-sha-512.sasl.jaas.config": f"{SCRAM} required;",
            "oauthbearer.sasl.jaas.config": f"{OAUTH} required;",
        }.items()}  # fmt: skip
        return {
            "listeners": f"{base['listeners']},{doors}",
            "advertised.listeners": f"{base['advertised.listeners']},{doors}",
            "listener.security.protocol.map":
                f"{base['listener.security.protocol.map']},SASL:SASL_SSL,MUTUAL:SSL,ELSEWHERE:SASL_SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(own),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.certificates.ca),
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.elsewhere.ssl.keystore.location": str(other),
            "listener.name.elsewhere.ssl.keystore.type": "PEM",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "connections.max.reauth.ms": "4000",  # connections end all the time: nothing may be lost by that
            **of_sasl,
        }  # fmt: skip

    def stop(self) -> None:
        self._broker.stop()

    # -- users and rights ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def admin(self) -> Iterator[KafkaAdminClient]:
        made = KafkaAdminClient(bootstrap_servers=self.plain)
        try:
            yield made
        finally:
            made.close()

    def add_user(self, name: str, password: str) -> None:
        with self.admin() as admin:
            admin.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(name, "SCRAM-SHA-512", password.encode(), iterations=4096)]
            )

    def allow(self, user: str, rights: Iterable[Right]) -> None:
        with self.admin() as admin:
            admin.create_acls(list(_acls(user, rights)))

    def take_away(self, user: str, right: Right) -> None:
        with self.admin() as admin:
            admin.delete_acls([
                ACLFilter(acl.principal, acl.host, acl.operation, acl.permission_type, ResourcePatternFilter(
                    acl.resource_pattern.resource_type, acl.resource_pattern.resource_name,
                    ACLResourcePatternType.LITERAL,
                ))
                for acl in _acls(user, [right])
            ])  # fmt: skip


def _acls(user: str, rights: Iterable[Right]) -> Iterator[ACL]:
    for right in rights:
        kind = ResourceType[right.resource.upper().replace("-", "_")]
        for operation in right.operations:
            named = "DESCRIBE_CONFIGS" if operation == "DescribeConfigs" else operation.upper()
            pattern = ResourcePattern(kind, right.name)
            yield ACL(f"User:{user}", "*", ACLOperation[named], ACLPermissionType.ALLOW, pattern)


def _keystore(path: Path, certificate: Path, key: Path) -> Path:
    path.write_bytes(key.read_bytes() + certificate.read_bytes())
    return path


def unsecured_token(user: str, seconds: float = 600) -> str:
    """A token as Kafka takes it where nothing else is configured: a JWS without a signature."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": user, "iat": now - 1, "exp": now + seconds})
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."
