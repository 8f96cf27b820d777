#!/usr/bin/env python3
"""A worker in Python, with nothing but redis-py: hashes files, one item each.

    REDIS_URL=redis://127.0.0.1:6379 HEADWAY_TENANT=demo python3 worker.py job_123 FILE...

Users may pause, resume and cancel it while it runs. When Redis is away it waits, and what it
said arrives once. Copy the class Headway into your own worker. For a single Redis or Sentinel.
"""

import binascii
import hashlib
import json
import os
import sys
import time
import uuid

import redis

POLL_S = 0.25
RETRY_S = 0.25
HEARTBEAT_S = 5


class Headway:
    def __init__(self, url, tenant, prefix="hw"):
        self.redis = redis.Redis.from_url(url, decode_responses=True, socket_timeout=2)
        self.tenant = tenant
        self.prefix = prefix
        self.producer = "py-" + uuid.uuid4().hex  # a new one for each process
        self.sent = {}  # partition -> number of the last entry
        partitions = self._until_answered(lambda: self.redis.hget(f"{prefix}:config", "partitions"))
        if partitions is None:
            raise SystemExit(f"{prefix}:config is not in this Redis: start a gateway on it first")
        self.partitions = int(partitions)

    def send(self, type, job, data):
        """Stored when it returns. The same number sent again has no second effect."""
        n = self._partition(job)
        number = self.sent.get(n, 0) + 1
        entry = {"type": type, "tenant": self.tenant, "job": job, "data": json.dumps(data),
                 "p": self.producer, "n": number}
        self._until_answered(lambda: self.redis.xadd(f"{self.prefix}:{{p{n}}}:ingest", entry))
        self.sent[n] = number

    def control(self, job):
        """State of the job, and the id of the request that waits to be acknowledged ('' = none)."""
        key = f"{self.prefix}:{{p{self._partition(job)}}}:job:{self.tenant}/{job}"
        state, request = self._until_answered(lambda: self.redis.hmget(key, "state", "control"))
        return state, request or ""

    def may_go_on(self, job):
        """Between two items: waits while users want a pause. False = the job is canceled or over."""
        acknowledged, beat = "", time.monotonic()
        while True:
            state, request = self.control(job)
            if request and request != acknowledged:
                self.send("job.heartbeat", job, {"ack": request})
                acknowledged = request
            if state == "pausing":
                self.send("job.state", job, {"state": "paused"})
            elif state == "canceling":
                self.send("job.state", job, {"state": "canceled"})
                return False
            elif state != "paused":
                return state in (None, "pending", "running")  # None: not applied yet
            if time.monotonic() - beat > HEARTBEAT_S:
                self.send("job.heartbeat", job, {})
                beat = time.monotonic()
            time.sleep(POLL_S)

    def _partition(self, job):
        return binascii.crc_hqx(f"{self.tenant}/{job}".encode(), 0) % self.partitions

    def _until_answered(self, command):
        while True:
            try:
                return command()
            except (redis.ConnectionError, redis.TimeoutError) as error:
                print(f"Redis does not answer, tried again: {error}", file=sys.stderr)
                time.sleep(RETRY_S)


def main(job, files):
    headway = Headway(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"),
                      os.environ.get("HEADWAY_TENANT", "default"), os.environ.get("HEADWAY_PREFIX", "hw"))
    headway.send("job.register", job, {"title": "SHA-256 of files", "item_kind": "file", "items_total": len(files)})
    for index, file in enumerate(files):
        if not headway.may_go_on(job):
            return
        headway.send("job.state", job, {"state": "running"})
        item = {"id": f"file_{index + 1}", "row_index": index + 1, "title": os.path.basename(file)}
        headway.send("item.update", job, {**item, "state": "processing"})
        try:
            with open(file, "rb") as opened:
                digest = hashlib.sha256(opened.read()).hexdigest()
            headway.send("item.update", job, {**item, "state": "completed", "result": digest})
        except OSError as error:
            headway.send("item.update", job, {**item, "state": "failed", "error": str(error)})
    if headway.may_go_on(job):
        headway.send("job.state", job, {"state": "completed"})


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
