"""Everything that Ripcurrent raises on purpose.

```
RipcurrentError
├── ConfigError        the catalogue or a setting is wrong: where, what was expected, what to do
├── RecordError        one record breaks the contract: it becomes a dead letter
├── CheckpointError    a checkpoint can't be used: which, and why
│   └── CheckpointFormatError it is whole, but another version wrote it
├── DeadLetterLimitError too many records are bad: the deployment is broken, not the data
└── BrokersAwayError   no broker answers, or none takes what is sent, for longer than the limit
```
"""


class RipcurrentError(Exception):
    """Base of all; its text is one line that says what happened, where, and what to do."""


class ConfigError(RipcurrentError):
    """The configuration is refused."""


class RecordError(RipcurrentError):
    """A record that breaks the contract of the source topic."""

    def __init__(self, reason: str, path: str, detail: str) -> None:
        super().__init__(f"{detail} - at `{path}`" if path else detail)
        self.reason = reason
        self.path = path
        self.detail = detail


class CheckpointError(RipcurrentError):
    """A checkpoint that can't be restored."""


class CheckpointFormatError(CheckpointError):
    """A whole checkpoint of another format."""


class DeadLetterLimitError(RipcurrentError):
    """The share of bad records is over its limit."""


class BrokersAwayError(RipcurrentError):
    """Kafka is away for longer than the limit."""
