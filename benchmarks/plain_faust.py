"""The yardstick of bench_live.py: a Faust agent as Faust's documentation writes it, that only counts raw records.

    KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:9092 TOPIC=creator-events python benchmarks/plain_faust.py worker --without-web

It neither decodes nor keeps anything. Four times a second it writes what it has counted, as a line of JSON.
"""

import json
import os
import sys
import time

import faust

app = faust.App(
    os.environ.get("GROUP", "plain-faust"),
    broker="kafka://" + os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
    value_serializer="raw",
    consumer_auto_offset_reset="earliest",
    topic_allow_declare=False,  # the topic is there
)
topic = app.topic(os.environ.get("TOPIC", "creator-events"), value_serializer="raw")
counted = 0


@app.agent(topic)
async def count(stream):
    global counted
    async for _ in stream:
        counted += 1


@app.timer(0.25)
async def tell():
    print(json.dumps({"counted": counted, "at": time.monotonic()}), file=sys.__stdout__, flush=True)  # past Faust's log


if __name__ == "__main__":
    app.main()
