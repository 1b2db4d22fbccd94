// JavaScript over HTTP: fetch as it comes with Node.js, and CloudEvents' SDK, unmodified.
//
//     node http_client.mjs send    URL binary|structured COUNT   the SDK's emitter over fetch
//     node http_client.mjs receive URL                           the SDK reads one event
//     node http_client.mjs post    URL BODY                      fetch alone
//     node http_client.mjs tail    URL COUNT                     an event stream, until COUNT came
//
// Prints one line of JSON for each thing done.
import { CloudEvent, HTTP, Mode, emitterFor } from "cloudevents";

const say = (value) => console.log(JSON.stringify(value));

async function send(url, mode, count) {
  const transport = async (message) => {
    const answer = await fetch(url, {
      method: "POST", headers: message.headers, body: message.body });
    await answer.arrayBuffer();
    return answer.status;
  };
  const emit = emitterFor(transport, {
    binding: HTTP, mode: mode === "binary" ? Mode.BINARY : Mode.STRUCTURED });
  for (let i = 0; i < count; i++) {
    const event = new CloudEvent({ id: `js-${i}`, type: "js.sent", source: "/js/sdk",
      subject: "a b", ext1: "text", data: { n: i } });
    say({ status: await emit(event) });
  }
}

async function receive(url) {
  const answer = await fetch(url);
  const event = HTTP.toEvent({ headers: Object.fromEntries(answer.headers),
    body: await answer.text() });
  event.validate();
  say(event);
}

async function post(url, body) {
  const answer = await fetch(url, { method: "POST", body });
  say({ status: answer.status, offset: answer.headers.get("weir-offset") });
}

async function tail(url, count) {
  const answer = await fetch(url, { headers: { accept: "text/event-stream" } });
  const decoder = new TextDecoder();
  let rest = "";
  say({ status: answer.status });
  for await (const chunk of answer.body) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").find((line) => line.startsWith("data: "));
      if (!data) continue;
      say(JSON.parse(data.slice(6)));
      if (--count === 0) process.exit(0);
    }
  }
}

const [verb, url, ...rest] = process.argv.slice(2);
if (verb === "send") await send(url, rest[0], Number(rest[1]));
else if (verb === "receive") await receive(url);
else if (verb === "post") await post(url, rest[0]);
else if (verb === "tail") await tail(url, Number(rest[0]));
else process.exit(2);
