"""A client that holds a lock, with nothing but the standard library of Python.

It renews the lease in the background, has its work stop when the lease may be lost, and releases the lock. Every write
names the token, so that one which comes too late is refused. Needs a server:

    python3 scripts/examples/guarded.py --server http://localhost:8080 --lock orders-writer --steps 5
"""

import argparse
import contextlib
import json
import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, problem):
        super().__init__(problem["detail"])
        self.code = problem["code"]


def call(method, url, body, timeout=60.0):
    """Sends JSON and answers JSON. Raises Refusal, or OSError where there was no answer."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"content-type": "application/json"}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise Refusal(json.load(error)) from None


class Held:
    """What work may rely on while a lock is held."""

    def __init__(self, lock, token):
        self.token = token
        # To be sent with every write.
        self.fences = [{"lock": lock, "token": token}]
        # By time.monotonic.
        self.until = 0.0
        # Set when the lock is lost, or may be.
        self.lost = threading.Event()

    def check(self):
        """To be called before each step: raises RuntimeError where the lock may be lost."""
        if self.lost.is_set() or time.monotonic() > self.until:
            raise RuntimeError(f"the lock {self.fences[0]['lock']} is lost")


@contextlib.contextmanager
def hold(server, lock, ttl_s=10.0, wait_s=30.0):
    """Holds a lock for as long as the block runs."""
    path = f"{server}/locks/{urllib.parse.quote(lock, safe='')}"
    # Who asks by the same name is the same holder, so each has a name of its own.
    holder = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4()}"
    asked = {"holder": holder, "ttlMs": int(ttl_s * 1000), "waitMs": int(wait_s * 1000)}
    token = call("POST", f"{path}/acquire", asked, timeout=wait_s + 10)["token"]
    held = Held(lock, token)
    lease = {"holder": holder, "token": token}
    done = threading.Event()

    def renew(timeout):
        # By whichever clock, the lease begins anew behind this moment.
        asked_at = time.monotonic()
        call("POST", f"{path}/renew", lease, timeout=timeout)
        held.until = asked_at + ttl_s

    def left():
        return max(0.0, min(ttl_s / 3, held.until - time.monotonic()))

    def keep():
        while not done.wait(left()) and left() > 0:
            try:
                renew(left())
            except Refusal as refusal:
                if refusal.code == "lock-lost":
                    break
            except OSError:
                pass  # The server may be back before the lease has run out.
        held.lost.set()

    # When the lock was granted is not known to who has waited for it, so the lease begins anew at once.
    renew(ttl_s)
    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield held
    finally:
        done.set()
        keeper.join()
        # Should this fail, the lease runs out by itself.
        with contextlib.suppress(Refusal, OSError):
            call("POST", f"{path}/release", lease)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", default="http://localhost:8080")
    parser.add_argument("--lock", default="orders-writer")
    parser.add_argument("--namespace", default="guarded")
    parser.add_argument("--ttl", type=float, default=10.0, help="seconds")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--pause", type=float, default=0.2, help="seconds")
    given = parser.parse_args()
    namespace = urllib.parse.quote(given.namespace, safe="")
    with hold(given.server, given.lock, ttl_s=given.ttl) as held:
        print(f"token {held.token}: acquired {given.lock}", flush=True)
        for step in range(1, given.steps + 1):
            held.check()
            entry = f"{given.server}/state/{namespace}/entries/{held.token}-{step}"
            body = {"value": held.token, "fences": held.fences}
            revision = call("PUT", entry, body)["revision"]
            print(f"token {held.token}: wrote step {step} at revision {revision}", flush=True)
            held.lost.wait(given.pause)
    print("released")


if __name__ == "__main__":
    try:
        main()
    except (Refusal, RuntimeError, OSError) as error:
        sys.exit(f"stopped: {error}")
