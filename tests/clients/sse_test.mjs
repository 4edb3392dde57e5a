// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
// Server-sent events, received by npm's `eventsource`.

import assert from 'node:assert/strict';
import http_client from 'node:http';
import { EventSource } from 'eventsource';
import { Inbox, breakable, fresh, options, post, reply_ms, run, within } from './support.mjs';

const { http, history } = options();

class Source {
  /** Opens `/events` with these query parameters; `names` are the event names to listen for beside `message`. */
  static async open(base, query, { names = [], headers = {} } = {}) {
    const source = new Source(), parameters = new URLSearchParams(query);
    source.events = new Inbox();
    source.reopened = new Inbox();
    source.errors = new Inbox();
    const es = (source.es = new EventSource(`${base}/events?${parameters}`, {
      fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }),
    }));
    for (const name of ['message', ...names]) {
      es.addEventListener(name, (e) => source.events.put({ name: e.type, data: e.data, id: e.lastEventId }));
    }
    let open = false;
    await within(new Promise((resolve, reject) => {
      es.onopen = () => {
        if (open) source.reopened.put(true);
        open = true;
        resolve();
      };
      es.onerror = (e) => {
        if (open) return source.errors.put({ code: e.code, message: e.message });
        es.close();
        reject(new Error(`${e.code} ${e.message}`));
      };
    }), reply_ms, 'the open stream');
    return source;
  }
  next(what, ms) {
    return this.events.next(what, ms);
  }
  close() {
    this.es.close();
  }
}

const publish = async (message) => {
  const r = await post(http, message);
  assert.equal(r.status, 200, JSON.stringify(r.body));
  return r.body;
};

/** Only status and headers: the stream is dropped at once. */
const head = (query, headers = {}) => within(new Promise((resolve, reject) => {
  const request = http_client.get(`${http}/events?${query}`, { headers }, (response) => {
    let body = '';
    response.on('data', (chunk) => (body += chunk));
    response.on('end', () => resolve({ response, body }));
    response.on('error', () => {});
    if (response.statusCode === 200) {
      resolve({ response, body });
      request.destroy();
    }
  });
  request.on('error', reject);
}), reply_ms, 'the response');

run([
  ['the headers of a stream', async () => {
    const { response } = await head(`topic=${encodeURIComponent(fresh('headers'))}`);
    assert.equal(response.statusCode, 200);
    assert.match(response.headers['content-type'], /^text\/event-stream/);
    assert.match(response.headers['cache-control'], /no-cache/);
    assert.equal(response.headers['x-accel-buffering'], 'no');
    assert.match(response.headers.connection, /close/i);
    assert.equal(response.headers['transfer-encoding'], undefined, 'no chunks');
  }],

  ['one exact topic: the payload as it is, the type as the event name', async () => {
    const topic = fresh('one'), s = await Source.open(http, { topic }, { names: ['bid'] });
    assert.equal((await publish({ topic, payload: 'plain' })).matched, 1);
    await publish({ topic, type: 'bid', payload: '1.0842' });
    await publish({ topic, payload: 'two\nlines, äöü 🚀\n' });
    await publish({ topic, payload: ' {"a":1}' });
    const got = await s.events.take(4);
    assert.deepEqual(got.map((e) => [e.name, e.data]), [
      ['message', 'plain'], ['bid', '1.0842'], ['message', 'two\nlines, äöü 🚀\n'], ['message', ' {"a":1}'],
    ]);
    if (history) assert.equal(new Set(got.map((e) => e.id)).size, 4, 'with history every event has an id of its own');
    s.close();
  }],

  ['two topics: native push objects, in publish order', async () => {
    const a = fresh('a'), b = fresh('b'), s = await Source.open(http, [['topic', a], ['topic', b]], { names: ['t'] });
    for (let i = 0; i < 20; ++i) await publish({ topic: i % 2 ? a : b, type: 't', payload: `${i}` });
    (await s.events.take(20)).forEach((e, i) => {
      assert.equal(e.name, 'message');
      const m = JSON.parse(e.data);
      assert.deepEqual([m.topic, m.type, m.payload], [i % 2 ? a : b, 't', `${i}`]);
      assert.equal(typeof m.meta.message_id, 'string');
      assert.equal(typeof m.meta.receive_time, 'string');
    });
    s.close();
  }],

  ['envelope=json, a filter, and a type', async () => {
    const topic = fresh('envelope');
    const enveloped = await Source.open(http, { topic, envelope: 'json' });
    const filtered = await Source.open(http, { topic: `${topic}/#`, match: 'filter' });
    const typed = await Source.open(http, { topic, type: 'ask' }, { names: ['ask', 'bid'] });
    await publish({ topic, type: 'bid', payload: 'B' });
    await publish({ topic, type: 'ask', payload: 'A' });
    await publish({ topic: `${topic}/below`, payload: 'below' });
    assert.deepEqual((await enveloped.events.take(2)).map((e) => JSON.parse(e.data).payload), ['B', 'A']);
    assert.deepEqual((await filtered.events.take(3)).map((e) => JSON.parse(e.data).payload), ['B', 'A', 'below']);
    const e = await typed.next();
    assert.deepEqual([e.name, e.data], ['ask', 'A']);
    for (const s of [enveloped, filtered, typed]) s.close();
  }],

  ['types that EventSource takes for its own come as a message in an envelope', async () => {
    const topic = fresh('reserved'), s = await Source.open(http, { topic });
    for (const type of ['error', 'open']) {
      await publish({ topic, type, payload: 'x' });
      const e = await s.next();
      assert.equal(e.name, 'message');
      assert.deepEqual([JSON.parse(e.data).type, JSON.parse(e.data).payload], [type, 'x']);
    }
    assert.equal(s.errors.items.length, 0);
    s.close();
  }],

  ['errors are JSON with a 4xx status; EventSource gives up', async () => {
    for (const query of ['', 'topic=', `topic=${'x'.repeat(256)}`, 'topic=a%01', 'topic=a/%23/b&match=filter', 'topic=a&match=x']) {
      const { response, body } = await head(query);
      assert.ok(response.statusCode >= 400 && response.statusCode < 500, `${query}: ${response.statusCode}`);
      assert.equal(typeof JSON.parse(body), 'object');
    }
    await assert.rejects(Source.open(http, { topic: '' }), /^Error: 4/);
    assert.equal((await head('topic=a', { Origin: 'http://elsewhere.example' })).response.statusCode, 403);
  }],

  ['a lost connection is made again by EventSource, and what came meanwhile is there', history < 10 ? null : async () => {
    const a = fresh('a'), b = fresh('b'), way = await breakable(http);
    const s = await Source.open(way.http, [['topic', a], ['topic', b]]);
    await publish({ topic: a, payload: '1' });
    await publish({ topic: b, payload: '2' });
    await s.events.take(2);
    way.cut();
    await s.errors.next('the loss');
    for (const [topic, payload] of [[a, '3'], [b, '4'], [a, '5']]) await publish({ topic, payload });
    await s.reopened.next('the stream again', 12000);
    await publish({ topic: b, payload: '6' });
    assert.deepEqual((await s.events.take(4)).map((e) => JSON.parse(e.data).payload), ['3', '4', '5', '6']);
    s.close();
  }, 30000],

  ['Last-Event-ID and last_event_id resume after that event', history < 10 ? null : async () => {
    const topic = fresh('resume'), first = await Source.open(http, { topic });
    for (let i = 1; i <= 5; ++i) await publish({ topic, payload: `${i}` });
    const id = (await first.events.take(2))[1].id;
    first.close();
    for (const [query, headers] of [[{ topic }, { 'Last-Event-ID': id }], [{ topic, last_event_id: id }, {}]]) {
      const s = await Source.open(http, query, { headers });
      assert.deepEqual((await s.events.take(3)).map((e) => e.data), ['3', '4', '5']);
      s.close();
    }
  }],

  ['without an id a stream begins live', async () => {
    const topic = fresh('live');
    await publish({ topic, payload: 'before' });
    const s = await Source.open(http, { topic });
    await publish({ topic, payload: 'after' });
    assert.equal((await s.next()).data, 'after');
    s.close();
  }],
]);
