"""A worker for test_source.py: what it saw goes, one JSON object a line, to the file it is told."""

import asyncio
import json
import logging
import sys
from typing import Any

import msgspec

from streams.source import KafkaSettings, Run, Source, make_app, run_worker


class Options(msgspec.Struct, kw_only=True):
    kafka: KafkaSettings
    log: str
    starts: dict[str, int] = {}  # by partition: what restore answers
    state: str = ""  # a folder: restore answers what was last declared durable, by any worker
    durable_every: int = 1  # of so many runs, or 0: never
    restore_seconds: float = 0.0
    run_seconds: float = 0.0
    crash_at: int = -1
    other: str = ""  # a topic that gets a message for each run, and is read the way Faust reads topics


def main() -> None:
    options = msgspec.json.decode(sys.argv[1], type=Options)
    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=form)
    out = open(options.log, "a", buffering=1)  # noqa: SIM115 - as long as the process

    def tell(what: str, **fields: Any) -> None:
        out.write(json.dumps({"what": what, **fields}) + "\n")

    class Owner:
        async def restore(self, partitions: set[int]) -> dict[int, int | None]:
            tell("restoring", partitions=sorted(partitions))
            await asyncio.sleep(options.restore_seconds)
            starts: dict[int, int | None] = {}
            for p in partitions:
                starts[p] = options.starts.get(str(p))
                if options.state:
                    try:
                        with open(f"{options.state}/{p}") as file:
                            starts[p] = int(file.read())
                    except FileNotFoundError:
                        starts[p] = 0
            tell("restored", starts={str(p): o for p, o in starts.items()})
            return starts

        async def settle(self, partitions: set[int]) -> None:
            tell("settle", partitions=sorted(partitions))

        async def revoked(self, partitions: set[int]) -> None:
            tell("revoked", partitions=sorted(partitions))

    app = make_app(options.kafka)
    source = Source(app, Owner())
    other = app.topic(options.other, value_type=bytes, value_serializer="raw") if options.other else None
    seen = 0

    @app.agent(source.topic)
    async def count(stream: Any) -> None:
        nonlocal seen
        async for run in source.runs(stream):
            await handle(run)
            seen += 1

    async def handle(run: Run) -> None:
        offsets = [record.offset for record in run.records]
        if options.crash_at in offsets:
            raise ValueError("the agent met its bug")
        if options.run_seconds:
            await asyncio.sleep(options.run_seconds)
        now = asyncio.get_running_loop().time()
        fetched = max(app.consumer._thread._next.values(), default=0)
        span = {"first": offsets[0], "last": offsets[-1], "n": len(offsets)}
        tell("run", partition=run.partition, at=now, fetched=fetched, **span)
        if other is not None:
            sent = await other.send(value=b"%d" % offsets[-1])
            assert (await sent).offset >= 0  # it is acknowledged before the run is done
        if options.durable_every and seen % options.durable_every == 0:
            if options.state:
                with open(f"{options.state}/{run.partition}", "w") as file:
                    file.write(str(run.next_offset))
            source.durable(run.partition, run.next_offset)
            tell("durable", partition=run.partition, offset=run.next_offset)

    if other is not None:

        @app.agent(other)
        async def read_other(stream: Any) -> None:
            async for value in stream:
                tell("other", value=int(value))

    run_worker(app)


if __name__ == "__main__":
    main()
