// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
// A message published over each transport reaches the subscribers of all of them, once each and in order.

import assert from 'node:assert/strict';
import { EventSource } from 'eventsource';
import { Inbox, TcpPeer, UdpPeer, WebSocketPeer, fresh, options, post, reply_ms, run, within } from './support.mjs';

const { http, tcp, udp } = options(['http', 'tcp', 'udp']);
const topic = fresh('everywhere'), rounds = 25;
const subscribers = new Map(); // name → an inbox of payloads
let ws, line, datagram;

run([
  ['a subscriber on each transport', async () => {
    ws = await WebSocketPeer.open(http);
    line = await TcpPeer.open(tcp);
    datagram = await UdpPeer.open(udp);
    for (const [name, peer] of [['WebSocket', ws], ['TCP', line], ['UDP', datagram]]) {
      await peer.ask('subscribe', { topic });
      subscribers.set(name, peer.pushes);
    }
    const events = new Inbox(), source = new EventSource(`${http}/events?topic=${encodeURIComponent(topic)}&envelope=json`);
    source.onmessage = (e) => events.put(JSON.parse(e.data));
    await within(new Promise((resolve) => (source.onopen = resolve)), reply_ms, 'the event stream');
    subscribers.set('SSE', events);
  }],

  ['a publisher on each transport, in turn', async () => {
    const by_peer = (peer) => async (payload) => (await peer.ask('publish', { topic, payload })).receipt;
    const publishers = [['ws', by_peer(ws)], ['tcp', by_peer(line)], ['udp', by_peer(datagram)],
      ['http', async (payload) => (await post(http, { topic, payload })).body]];
    const sent = [];
    for (let i = 0; i < rounds; ++i) {
      for (const [name, publish] of publishers) {
        const receipt = await publish(`${name} ${i}`);
        assert.equal(receipt.matched, 4, `${name}: ${JSON.stringify(receipt)}`);
        sent.push(`${name} ${i}`);
      }
    }
    for (const [name, inbox] of subscribers) {
      const got = await inbox.take(sent.length, name);
      assert.deepEqual(got.map((m) => m.payload), sent, name);
      assert.equal(inbox.items.length, 0, `${name}: nothing twice`);
    }
    const [a, b] = [ws, line].map((p) => p.log.filter((m) => m.payload).map((m) => m.meta.message_id));
    assert.deepEqual(a, b, 'a message has the same id everywhere');
  }],

  ['a line of TCP may end with \\r\\n; one that is no JSON is answered, and the next one works', async () => {
    line.socket.write('{"action":"ping","request_id":"crlf"}\r\n{not json}\n{"action":"ping","request_id":"next"}\n');
    assert.equal((await line.replies.next()).request_id, 'crlf');
    const bad = await line.replies.next();
    assert.equal(bad.status, 'fail');
    assert.notEqual(bad.error_message, '');
    assert.equal((await line.replies.next()).request_id, 'next');
  }],

  ['a datagram without the cookie draws only the challenge, and only if it is long enough', async () => {
    const challenges = new Inbox(), socket = (await import('node:dgram')).createSocket('udp4');
    socket.on('message', (data) => challenges.put(data));
    const at = udp.lastIndexOf(':'), send = (text) => socket.send(text, Number(udp.slice(at + 1)), udp.slice(0, at));
    send('{"action":"ping"}');
    const long = JSON.stringify({ action: 'subscribe', params: { topic }, padding: '.'.repeat(150) });
    send(long);
    const first = await challenges.next('the challenge');
    const answer = JSON.parse(first.toString());
    assert.deepEqual(Object.keys(answer).sort(), ['action', 'cookie'], 'the long datagram drew the only answer');
    assert.ok(first.length <= long.length);
    assert.equal((await ws.ask('publish', { topic, payload: 'still four' })).receipt.matched, 4, 'nobody was subscribed by it');
    assert.equal(challenges.items.length, 0);
    socket.close();
  }],
]);
