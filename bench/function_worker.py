"""function_worker.c in Python, with its standard library alone: [--reply] [--hold MS]."""
import asyncio
import json
import os
import sys

REPLY = "--reply" in sys.argv
HOLD_S = int(sys.argv[sys.argv.index("--hold") + 1]) / 1000 if "--hold" in sys.argv else 0
BATCH = "application/cloudevents-batch+json"
EVENT = {"specversion": "1.0", "type": "bench.done", "source": "/bench", "data": {"ok": True}}
replies = 0


def event():
    global replies
    replies += 1
    return {**EVENT, "id": str(replies)}


def answer(headers, body):
    if not REPLY:
        return b"HTTP/1.1 204 No Content\r\n\r\n"
    if headers.get("content-type", "").startswith(BATCH):
        content, more = json.dumps([event() for _ in json.loads(body)]).encode(), ""
        kind = BATCH
    else:
        one = event()
        content, kind = json.dumps(one.pop("data")).encode(), "application/json"
        more = "".join(f"ce-{name}: {value}\r\n" for name, value in one.items())
    return (f"HTTP/1.1 200 OK\r\n{more}Content-Type: {kind}\r\n"
            f"Content-Length: {len(content)}\r\n\r\n").encode() + content


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = (line.partition(":") for line in head.split("\r\n")[1:])
            headers = {name.lower(): value.strip() for name, _, value in lines}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            if HOLD_S:
                await asyncio.sleep(HOLD_S)
            writer.write(answer(headers, body))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(os.environ["PORT"]), backlog=1024)
    await server.serve_forever()


asyncio.run(main())
