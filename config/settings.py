"""How a worker is deployed: read from the environment, overridden by the flags of the command line.

| variable | default | what it is |
|---|---|---|
| `KAFKA_BOOTSTRAP_SERVERS` | `127.0.0.1:9092` | addresses of Kafka, `host:port`, a comma between |
| `RIPCURRENT_GROUP` | `ripcurrent` | the consumer group; workers of one group share the partitions |
| `RIPCURRENT_INSTANCE_ID` | none | a name that this worker keeps over restarts (static membership) |
| `RIPCURRENT_TOPIC_PREFIX` | none | stands before the name of every topic |
| `RIPCURRENT_CONFIG` | what is shipped | the folder with engine.yaml, signals/ and markets/ |
| `RIPCURRENT_STATE_DIR` | none | a folder that outlives the process, for copies of checkpoints: a restart is faster |
| `RIPCURRENT_HTTP_HOST` | `127.0.0.1` | where /metrics, /healthz and /readyz listen |
| `RIPCURRENT_HTTP_PORT` | `9640` | their port |
| `RIPCURRENT_CHECKPOINT_SECONDS` | `10` | how often state is written to RIPCURRENT_STATE_DIR; to Kafka no sooner |
| `RIPCURRENT_CHECKPOINT_SHARE` | `0.2` | bytes that checkpoints on Kafka may have for each byte of the source |
| `RIPCURRENT_TICK_SECONDS` | `30` | how long a partition is silent before the wall clock moves its event time |
| `RIPCURRENT_RELOAD_SECONDS` | `5` | how often the configuration's folder is looked at for changes |
| `RIPCURRENT_LOG_LEVEL` | `INFO` | DEBUG, INFO, WARNING or ERROR |

What an analyst decides (signals, markets, limits) is not here but in the catalogue: it changes alerts, these don't.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

import msgspec
from msgspec import Meta, Struct

from config.catalogue import SHIPPED
from config.problems import SettingsError as SettingsError
from config.security import VARIABLES

PREFIX = "RIPCURRENT_"
_SERVERS = r"^\s*[^\s,:]+:[0-9]{1,5}\s*(,\s*[^\s,:]+:[0-9]{1,5}\s*)*$"
_NAME = r"^[A-Za-z0-9._-]{1,200}$"


class Settings(Struct, frozen=True, kw_only=True):
    """The deployment of one worker."""

    bootstrap_servers: Annotated[str, Meta(pattern=_SERVERS)] = "127.0.0.1:9092"
    group: Annotated[str, Meta(pattern=_NAME)] = "ripcurrent"
    instance_id: Annotated[str, Meta(pattern=_NAME)] | None = None
    topic_prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{0,100}$")] = ""
    config: Path = SHIPPED
    state_dir: Path | None = None
    http_host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    http_port: Annotated[int, Meta(ge=0, le=65_535)] = 9640  # 0: any that is free
    checkpoint_seconds: Annotated[float, Meta(gt=0, le=3_600)] = 10.0
    checkpoint_share: Annotated[float, Meta(ge=0.01, le=1_000_000)] = 0.2
    tick_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 30.0
    reload_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 5.0
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class _Said(NamedTuple):
    """What a refusal says of a field."""

    variable: str
    expected: str


FIELDS = {
    "bootstrap_servers": _Said("KAFKA_BOOTSTRAP_SERVERS", "host:port, several with a comma between"),
    "group": _Said("RIPCURRENT_GROUP", "letters, digits, dots, dashes and underscores"),
    "instance_id": _Said("RIPCURRENT_INSTANCE_ID", "letters, digits, dots, dashes and underscores"),
    "topic_prefix": _Said("RIPCURRENT_TOPIC_PREFIX", "letters, digits, dots, dashes and underscores, at most 100"),
    "config": _Said("RIPCURRENT_CONFIG", "a folder with engine.yaml, signals/ and markets/"),
    "state_dir": _Said("RIPCURRENT_STATE_DIR", "a folder that is there"),
    "http_host": _Said("RIPCURRENT_HTTP_HOST", "an address of this machine, such as 127.0.0.1 or 0.0.0.0"),
    "http_port": _Said("RIPCURRENT_HTTP_PORT", "a whole number from 0 (any free port) to 65535"),
    "checkpoint_seconds": _Said("RIPCURRENT_CHECKPOINT_SECONDS", "a number of seconds, over 0 and at most 3600"),
    "checkpoint_share": _Said("RIPCURRENT_CHECKPOINT_SHARE", "a number from 0.01 to 1000000"),
    "tick_seconds": _Said("RIPCURRENT_TICK_SECONDS", "a number of seconds, over 0 and at most 86400"),
    "reload_seconds": _Said("RIPCURRENT_RELOAD_SECONDS", "a number of seconds, over 0 and at most 86400"),
    "log_level": _Said("RIPCURRENT_LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR"),
}


def read_settings(environ: Mapping[str, str], **flags: Any) -> Settings:
    """The settings of this environment. A flag that is not None wins; an empty variable counts as unset.

    >>> read_settings({"RIPCURRENT_HTTP_PORT": "9000"}, group="staging").http_port
    9000
    >>> read_settings({"RIPCURRENT_HTTP_PORT": "http"})
    Traceback (most recent call last):
    config.problems.SettingsError: RIPCURRENT_HTTP_PORT is 'http'; expected a whole number from 0 (any free port) \
to 65535: set it so, or unset it for 9640
    """
    defaults = Settings()
    types = get_type_hints(Settings, include_extras=True)
    given: dict[str, Any] = {}
    problems: list[str] = []
    for field, (variable, expected) in FIELDS.items():
        flag, text = flags.pop(field, None), environ.get(variable, "")
        if flag is None and not text:
            continue
        raw, name = (text, variable) if flag is None else (flag, "--" + field.replace("_", "-"))
        try:
            given[field] = _converted(raw, types[field], field)
        except ValueError:  # msgspec.ValidationError is one
            default = getattr(defaults, field)
            without = f"it for {default}" if default not in (None, "") else "it"
            remedy = f"set it so, or unset {without}" if flag is None else "give it so"
            problems.append(f"{name} is {str(raw)!r}; expected {expected}: {remedy}")
    if flags:
        raise TypeError(f"no such settings: {', '.join(flags)}")
    if problems:
        raise SettingsError(problems)
    return Settings(**given)


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """RIPCURRENT_* variables that mean nothing: likely mistyped. Those that Kubernetes sets for a service named
    ripcurrent are left out.
    """
    known = {said.variable for said in FIELDS.values()} | set(VARIABLES)
    service = re.compile(rf"{PREFIX}([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_.*)?)|PORT(_\d+_TCP.*|_\d+_UDP.*)?)$")
    found = sorted(name for name in environ if name.startswith(PREFIX))
    return [name for name in found if name not in known and not service.match(name)]


def _converted(raw: Any, kind: Any, field: str) -> Any:
    if kind in (Path, Path | None):
        if not Path(raw).is_dir():
            raise ValueError("no such folder")
        return Path(raw)
    text = raw.strip() if isinstance(raw, str) else raw
    if field == "log_level":
        text = str(text).upper()
    value = msgspec.convert(text, kind, strict=False)
    if field == "bootstrap_servers":
        ports = [int(server.rpartition(":")[2]) for server in value.split(",")]
        if not all(0 < port < 65_536 for port in ports):
            raise ValueError("no such port")
        return ",".join(server.strip() for server in value.split(","))
    if isinstance(value, float) and value != value:
        raise ValueError("not a number")
    return value
