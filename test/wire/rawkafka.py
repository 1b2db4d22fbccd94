"""A small Kafka client on plain sockets, for what no real client will send.

It shares nothing with weir or with any client library: the bodies come from rawtable.py, record
batches from rawbatch.py. Conn is one connection, speaking frames; Raw adds the few verbs that most
tests want. Every answer is decoded to its last byte: a byte too many or too few fails the test.
"""

import re
import socket
import struct
import time
import uuid

from rawtable import MESSAGES

INTS = {"i8": ">b", "i16": ">h", "i32": ">i", "i64": ">q"}
ZERO_UUID = uuid.UUID(int=0)


class Closed(Exception):
    """The broker closed the connection where an answer was awaited."""


# --- the table -----------------------------------------------------------------------------------


class Field:
    """One field: its name, kind (a scalar type, "array" or "struct"), and where it occurs."""

    def __init__(self, name, kind, parts):
        self.name, self.kind, self.parts = name, kind, parts
        self.default, self.tag, self.first, self.last = None, None, 0, 999

    def at(self, version):
        return self.first <= version <= self.last


class Api:
    def __init__(self, key, name, first, last, flexible):
        self.key, self.name, self.first, self.last = key, name, first, last
        self.flexible = flexible
        self.request, self.response = [], []


TOKEN = re.compile(
    r"(?P<name>\w+):|(?P<open>[\[{])|(?P<close>[\]}])|=(?P<default>[\w.-]+)|#(?P<tag>\d+)"
    r"|/(?P<first>\d+)(?:-(?P<last>\d+)|(?P<up>\+))?|(?P<type>\w+)"
)


def parse_fields(text):
    """Reads the fields of one body with an explicit stack, one level an open bracket."""
    stack, name, latest = [[]], None, None
    for match in TOKEN.finditer(text):
        found = match.groupdict()
        if found["name"]:
            name = found["name"]
        elif found["open"]:
            kind = "array" if found["open"] == "[" else "struct"
            stack[-1].append(Field(name, kind, []))
            stack.append(stack[-1][-1].parts)
            name = None
        elif found["close"]:
            stack.pop()
            latest = stack[-1][-1]
        elif found["type"]:
            # Inside [i32] there is no name: the element is the array's only, nameless part.
            latest = Field(name, found["type"], [])
            stack[-1].append(latest)
        elif found["default"]:
            latest.default = found["default"]
        elif found["tag"]:
            latest.tag = int(found["tag"])
        else:
            latest.first = int(found["first"])
            open_end = 999 if found["up"] else latest.first
            latest.last = int(found["last"]) if found["last"] else open_end
    return stack[0]


def parse_messages(text):
    apis = {}
    for entry in re.split(r"\n\n+", text.strip()):
        head, request, response = re.match(r"([^>]*)\n>(.*)\n<(.*)", entry, re.S).groups()
        key, name, first, last, flexible = re.match(
            r"(\d+) (\w+) (\d+)-(\d+) flexible (\d+)", head
        ).groups()
        api = Api(int(key), name, int(first), int(last), int(flexible))
        api.request, api.response = parse_fields(request), parse_fields(response)
        apis[name] = api
    return apis


APIS = parse_messages(MESSAGES)
BY_KEY = {api.key: api for api in APIS.values()}


# --- bytes ---------------------------------------------------------------------------------------


def uvarint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_length(length, flex, wide):
    """The length of a string (wide is false) or of bytes and arrays; None for null."""
    if flex:
        return uvarint(0 if length is None else length + 1)
    return struct.pack(">i" if wide else ">h", -1 if length is None else length)


def default_of(field):
    if field.default == "null":
        return None
    if field.kind == "str":
        return field.default or ""
    if field.kind == "uuid":
        return ZERO_UUID
    if field.kind == "bool":
        return False
    if field.kind == "bytes":
        return b""
    if field.kind in INTS:
        return int(field.default or 0)
    return [] if field.kind == "array" else {}


def encode_value(field, value, version, flex):
    kind = field.kind
    if kind in INTS:
        return struct.pack(INTS[kind], value)
    if kind == "bool":
        return b"\1" if value else b"\0"
    if kind == "uuid":
        return value.bytes
    if kind == "struct":
        return encode_fields(field.parts, value, version, flex)
    if kind in ("str", "bytes"):
        data = value.encode() if isinstance(value, str) else value
        length = None if data is None else len(data)
        return write_length(length, flex, kind == "bytes") + (data or b"")
    out = [write_length(None if value is None else len(value), flex, True)]
    for item in value or []:
        if field.parts[0].name is None:
            out.append(encode_value(field.parts[0], item, version, flex))
        else:
            out.append(encode_fields(field.parts, item, version, flex))
    return b"".join(out)


def encode_fields(fields, values, version, flex):
    unknown = set(values) - {field.name for field in fields}
    assert not unknown, f"no such fields: {unknown}"
    out, tagged = [], []
    for field in fields:
        if not field.at(version):
            continue
        if field.tag is None:
            value = values.get(field.name, default_of(field))
            out.append(encode_value(field, value, version, flex))
        elif field.name in values:
            body = encode_value(field, values[field.name], version, flex)
            tagged.append(uvarint(field.tag) + uvarint(len(body)) + body)
    if flex:
        out.append(uvarint(len(tagged)) + b"".join(tagged))
    return b"".join(out)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        assert 0 <= length <= len(self.data) - self.at, f"answer ends early at byte {self.at}"
        self.at += length
        return self.data[self.at - length : self.at]

    def unpack(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def length(self, flex, wide):
        if flex:
            length = self.uvarint() - 1
        else:
            length = self.unpack(">i" if wide else ">h")
        return None if length < 0 else length


def decode_value(field, reader, version, flex):
    kind = field.kind
    if kind in INTS:
        return reader.unpack(INTS[kind])
    if kind == "bool":
        return reader.take(1) != b"\0"
    if kind == "uuid":
        return uuid.UUID(bytes=bytes(reader.take(16)))
    if kind == "struct":
        return decode_fields(field.parts, reader, version, flex)
    length = reader.length(flex, kind != "str")
    if length is None:
        return None
    if kind == "str":
        return reader.take(length).decode()
    if kind == "bytes":
        return bytes(reader.take(length))
    if field.parts[0].name is None:
        return [decode_value(field.parts[0], reader, version, flex) for _ in range(length)]
    return [decode_fields(field.parts, reader, version, flex) for _ in range(length)]


def decode_fields(fields, reader, version, flex):
    values, tagged = {}, {}
    for field in fields:
        if not field.at(version):
            continue
        if field.tag is None:
            values[field.name] = decode_value(field, reader, version, flex)
        else:
            tagged[field.tag] = field
    if flex:
        for _ in range(reader.uvarint()):
            tag, size = reader.uvarint(), reader.uvarint()
            body = Reader(reader.take(size))
            if tag in tagged:
                values[tagged[tag].name] = decode_value(tagged[tag], body, version, flex)
                assert body.at == size, f"tag {tag} has {size - body.at} bytes too many"
    return values


def encode_request(api, version, correlation, body, client_id="raw"):
    """One request without its length: header v2 where the API is flexible, v1 before."""
    flex = version >= api.flexible
    name = struct.pack(">h", -1) if client_id is None else (
        struct.pack(">h", len(client_id)) + client_id.encode())
    head = struct.pack(">hhi", api.key, version, correlation) + name + (b"\0" if flex else b"")
    return head + encode_fields(api.request, body, version, flex)


def decode_request(frame):
    """-> (API, version, correlation, client id, body) of a request of an API in the table."""
    reader = Reader(frame)
    api, version = BY_KEY[reader.unpack(">h")], reader.unpack(">h")
    flex = version >= api.flexible
    correlation, length = reader.unpack(">i"), reader.unpack(">h")
    client_id = None if length < 0 else reader.take(length).decode()
    if flex:
        assert reader.uvarint() == 0, "tags in a request header"
    body = decode_fields(api.request, reader, version, flex)
    assert reader.at == len(frame), f"{len(frame) - reader.at} bytes left after {api.name}"
    return api, version, correlation, client_id, body


def decode_response(api, version, frame):
    """-> (correlation, body). ApiVersions keeps header v0 in every version (KIP-511)."""
    flex = version >= api.flexible
    reader = Reader(frame)
    correlation = reader.unpack(">i")
    if flex and api.name != "ApiVersions":
        assert reader.uvarint() == 0, "tags in a response header"
    body = decode_fields(api.response, reader, version, flex)
    assert reader.at == len(frame), f"{len(frame) - reader.at} bytes left after {api.name}"
    return correlation, body


# --- connections ---------------------------------------------------------------------------------


class Conn:
    """One connection. send and recv may be used apart, to pipeline; call is both."""

    def __init__(self, host, port, timeout_s=30):
        self.sock = socket.create_connection((host, port), timeout=timeout_s)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.correlation = 0
        self.ranges = None

    def close(self):
        self.sock.close()

    def send_frame(self, frame):
        self.sock.sendall(struct.pack(">i", len(frame)) + frame)

    def take(self, length):
        out = bytearray()
        while len(out) < length:
            try:
                part = self.sock.recv(length - len(out))
            except ConnectionError:
                part = b""
            if not part:
                raise Closed(f"closed after {len(out)} of {length} bytes")
            out += part
        return bytes(out)

    def recv_frame(self):
        return self.take(struct.unpack(">i", self.take(4))[0])

    def versions(self):
        """What the broker advertises: {name: (min, max)}."""
        if self.ranges is None:
            apis = self.call("ApiVersions", 0)["apis"]
            self.ranges = {
                BY_KEY[api["key"]].name: (api["min"], api["max"])
                for api in apis
                if api["key"] in BY_KEY
            }
        return self.ranges

    def highest(self, name):
        return min(APIS[name].last, self.versions()[name][1])

    def send(self, name, version, **body):
        self.correlation += 1
        self.send_frame(encode_request(APIS[name], version, self.correlation, body))
        return self.correlation

    def recv(self, name, version):
        return decode_response(APIS[name], version, self.recv_frame())

    def call(self, name, version=None, **body):
        if version is None:
            version = self.highest(name)
        sent = self.send(name, version, **body)
        correlation, answer = self.recv(name, version)
        assert correlation == sent, f"answer to {correlation}, not to {sent}"
        return answer

    def is_closed(self):
        """Waits for the broker to close; true if it did so without sending anything."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionError:
            return True


class Raw(Conn):
    """A connection with the verbs that many tests share."""

    def topic_id(self, topic):
        answer = self.call("Metadata", 12, topics=[{"name": topic}])
        return answer["topics"][0]["id"]

    def topic_ref(self, name, version, topic, by_id_from=13):
        return {"id": self.topic_id(topic)} if version >= by_id_from else {"name": topic}

    def create_topic(self, topic, partitions=1, configs=None, **more):
        """Creates a topic, then waits until all its partitions have a leader."""
        configs = [{"name": name, "value": value} for name, value in (configs or {}).items()]
        wanted = {"name": topic, "partitions": partitions, "configs": configs, **more}
        result = self.call("CreateTopics", topics=[wanted])["topics"][0]
        assert result["error"] == 0, result
        self.await_topic(topic, partitions)
        return result

    def await_topic(self, topic, partitions):
        """Waits until the topic is known and every partition answers for its log."""
        deadline = time.monotonic() + 20
        while True:
            found = self.call("Metadata", 12, topics=[{"name": topic}])["topics"][0]
            if found["error"] == 0 and len(found["partitions"]) == partitions:
                # Kafka's metadata runs ahead of its partitions: ask those too.
                asked = [{"index": index, "timestamp": -2} for index in range(partitions)]
                logs = self.call("ListOffsets", topics=[{"name": topic, "partitions": asked}])
                if all(part["error"] == 0 for part in logs["topics"][0]["partitions"]):
                    return found
            assert time.monotonic() < deadline, f"no leader for {topic}: {found}"
            time.sleep(0.02)

    def produce(self, topic, records, partition=0, version=None, acks=-1):
        """Sends one batch; -> the answer for its partition."""
        version = self.highest("Produce") if version is None else version
        answer = self.call("Produce", version, acks=acks, topics=[{
            **self.topic_ref("Produce", version, topic),
            "partitions": [{"index": partition, "records": records}],
        }])
        return answer["topics"][0]["partitions"][0]

    def fetch(self, topic, offset, partition=0, version=None, wait_ms=500, leader_epoch=-1,
              partition_max=1 << 20, **more):
        """Reads one partition outside any session; -> the answer for that partition."""
        version = self.highest("Fetch") if version is None else version
        answer = self.call("Fetch", version, max_wait_ms=wait_ms, min_bytes=1, topics=[{
            **self.topic_ref("Fetch", version, topic),
            "partitions": [{"index": partition, "offset": offset, "leader_epoch": leader_epoch,
                            "max_bytes": partition_max}],
        }], **more)
        assert answer.get("error", 0) == 0, answer
        return answer["topics"][0]["partitions"][0]

    def list_offset(self, topic, timestamp, partition=0, version=None, leader_epoch=-1):
        answer = self.call("ListOffsets", version, topics=[{"name": topic, "partitions": [
            {"index": partition, "timestamp": timestamp, "leader_epoch": leader_epoch}]}])
        return answer["topics"][0]["partitions"][0]

    def producer_id(self):
        """A new producer id; asked again while the coordinator loads (14), as clients do."""
        answer = self.retry(lambda: self.call("InitProducerId"), lambda answer: answer["error"])
        return answer["producer_id"], answer["epoch"]

    def await_group(self, group):
        """Waits until the group's coordinator answers, as every client does before it joins."""
        self.retry(lambda: self.call("FindCoordinator", 2, key=group),
                   lambda answer: answer["error"])
        self.retry(lambda: self.call("DescribeGroups", 5, groups=[group]),
                   lambda answer: answer["groups"][0]["error"])

    @staticmethod
    def retry(ask, error_of, seconds=20):
        """Asks until the coordinator is neither loading (14), missing (15) nor elsewhere (16)."""
        deadline = time.monotonic() + seconds
        while True:
            answer = ask()
            if error_of(answer) == 0:
                return answer
            assert error_of(answer) in (14, 15, 16) and time.monotonic() < deadline, answer
            time.sleep(0.02)
