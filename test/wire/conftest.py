"""Fixtures of the wire tests. See README.md for how to run and against what."""

import itertools
import os
import uuid

import pytest

import broker
import clients
import sdks
from rawkafka import Raw

NAMES = itertools.count(1)
RUN = uuid.uuid4().hex[:6]


def pytest_configure(config):
    config.addinivalue_line("markers", "weir_only: the spec asks for it, Kafka differs")
    config.addinivalue_line("markers", "managed: starts and ends the broker itself")


def pytest_collection_modifyitems(items):
    """Leaves out what the target cannot show: WIRE_BOOTSTRAP may name a Kafka, or a remote weir."""
    bootstrap = os.environ.get("WIRE_BOOTSTRAP")
    kafka = bootstrap and os.environ.get("WIRE_TARGET") == "kafka"
    for item in items:
        if bootstrap and item.get_closest_marker("managed"):
            item.add_marker(pytest.mark.skip(reason="needs to start and end the broker"))
        elif kafka and item.get_closest_marker("weir_only"):
            item.add_marker(pytest.mark.skip(reason="Kafka differs from the spec here"))


@pytest.fixture(scope="session")
def target(tmp_path_factory):
    bootstrap = os.environ.get("WIRE_BOOTSTRAP")
    if bootstrap:
        yield broker.Running(bootstrap)
        return
    weir = broker.Weir(tmp_path_factory.mktemp("weir")).start()
    yield weir
    assert weir.process.poll() is None, f"weir ended on its own:\n{weir.log_tail()}"
    weir.end()


@pytest.fixture(params=[1, broker.SEVERAL], ids=lambda threads: f"threads={threads}")
def weir(request, tmp_path):
    """A weir of the test's own, for tests that end it: with one event loop, and with several."""
    own = broker.Weir(tmp_path, threads=request.param).start()
    yield own
    own.end()


@pytest.fixture
def connect(request):
    """Opens raw connections, to the session's target unless told otherwise; closes them."""
    opened = []

    def open_one(where=None):
        where = where or request.getfixturevalue("target")
        opened.append(Raw(where.host, where.port))
        return opened[-1]

    yield open_one
    for conn in opened:
        conn.close()


@pytest.fixture
def raw(connect):
    return connect()


@pytest.fixture
def unique(request):
    """Names that no other test, and no other run against the same broker, uses."""
    test = "".join(char if char.isalnum() else "-" for char in request.node.name)[:60].strip("-")
    return lambda kind="t": f"{kind}-{test}-{RUN}-{next(NAMES)}"


@pytest.fixture
def topic(raw, unique):
    """A topic of one partition, ready for use."""
    name = unique("topic")
    raw.create_topic(name)
    return name


@pytest.fixture(params=clients.NAMES)
def client(request, target):
    """Each real client in turn."""
    with clients.Client(request.param, target.bootstrap) as one:
        yield one


@pytest.fixture(scope="session")
def js():
    worker = sdks.JavaScript()
    yield worker
    worker.end()
