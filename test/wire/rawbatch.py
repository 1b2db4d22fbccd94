"""Record batches of magic 2, built and taken apart byte by byte.

    base offset i64 | length i32 | leader epoch i32 | magic i8 | crc u32 |
    attributes i16 | last offset delta i32 | base timestamp i64 | max timestamp i64 |
    producer id i64 | producer epoch i16 | base sequence i32 | count i32 | records

The CRC-32C covers everything from the attributes on. A broker may rewrite the base offset and the
leader epoch (the first 8 bytes and bytes 12 to 15: 12 bytes) without touching it.
"""

import gzip
import struct
import time

import lz4.frame
import snappy
import zstandard

from rawkafka import uvarint

HEAD = struct.Struct(">qiibI")
BODY = struct.Struct(">hiqqqhii")
NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
CODECS = {"none": NONE, "gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}
LOG_APPEND_TIME, TRANSACTIONAL, CONTROL = 8, 16, 32
# The framing of Java's SnappyOutputStream: magic, version, lowest version that can read it.
XERIAL = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)


def crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC_TABLE = crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def varint(value):
    return uvarint((value << 1 ^ value >> 63) & (1 << 64) - 1)


def sized(data):
    return varint(-1) if data is None else varint(len(data)) + data


def compress(codec, data):
    if codec == GZIP:
        return gzip.compress(data)
    if codec == SNAPPY:
        block = snappy.compress(data)
        return XERIAL + struct.pack(">i", len(block)) + block
    if codec == LZ4:
        return lz4.frame.compress(data, content_checksum=False, store_size=False)
    return zstandard.compress(data) if codec == ZSTD else data


def decompress(codec, data):
    if codec == GZIP:
        return gzip.decompress(data)
    if codec == SNAPPY:
        if not data.startswith(b"\x82SNAPPY\x00"):
            return snappy.decompress(data)
        out, at = b"", len(XERIAL)
        while at < len(data):
            (size,) = struct.unpack_from(">i", data, at)
            out += snappy.decompress(data[at + 4 : at + 4 + size])
            at += 4 + size
        return out
    if codec == LZ4:
        return lz4.frame.decompress(data)
    if codec == ZSTD:
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


class Record:
    def __init__(self, value=b"", key=None, headers=(), at=0, delta=None):
        """at: timestamp in ms relative to the batch's base; delta: its offset, in order if None."""
        self.value, self.key, self.headers, self.at, self.delta = value, key, headers, at, delta

    def encode(self, index):
        delta = index if self.delta is None else self.delta
        body = b"\0" + varint(self.at) + varint(delta) + sized(self.key) + sized(self.value)
        body += varint(len(self.headers))
        for name, value in self.headers:
            body += sized(name.encode()) + sized(value)
        return varint(len(body)) + body


def batch(records, base_offset=0, leader_epoch=-1, magic=2, codec=NONE, attributes=0,
          base_timestamp=None, producer=(-1, -1), sequence=-1, count=None, last_delta=None,
          crc=None):
    """One batch. The last three arguments, and magic, lie about it for the sake of a test."""
    if base_timestamp is None:
        base_timestamp = int(time.time() * 1000)
    records = [item if isinstance(item, Record) else Record(item) for item in records]
    payload = b"".join(record.encode(index) for index, record in enumerate(records))
    body = BODY.pack(
        attributes | codec,
        len(records) - 1 if last_delta is None else last_delta,
        base_timestamp,
        base_timestamp + max((record.at for record in records), default=0),
        producer[0],
        producer[1],
        sequence,
        len(records) if count is None else count,
    ) + compress(codec, payload)
    crc = crc32c(body) if crc is None else crc
    return HEAD.pack(base_offset, len(body) + 9, leader_epoch, magic, crc) + body


class Batch:
    """One batch as read: its header fields, raw bytes, and records on demand."""

    def __init__(self, raw):
        self.raw = raw
        self.base_offset, _, self.leader_epoch, self.magic, self.crc = HEAD.unpack_from(raw)
        (self.attributes, self.last_delta, self.base_timestamp, self.max_timestamp,
         self.producer_id, self.epoch, self.sequence, self.count) = BODY.unpack_from(raw, HEAD.size)
        self.codec = self.attributes & 7

    def crc_is_right(self):
        return crc32c(self.raw[HEAD.size :]) == self.crc

    def sent_bytes(self):
        """The bytes that no broker has a reason to change."""
        return self.raw[8:12] + self.raw[16:]

    def records(self):
        data = decompress(self.codec, self.raw[HEAD.size + BODY.size :])
        at, out = 0, []

        def number():
            nonlocal at
            value = shift = 0
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value >> 1 ^ -(value & 1)

        def chunk():
            nonlocal at
            size = number()
            if size < 0:
                return None
            at += size
            return data[at - size : at]

        for _ in range(self.count):
            number()
            at += 1
            stamp, delta, key, value = number(), number(), chunk(), chunk()
            headers = [(chunk().decode(), chunk()) for _ in range(number())]
            out.append((self.base_offset + delta, Record(value, key, headers, stamp, delta)))
        assert at == len(data), "bytes left after the last record"
        return out


def batches(data):
    """All whole batches in a fetched partition; a cut one at its end is dropped, as clients do."""
    out, at = [], 0
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">i", data, at + 8)
        if at + 12 + length > len(data):
            break
        out.append(Batch(data[at : at + 12 + length]))
        at += 12 + length
    return out
