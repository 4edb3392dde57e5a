// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
// The native dialect over WebSocket, spoken by npm's `ws`.

import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { WebSocketPeer, fresh, options, post, reply_ms, run, within } from './support.mjs';

const { http, history, deflate } = options();
const peer = await WebSocketPeer.open(http).catch((error) => {
  console.error(`no WebSocket at ${http}/ws: ${error.message}`);
  process.exit(1);
});

const reply_keys = ['request_id', 'action', 'status', 'error_message', 'timestamp'];
function assert_reply(reply, status) {
  for (const key of reply_keys) assert.ok(key in reply, `the reply has no ${key}: ${JSON.stringify(reply)}`);
  assert.equal(reply.status, status, JSON.stringify(reply));
  assert.equal(typeof reply.timestamp, 'number');
  if (status === 'ok') assert.equal(reply.error_message, '');
  else assert.notEqual(reply.error_message, '', 'a failure must say why');
}

/** What the server answers to a handshake that it does not accept. */
function refused(settings) {
  const ws = new WebSocket(http.replace(/^http/, 'ws') + '/ws', settings);
  return within(new Promise((resolve, reject) => {
    ws.on('unexpected-response', (request, response) => {
      resolve(response.statusCode);
      request.destroy();
    });
    ws.on('open', () => reject(new Error('the handshake was accepted')));
    ws.on('error', () => {});
  }), reply_ms, 'the refusal');
}

run([
  ['hello tells version, session, limits and heartbeat', async () => {
    const r = await peer.request('hello');
    assert_reply(r, 'ok');
    for (const key of ['version', 'session', 'limits', 'heartbeat']) assert.ok(key in r, `no ${key}`);
  }],

  ['two topics, 100 publishes: every message once and in publish order', async () => {
    const a = fresh('a'), b = fresh('b');
    for (const topic of [a, b]) assert_reply(await peer.request('subscribe', { topic }), 'ok');
    for (let i = 0; i < 100; ++i) peer.send({ request_id: `p${i}`, action: 'publish', params: { topic: i % 3 ? a : b, payload: `${i}` } });
    const got = await peer.pushes.take(100), replies = await peer.replies.take(100, 'receipt');
    got.forEach((m, i) => {
      assert.equal(m.payload, `${i}`);
      assert.equal(m.topic, i % 3 ? a : b);
      assert.match(m.meta.receive_time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
      assert.equal(typeof m.meta.message_id, 'string');
    });
    assert.equal(new Set(got.map((m) => m.meta.message_id)).size, 100, 'message ids are unique');
    replies.forEach((r, i) => {
      assert_reply(r, 'ok');
      assert.equal(r.request_id, `p${i}`, 'requests are answered in order');
      assert.equal(r.receipt.matched, 1);
    });
    const sent = new Set(peer.log.filter((m) => m.status).map((m) => m.request_id));
    assert.ok(sent.has('p0') && sent.has('p99'));

    assert_reply(await peer.request('unsubscribe', { topic: a }), 'ok');
    await peer.ask('publish', { topic: a, payload: 'not for us' });
    await peer.ask('publish', { topic: b, payload: 'for us' });
    assert.equal((await peer.push()).payload, 'for us');
    assert_reply(await peer.request('unsubscribe', { topic: b }), 'ok');
    assert_reply(await peer.request('unsubscribe', { topic: fresh('never') }), 'ok');
    assert.equal((await peer.ask('publish', { topic: b, payload: 'nobody' })).receipt.matched, 0);
  }],

  ['a type selects; without one all types come', async () => {
    const topic = fresh('types'), other = await WebSocketPeer.open(http);
    await peer.ask('subscribe', { topic, type: 'bid' });
    await other.ask('subscribe', { topic });
    for (const type of ['ask', undefined, 'bid']) await other.ask('publish', { topic, type, payload: `${type}` });
    const m = await peer.push();
    assert.deepEqual([m.type, m.payload], ['bid', 'bid']);
    assert.deepEqual((await other.pushes.take(3)).map((x) => x.payload), ['ask', 'undefined', 'bid']);
    await peer.ask('unsubscribe', { topic, type: 'bid' });
    other.ws.close(1000);
    assert.equal(await other.close_code(), 1000);
  }],

  ['a filter sees what it matches, once', async () => {
    const base = fresh('tree');
    await peer.ask('subscribe', { topic: `${base}/+/x`, match: 'filter' });
    await peer.ask('subscribe', { topic: `${base}/#`, match: 'filter' });
    for (const t of [`${base}/a/x`, `${base}`, `${base}/a/b/c`, `${base}y/a`]) await post(http, { topic: t, payload: t });
    await post(http, { topic: `${base}/end`, payload: 'end' });
    const got = (await peer.pushes.take(4)).map((m) => m.topic);
    assert.deepEqual(got, [`${base}/a/x`, base, `${base}/a/b/c`, `${base}/end`]);
    for (const t of [`${base}/+/x`, `${base}/#`]) await peer.ask('unsubscribe', { topic: t, match: 'filter' });
  }],

  ['echo: false leaves out its own publishes', async () => {
    const topic = fresh('echo');
    await peer.ask('subscribe', { topic, echo: false });
    await peer.ask('publish', { topic, payload: 'mine' });
    await post(http, { topic, payload: 'theirs' });
    assert.equal((await peer.push()).payload, 'theirs');
    await peer.ask('unsubscribe', { topic });
  }],

  ['any JSON value is a payload: its exact source text', async () => {
    const topic = fresh('source');
    await peer.ask('subscribe', { topic });
    const sources = ['{"price":1.0 , "n" : [1e2,\t-0]}', '12345678901234567890', 'null', '[ ]', '{"a":1,"a":2}', '"caf\\u00e9 \\ud83d\\ude80"'];
    for (const source of sources) {
      peer.ws.send(`{"action":"publish","params":{"topic":${JSON.stringify(topic)},"payload":${source}},"request_id":"s"}`);
      assert_reply(await peer.replies.next(), 'ok');
    }
    const got = (await peer.pushes.take(sources.length)).map((m) => m.payload);
    assert.deepEqual(got, [...sources.slice(0, -1), 'café 🚀']);
    await peer.ask('publish', { topic, payload: '', id: 'mine-1' });
    const m = await peer.push();
    assert.deepEqual([m.payload, m.meta.message_id], ['', 'mine-1']);
    await peer.ask('unsubscribe', { topic });
  }],

  ['bad requests get a reply that says why, and the connection lives', async () => {
    const bad = [
      '{"action":"subscribe",', 'hello', '[]', '"text"', '7', '', '{}', '{"action":"fly"}', '{"action":7}', '{"action":"subscribe"}',
      '{"action":"subscribe","params":{}}', '{"action":"subscribe","params":[]}', '{"action":"subscribe","params":{"topic":""}}',
      '{"action":"subscribe","params":{"topic":5}}', '{"action":"subscribe","params":{"topic":"a\\u0001b"}}',
      `{"action":"subscribe","params":{"topic":"${'x'.repeat(256)}"}}`,
      '{"action":"subscribe","params":{"topic":"a/#/b","match":"filter"}}', '{"action":"subscribe","params":{"topic":"a","match":"regex"}}',
      '{"action":"publish","params":{"topic":"a"}}', '{"action":"publish","params":{"payload":"x"}}',
      '{"action":"publish","params":{"topic":"a","type":"pusher.x","payload":"x"}}', '['.repeat(1000),
    ];
    for (const text of bad) {
      peer.ws.send(text);
      assert_reply(await peer.replies.next(`the reply to ${text.slice(0, 60)}`), 'fail');
    }
    const r = await peer.request('fly');
    assert_reply(r, 'fail');
    assert.equal(r.action, 'fly');
    assert_reply(await peer.request('ping'), 'ok');
  }],

  ['unknown fields are ignored; request_id and timestamp may be left out', async () => {
    peer.ws.send('{"action":"ping","params":{"x":1},"colour":"blue","nested":{"a":[1,{"b":null}]}}');
    const r = await peer.replies.next();
    assert_reply(r, 'ok');
    assert.equal(r.request_id, '');
  }],

  ['a ping frame is answered by a pong with the same bytes', async () => {
    for (const data of ['', 'are you there?', 'x'.repeat(125)]) {
      const pong = new Promise((resolve) => peer.ws.once('pong', resolve));
      peer.ws.ping(data);
      assert.equal((await within(pong, reply_ms, 'the pong')).toString(), data);
    }
  }],

  ['binary and fragmented messages are accepted', async () => {
    peer.ws.send(Buffer.from('{"action":"ping","request_id":"binary"}'), { binary: true });
    assert.equal((await peer.replies.next()).request_id, 'binary');
    const parts = ['{"action":"pi', 'ng","request_', 'id":"frägments"}'];
    peer.ws.send(parts[0], { fin: false });
    const pong = new Promise((resolve) => peer.ws.once('pong', resolve));
    peer.ws.ping('between');
    await within(pong, reply_ms, 'the pong between two fragments');
    peer.ws.send(parts[1], { fin: false });
    peer.ws.send(parts[2], { fin: true });
    assert.equal((await peer.replies.next()).request_id, 'frägments');
  }],

  ['messages are compressed if the hub does, and one client is like another', async () => {
    const topic = fresh('compressed'), payload = 'price 1.0, name somebody; '.repeat(400);
    const offers = [
      true,
      { serverMaxWindowBits: 10, clientMaxWindowBits: 10, threshold: 0 },
      { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 100000 },
      false,
    ];
    const peers = [];
    for (const perMessageDeflate of offers) peers.push(await WebSocketPeer.open(http, [], { perMessageDeflate }));
    for (const [i, p] of peers.entries()) {
      assert.equal(p.ws.extensions, deflate && offers[i] ? 'permessage-deflate' : '');
      await p.ask('subscribe', { topic });
    }
    for (const [i, p] of peers.entries()) {
      const before = peers.map((q) => [q.ws._socket.bytesRead, q.ws._socket.bytesWritten]);
      await p.ask('publish', { topic, payload: payload + i }); // threshold: who compresses its own
      for (const [j, q] of peers.entries()) {
        assert.equal((await q.push()).payload, payload + i);
        const read = q.ws._socket.bytesRead - before[j][0], wrote = q.ws._socket.bytesWritten - before[j][1];
        const small = (bytes) => bytes < payload.length / 4;
        assert.equal(small(read), deflate && offers[j] !== false, `${j} read ${read} bytes`);
        if (i === j) assert.equal(small(wrote), deflate && j < 2, `${j} wrote ${wrote} bytes`);
      }
    }
    for (const p of peers) {
      p.ws.close(1000);
      assert.equal(await p.close_code(), 1000);
    }
  }],

  ['the subprotocol pusher.v1 is echoed if offered, among others too', async () => {
    for (const offer of [['pusher.v1'], ['chat', 'pusher.v1']]) {
      const p = await WebSocketPeer.open(http, offer);
      assert.equal(p.ws.protocol, 'pusher.v1');
      await p.ask('ping');
      p.ws.close(1000);
      await p.close_code();
    }
    assert.equal(peer.ws.protocol, '');
  }],

  ['a foreign Origin is refused with 403, the own one is not', async () => {
    assert.equal(await refused({ origin: 'http://elsewhere.example' }), 403);
    const p = await WebSocketPeer.open(http, [], { origin: http });
    await p.ask('ping');
    p.ws.terminate();
  }],

  ['too big a message closes with 1009', async () => {
    const p = await WebSocketPeer.open(http);
    p.ws.send(JSON.stringify({ action: 'publish', params: { topic: 'a', payload: 'x'.repeat(70000) } }));
    assert.equal(await p.close_code(), 1009);
  }],

  ['so does one that was small as it came', !deflate ? null : async () => {
    const p = await WebSocketPeer.open(http);
    p.ws.send('x'.repeat(10_000_000));
    assert.equal(await p.close_code(), 1009);
    assert.ok(p.ws._socket === null || p.ws._socket.bytesWritten < 60_000);
  }],

  ['fragments that are too big together close with 1009', async () => {
    const p = await WebSocketPeer.open(http);
    p.ws.send('"' + 'x'.repeat(40000), { fin: false });
    p.ws.send('x'.repeat(40000), { fin: true });
    assert.equal(await p.close_code(), 1009);
  }],

  ['invalid UTF-8 in a text message closes with 1007', async () => {
    const p = await WebSocketPeer.open(http);
    p.ws.send(Buffer.from([0x22, 0xc3, 0x28, 0x22]), { binary: false });
    assert.equal(await p.close_code(), 1007);
  }],

  ['an unmasked frame closes with 1002', async () => {
    const p = await WebSocketPeer.open(http);
    p.ws.send('{"action":"ping"}', { mask: false });
    assert.equal(await p.close_code(), 1002);
  }],

  ['POST /publish: one, an array with one bad element, and errors', async () => {
    const topic = fresh('post');
    await peer.ask('subscribe', { topic });
    const one = await post(http, { topic, type: 't', payload: 'one' }, { 'Content-Type': 'application/x-www-form-urlencoded' });
    assert.equal(one.status, 200);
    assert.equal(one.body.matched, 1);
    const many = await post(http, [{ topic, payload: 'two' }, { topic: '', payload: 'bad' }, { topic, payload: 'three' }]);
    assert.equal(many.body.length, 3);
    assert.deepEqual([many.body[0].matched, many.body[1].matched, many.body[2].matched], [1, undefined, 1]);
    assert.deepEqual((await peer.pushes.take(3)).map((m) => m.payload), ['one', 'two', 'three']);
    for (const body of ['{"topic":', '{}', '7', '{"topic":"","payload":""}']) {
      const r = await post(http, body);
      assert.ok(r.status >= 400 && r.status < 500, `${body}: ${r.status}`);
    }
    assert.equal((await post(http, { topic, payload: 'x' }, { Origin: 'http://elsewhere.example' })).status, 403);
    await peer.ask('unsubscribe', { topic });
  }],

  ['GET /stats is a JSON object', async () => {
    const r = await fetch(`${http}/stats`, { signal: AbortSignal.timeout(reply_ms) });
    assert.equal(r.status, 200);
    const stats = await r.json();
    assert.equal(typeof stats, 'object');
    assert.ok(Object.values(stats).some((v) => typeof v === 'number'), 'with figures');
  }],

  ['history: the last N, resume after a position, an unknown epoch', history < 4 ? null : async () => {
    const topic = fresh('history');
    for (let i = 1; i <= 4; ++i) await post(http, { topic, payload: `${i}` });
    const late = await WebSocketPeer.open(http);
    const r = await late.ask('subscribe', { topic, history: 2 });
    assert.ok('epoch' in r && r.offset === 4, `epoch and offset in ${JSON.stringify(r)}`);
    const [m3, m4] = await late.pushes.take(2);
    assert.deepEqual([m3.payload, m4.payload, m3.meta.offset, m4.meta.offset], ['3', '4', 3, 4]);
    assert.ok(late.log.findIndex((m) => m.status) < late.log.findIndex((m) => m.payload === '3'), 'the reply comes first');

    late.ws.terminate();
    await post(http, { topic, payload: '5' });
    const back = await WebSocketPeer.open(http);
    const again = await back.ask('subscribe', { topic, resume: { epoch: m3.meta.epoch, offset: m3.meta.offset } });
    assert.equal(again.recovered, true);
    await post(http, { topic, payload: '6' });
    assert.deepEqual((await back.pushes.take(3)).map((m) => [m.payload, m.meta.offset]), [['4', 4], ['5', 5], ['6', 6]]);

    const stale = await WebSocketPeer.open(http);
    const { epoch } = m3.meta, other = (epoch[0] === '1' ? '2' : '1') + epoch.slice(1);
    assert.equal((await stale.ask('subscribe', { topic, resume: { epoch: other, offset: 3 } })).recovered, false);
  }],

  ['after all this the first connection still works', async () => {
    assert_reply(await peer.request('ping'), 'ok');
    assert.equal(peer.pushes.items.length, 0, 'nothing came twice, and nothing that was not asked for');
    peer.ws.close(1000, 'done');
    assert.equal(await peer.close_code(), 1000);
  }],
]);
