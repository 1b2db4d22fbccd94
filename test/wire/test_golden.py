"""The recorded requests of real clients: our table reads them, and the broker answers them."""

import pathlib

import pytest

from rawkafka import APIS, BY_KEY, decode_request, decode_response, encode_request

GOLDEN = sorted((pathlib.Path(__file__).parent / "golden").glob("*.bin"))
KNOWN = [path for path in GOLDEN if int.from_bytes(path.read_bytes()[:2], "big") in BY_KEY]


def test_frames_are_there():
    assert len(KNOWN) > 90


@pytest.mark.parametrize("path", KNOWN, ids=lambda path: path.stem)
def test_table_agrees_with_real_clients(path):
    """Taken apart and put together again, byte for byte: the check on rawtable.py."""
    frame = path.read_bytes()
    api, version, correlation, client_id, body = decode_request(frame)
    assert encode_request(api, version, correlation, body, client_id) == frame


def test_broker_answers_them(connect):
    """Each frame again, as it was: topics and members are unknown now, the layout must hold."""
    for path in KNOWN:
        frame = path.read_bytes()
        api, version, correlation, _, _ = decode_request(frame)
        if api is APIS["JoinGroup"]:
            continue  # would hold a group open that nobody heartbeats
        conn = connect()
        low, high = conn.versions()[api.name]
        if low <= version <= high:
            conn.send_frame(frame)
            assert decode_response(api, version, conn.recv_frame())[0] == correlation, path.name
        conn.close()
