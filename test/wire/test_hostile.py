"""A hundred thousand broken frames on the Kafka port, requests to log in among them: nobody else
feels it, memory stays flat, no descriptor is lost. test_http.py does the same to the HTTP port."""

import concurrent.futures
import os
import pathlib
import random
import socket
import struct
import time

import pytest

from rawbatch import batch
from rawkafka import Raw

MALFORMED = int(os.environ.get("WIRE_MALFORMED", "100000"))
PATIENCE_S = 60
WORKERS = 4
FRAMES = 50  # on one connection, until it is closed
MEMORY_MAX = 24 << 20

pytestmark = [pytest.mark.weir_only, pytest.mark.managed]

# Captured requests that change nothing and wait for nothing when they happen to stay right.
QUIET = ("api-versions", "find-coordinator", "list-offsets", "describe-groups", "describe-configs",
         "list-groups", "heartbeat", "leave-group", "offset-fetch", "produce")
GOLDEN = [path.read_bytes() for path in
          sorted((pathlib.Path(__file__).parent / "golden").glob("*.bin"))
          if any(f"-{name}-v" in path.name for name in QUIET)]


def sasl(rng):
    """SaslHandshake or SaslAuthenticate, with anything in it."""
    key, body = rng.choice([(17, struct.pack(">h", rng.randrange(-2, 40))),
                            (36, struct.pack(">i", rng.randrange(-2, 400)))])
    head = struct.pack(">hhih", key, rng.randrange(3), rng.randrange(1 << 31), -1)
    return head + body + rng.randbytes(rng.randrange(64))


def mutated(rng):
    """The api key stays: another one might make something, or wait."""
    data = bytearray(rng.choice(GOLDEN))
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(2, len(data))
        how = rng.randrange(4)
        if how == 0:
            data[at] = rng.randrange(256)
        elif how == 1:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif how == 2:
            del data[at:at + rng.randrange(1, 9)]
        else:
            data[at:at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4)])
        data += b"\0" if len(data) < 3 else b""
    return bytes(data)


def frame(rng):
    """-> bytes, and whether a length is promised that does not follow."""
    how = rng.randrange(10)
    if how == 0:
        return struct.pack(">i", rng.choice([-1, 0, 0x7FFFFFFF, 1 << 20])) + rng.randbytes(4), True
    noise = rng.randbytes(rng.randrange(1, 80))
    body = sasl(rng) if how < 3 else noise if how < 5 else mutated(rng)
    return struct.pack(">i", len(body)) + body, False


def flood(port, count, seed):
    rng = random.Random(seed)
    done = 0
    while done < count:
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as sock:
            try:
                for _ in range(FRAMES):
                    data, cut = frame(rng)
                    sock.sendall(data)
                    done += 1
                    if cut:
                        break
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
            except OSError:
                pass  # closed under our eyes: it is what we asked for
    return done


def test_malformed_frames_disturb_nobody(weir, unique):
    topic = unique("calm")
    calm = Raw(weir.host, weir.port)
    calm.create_topic(topic)
    flood(weir.port, 3000, 0)  # what is kept for reuse is there now
    before, memory, sent = weir.open_sockets(), weir.rss_bytes(), 0
    with concurrent.futures.ProcessPoolExecutor(WORKERS) as pool:
        floods = [pool.submit(flood, weir.port, MALFORMED // WORKERS, seed)
                  for seed in range(1, WORKERS + 1)]
        while not all(one.done() for one in floods):
            answer = calm.produce(topic, batch([str(sent).encode()]))
            assert answer["error"] == 0 and answer["base_offset"] == sent
            sent += 1
        assert sum(one.result() for one in floods) >= MALFORMED
    until = time.monotonic() + PATIENCE_S
    while weir.open_sockets() > before and time.monotonic() < until:
        time.sleep(0.05)
    assert weir.open_sockets() <= before
    assert weir.rss_bytes() < memory + MEMORY_MAX
    calm.close()
