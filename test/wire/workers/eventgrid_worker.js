// Azure's Event Grid SDKs and CloudEvents' SDK for JavaScript, unmodified, behind JSON lines: one
// call a line on standard input, one answer a line on standard output (see sdks.py).
//
//     {"do": "publish", "endpoint", "key" | "sas", "schema": "EventGrid" | "CloudEvent", "events"}
//     {"do": "sas", "endpoint", "key", "expires_ms"}                     -> {"sas"}
//     {"do": "send", "endpoint", "key", "topic", "events": [..] | {..}}  namespaces
//     {"do": "receive", "endpoint", "key", "topic", "subscription", "max", "wait"} -> {"details"}
//     {"do": "acknowledge" | "release" | "reject" | "renew", ..., "tokens", "delay"}
//     {"do": "emit", "url", "mode": "binary" | "structured", "event"}    -> {"status"}
//     {"do": "parse", "headers", "body"}                                 -> {"events"}
//
// An answer is {"ok": ...} or {"error": {"name", "status", "code", "message"}}.
"use strict";

const { createRequire } = require("node:module");
const readline = require("node:readline");

const clients = createRequire(`${process.env.WIRE_SETUP}/node/package.json`);
const { AzureKeyCredential, AzureSASCredential } = clients("@azure/core-auth");
const basic = clients("@azure/eventgrid");
const namespaces = clients("@azure/eventgrid-namespaces");
const { CloudEvent, HTTP, emitterFor, httpTransport, Mode } = clients("cloudevents");

// No second try behind the test's back.
const options = { allowInsecureConnection: true, retryOptions: { maxRetries: 0 } };

function credential(call) {
  return call.sas ? new AzureSASCredential(call.sas) : new AzureKeyCredential(call.key);
}

function withTimes(event) {
  const copy = { ...event };
  for (const name of ["eventTime", "time"]) {
    if (copy[name]) copy[name] = new Date(copy[name]);
  }
  if (copy.bytes) {
    copy.data = Buffer.from(copy.bytes, "base64");
    delete copy.bytes;
  }
  return copy;
}

function receiver(call) {
  return new namespaces.EventGridReceiverClient(
    call.endpoint, credential(call), call.topic, call.subscription, options);
}

const verbs = {
  async publish(call) {
    const client = new basic.EventGridPublisherClient(
      call.endpoint, call.schema, credential(call), options);
    await client.send(call.events.map(withTimes));
    return {};
  },
  async sas(call) {
    const key = new AzureKeyCredential(call.key);
    const expires = new Date(call.expires_ms);
    return { sas: await basic.generateSharedAccessSignature(call.endpoint, key, expires) };
  },
  async send(call) {
    const client = new namespaces.EventGridSenderClient(
      call.endpoint, credential(call), call.topic, options);
    const events = call.events;
    await client.sendEvents(Array.isArray(events) ? events.map(withTimes) : withTimes(events));
    return {};
  },
  async receive(call) {
    return receiver(call).receiveEvents({ maxEvents: call.max, maxWaitTime: call.wait });
  },
  async acknowledge(call) {
    return receiver(call).acknowledgeEvents(call.tokens);
  },
  async release(call) {
    return receiver(call).releaseEvents(call.tokens, { releaseDelay: call.delay });
  },
  async reject(call) {
    return receiver(call).rejectEvents(call.tokens);
  },
  async renew(call) {
    return receiver(call).renewEventLocks(call.tokens);
  },
  async emit(call) {
    const mode = call.mode === "binary" ? Mode.BINARY : Mode.STRUCTURED;
    const emit = emitterFor(httpTransport(call.url), { mode });
    return { answer: await emit(new CloudEvent(withTimes(call.event))) };
  },
  async parse(call) {
    const found = HTTP.toEvent({ headers: call.headers, body: call.body });
    return { events: Array.isArray(found) ? found : [found] };
  },
};

function describe(error) {
  const { name, statusCode, status, code, message } = error;
  return { name, status: Number(statusCode ?? status) || null, code, message };
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const call = JSON.parse(line);
    let answer;
    try {
      answer = { ok: await verbs[call.do](call) };
    } catch (error) {
      answer = { error: describe(error) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
}

main();
