// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
// What the client tests share: options, steps with deadlines, and peers that speak the native dialect.

import dgram from 'node:dgram';
import net from 'node:net';
import WebSocket from 'ws';

export const step_ms = 15000; // a whole step
export const reply_ms = 5000; // one answer of the hub

/** `--name value` pairs. All tests take the same ones and use what they need; a wrong one ends the program with 2. */
export function options(wanted = ['http']) {
  const known = { http: '', tcp: '', udp: '', history: '0', artifacts: '.', deflate: 'off' };
  for (let i = 2; i < process.argv.length; i += 2) {
    const name = process.argv[i].replace(/^--/, ''), value = process.argv[i + 1];
    if (!(name in known) || value === undefined) usage(`unknown or incomplete option ${process.argv[i]}`);
    known[name] = value;
  }
  for (const name of wanted) if (!known[name]) usage(`--${name} is missing`);
  known.http = known.http.replace(/\/$/, '');
  known.history = Number(known.history);
  known.deflate = known.deflate === 'on';
  return known;
}

function usage(why) {
  console.error(`${why}\nusage: node <test> --http http://HOST:PORT [--tcp HOST:PORT] [--udp HOST:PORT] ` +
    '[--history N] [--deflate on, as the hub was started] [--artifacts FOLDER]');
  process.exit(2);
}

/** `promise`, or an error that says what did not come in time. */
export function within(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing after ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Runs the steps one after the other; the first that fails ends the test with exit code 1. `at_end` tidies up. */
export async function run(steps, at_end = async () => {}) {
  let number = 0;
  for (const [name, body, ms = step_ms] of steps) {
    ++number;
    if (body === null) {
      console.log(`skipped ${number} - ${name}`);
      continue;
    }
    const began = performance.now();
    try {
      await within(Promise.resolve().then(body), ms, 'the step');
      console.log(`ok ${number} - ${name} (${Math.round(performance.now() - began)} ms)`);
    } catch (error) {
      console.log(`not ok ${number} - ${name}`);
      console.error(error);
      await at_end(name).catch(console.error);
      process.exit(1);
    }
  }
  console.log(`1..${number}`);
  await at_end();
  process.exit(0); // whatever is still open was left open on purpose
}

/** A topic that no other run uses, so that the tests may share a hub. */
const run_id = `${process.pid}-${Date.now().toString(36)}`;
let names = 0;
export const fresh = (name) => `test/${run_id}/${++names}/${name}`;

/** POST /publish. Returns { status, body }. */
export async function post(http, body, headers = {}) {
  const text = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
  const r = await fetch(`${http}/publish`, { method: 'POST', body: text, headers, signal: AbortSignal.timeout(reply_ms) });
  const reply = await r.text();
  try {
    return { status: r.status, body: JSON.parse(reply) };
  } catch {
    throw new Error(`POST /publish answered what is not JSON: ${r.status} ${reply}`);
  }
}

/** Values that arrive one by one, read with a deadline. */
export class Inbox {
  items = [];
  readers = [];
  put(item) {
    const reader = this.readers.shift();
    if (reader) reader(item);
    else this.items.push(item);
  }
  next(what = 'a message', ms = reply_ms) {
    if (this.items.length) return Promise.resolve(this.items.shift());
    let reader;
    const got = new Promise((resolve) => this.readers.push((reader = resolve)));
    return within(got, ms, what).finally(() => {
      this.readers = this.readers.filter((r) => r !== reader);
    });
  }
  async take(count, what) {
    const all = [];
    while (all.length < count) all.push(await this.next(`${what ?? 'message'} ${all.length + 1} of ${count}`));
    return all;
  }
}

/** The native dialect over anything that carries JSON objects: `send(object)` out, `receive(text)` in. */
export class Peer {
  replies = new Inbox();
  pushes = new Inbox(); // messages and gap markers, as they came
  log = []; // everything, in order
  next_id = 1;

  receive(text) {
    const m = JSON.parse(text);
    this.log.push(m);
    if (m.status !== undefined && m.action !== undefined) this.replies.put(m);
    else this.pushes.put(m);
  }
  /** Sends a request and returns its reply, whatever it says. */
  async request(action, params, more = {}) {
    const request = { request_id: `r${this.next_id++}`, action, timestamp: Date.now(), ...more };
    if (params !== undefined) request.params = params;
    this.send(request);
    const reply = await this.replies.next(`the reply to ${action}`);
    if (reply.request_id !== request.request_id)
      throw new Error(`the reply to ${JSON.stringify(request)} was ${JSON.stringify(reply)}`);
    return reply;
  }
  /** The same, where only success will do. */
  async ask(action, params, more) {
    const reply = await this.request(action, params, more);
    if (reply.status !== 'ok') throw new Error(`${action} ${JSON.stringify(params)} failed: ${reply.error_message}`);
    return reply;
  }
  push(what) {
    return this.pushes.next(what);
  }
}

export class WebSocketPeer extends Peer {
  static open(http, protocols, settings) {
    const peer = new WebSocketPeer();
    const ws = (peer.ws = new WebSocket(http.replace(/^http/, 'ws') + '/ws', protocols, settings));
    ws.on('message', (data) => peer.receive(data.toString()));
    peer.closed = new Promise((resolve) => ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() })));
    const opened = new Promise((resolve, reject) => {
      ws.on('open', () => resolve(peer));
      ws.on('error', reject); // after the opening: a close with its code follows
    });
    return within(opened, reply_ms, 'the WebSocket handshake');
  }
  send(request) {
    this.ws.send(JSON.stringify(request));
  }
  close_code() {
    return within(this.closed, reply_ms, 'the close').then((c) => c.code);
  }
}

const split = (address) => {
  const at = address.lastIndexOf(':');
  return [address.slice(0, at).replace(/^\[|\]$/g, ''), Number(address.slice(at + 1))];
};

export class TcpPeer extends Peer {
  static open(address) {
    const peer = new TcpPeer(), [host, port] = split(address);
    const socket = (peer.socket = net.connect(port, host));
    let left = '';
    socket.setEncoding('utf8');
    socket.on('data', (text) => {
      const lines = (left + text).split('\n');
      left = lines.pop();
      for (const line of lines) peer.receive(line);
    });
    const opened = new Promise((resolve, reject) => {
      socket.on('connect', () => resolve(peer));
      socket.on('error', reject);
    });
    return within(opened, reply_ms, 'the TCP connection');
  }
  send(request) {
    this.socket.write(JSON.stringify(request) + '\n');
  }
}

export class UdpPeer extends Peer {
  /** Asks for the cookie with a datagram that is long enough to be answered. */
  static async open(address) {
    const peer = new UdpPeer(), [host, port] = split(address);
    const socket = (peer.socket = dgram.createSocket(net.isIPv6(host) ? 'udp6' : 'udp4'));
    const challenges = new Inbox();
    socket.on('message', (data) => {
      const m = JSON.parse(data.toString());
      if (m.action === 'challenge') challenges.put(m);
      else peer.receive(data.toString());
    });
    socket.connect(port, host);
    await within(new Promise((resolve) => socket.on('connect', resolve)), reply_ms, 'the UDP socket');
    socket.send(JSON.stringify({ action: 'hello', padding: '.'.repeat(200) }));
    peer.cookie = (await challenges.next('the challenge')).cookie;
    return peer;
  }
  send(request) {
    this.socket.send(JSON.stringify({ ...request, cookie: this.cookie }));
  }
}

/** Chromium (CHROMIUM, or /usr/bin/chromium), with what its pages complain of. */
export async function launch_chromium() {
  const { chromium } = await import('playwright-core'); // most tests do without
  // --no-sandbox because CI runs as root; playwright makes a new user data folder by itself.
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--no-first-run'],
  });
  const complaints = []; // exceptions, and what the content security policy forbids
  /** A page with a context of its own, which shows the address `http`. */
  async function open(http, settings) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...settings });
    context.setDefaultTimeout(reply_ms);
    const page = await context.newPage();
    page.on('pageerror', (e) => complaints.push(e.message));
    page.on('console', (m) => {
      if (m.type() === 'error' && !/Failed to load resource|WebSocket connection to|ERR_/.test(m.text())) complaints.push(m.text());
    });
    const response = await page.goto(http + '/');
    if (response.status() !== 200 || !/^text\/html/.test(response.headers()['content-type']))
      throw new Error(`${http}/ is no page: status ${response.status()}`);
    return page;
  }
  return { open, complaints, close: () => browser.close() };
}

/** A way to the hub that can be cut: what a lost network does to a client. */
export async function breakable(http) {
  const target = new URL(http), open = new Set();
  const server = net.createServer((near) => {
    const far = net.connect(Number(target.port), target.hostname);
    for (const [a, b] of [[near, far], [far, near]]) {
      open.add(a);
      a.pipe(b);
      a.on('error', () => {});
      a.on('close', () => {
        open.delete(a);
        b.destroy();
      });
    }
  });
  await within(new Promise((resolve) => server.listen(0, '127.0.0.1', resolve)), reply_ms, 'a free port');
  return {
    http: `http://127.0.0.1:${server.address().port}`,
    cut: () => {
      for (const s of open) s.destroy();
    },
  };
}
