// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
// The chat's page in a real Chromium: rooms, history, who is there, and coming back.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { breakable, Inbox, launch_chromium, options, reply_ms, run, WebSocketPeer, within } from '../support.mjs';

const { http, artifacts } = options();
mkdirSync(artifacts, { recursive: true });
const { open, complaints, close } = await launch_chromium();

const connected = (page, ms = reply_ms) => page.waitForSelector('#state[data-state="connected"]', { timeout: ms });
async function come(page, name) {
  await page.fill('#name', name);
  await page.click('#welcome button');
}
async function say(page, text) {
  await page.fill('#text', text);
  await page.click('#send');
  await page.waitForFunction(() => document.querySelector('#text').value === ''); // it came back
}
const said = (page, name, text) =>
  page.locator('#log .said').filter({ has: page.locator('.name', { hasText: name }) }).filter({ hasText: text }).waitFor();
const note = (page, text) => page.locator('#log .note', { hasText: text }).first().waitFor();
const people = (page, ...names) => page.waitForFunction((wanted) =>
  [...document.querySelectorAll('#people li')].map((item) => item.textContent).join() === wanted, names.sort().join());
const offsets = (page) => page.evaluate(() => [...document.querySelectorAll('#log .said')].map((item) => Number(item.dataset.offset)));
const from_to = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => first + i);
const sign_in = async (name, secret = 'secret', settings = {}) => {
  const peer = await WebSocketPeer.open(http, 'pusher.v1', settings);
  await peer.ask('auth', { token: `${name}:${secret}` });
  return peer;
};

const way = await breakable(http); // Ann's, which can be cut
const ann = await open(way.http, { colorScheme: 'light' });
const bob = await open(http, { colorScheme: 'dark' });
const wire = new Inbox(); // where in the lobby the messages are that Ann was sent
ann.on('websocket', (ws) => ws.on('framereceived', ({ payload }) => {
  const { topic, meta } = JSON.parse(payload);
  if (topic === 'room/lobby') wire.put(meta.offset);
}));
const markup = '<b>bold?</b> & "quotes" <img src=x onerror="document.title=\'broken\'"> äöü';
let vanished;

run([
  ['two come in, and each sees both', async () => {
    await come(ann, 'Ann');
    await connected(ann);
    await people(ann, 'Ann');
    await come(bob, 'Bob');
    await connected(bob);
    for (const page of [ann, bob]) await people(page, 'Ann', 'Bob');
    await note(ann, 'Bob came in');
    vanished = await sign_in('Zoe', 'secret', { autoPong: false }); // will not answer pings: gone, for all that one knows
    await vanished.ask('subscribe', { topic: 'room/support' });
    await vanished.ask('subscribe', { topic: 'who/support', history: 1 });
    assert.equal((await vanished.push()).payload, '["Zoe"]');
  }],

  ['what one says both hear, its markup as text', async () => {
    await say(ann, markup);
    await say(bob, 'hello Ann');
    for (const page of [ann, bob]) {
      await said(page, 'Ann', markup);
      await said(page, 'Bob', 'hello Ann');
      assert.deepEqual(await offsets(page), [1, 2]);
      assert.equal(await page.locator('#log img, #log b').count(), 0);
      assert.equal(await page.title(), 'Chat');
    }
    await ann.screenshot({ path: join(artifacts, 'chat-light.png') });
    await bob.screenshot({ path: join(artifacts, 'chat-dark.png') });
  }],

  ['rooms are apart; who enters one sees the last messages, and who comes back to it what is new', async () => {
    await bob.click('nav a[href="#music"]');
    await people(bob, 'Bob');
    await people(ann, 'Ann');
    await note(ann, 'Bob left');
    for (let i = 1; i <= 60; ++i) await say(bob, `song ${i}`);
    await say(ann, 'nobody here?');
    await ann.click('nav a[href="#music"]');
    await said(ann, 'Bob', 'song 60');
    assert.deepEqual(await offsets(ann), from_to(11, 60));
    await people(ann, 'Ann', 'Bob');
    for (const page of [bob, ann]) await page.click('nav a[href="#lobby"]');
    await said(bob, 'Ann', 'nobody here?');
    for (const page of [ann, bob]) {
      await people(page, 'Ann', 'Bob');
      assert.deepEqual(await offsets(page), [1, 2, 3]);
    }
  }, 30000],

  ['a name belongs to who has it', async () => {
    const eve = await open(http);
    await come(eve, 'Ann');
    await eve.locator('#refusal', { hasText: 'somebody else has this name' }).waitFor();
    await come(eve, 'Eve');
    await people(eve, 'Ann', 'Bob', 'Eve');
    await eve.click('#leave');
    await eve.locator('#welcome').waitFor();
    await note(ann, 'Eve left');
    await eve.context().close();
  }],

  ['nobody speaks for another, listens everywhere, or too long', async () => {
    const mallory = await sign_in('Mallory');
    for (const [action, params] of [
      ['publish', { topic: 'room/lobby', type: 'Ann', payload: 'I am Ann' }],
      ['publish', { topic: 'room/lobby', payload: 'nobody' }],
      ['publish', { topic: 'who/lobby', type: 'Mallory', payload: '[]' }],
      ['publish', { topic: 'room/secret', type: 'Mallory', payload: 'x' }],
      ['subscribe', { topic: 'room/#', match: 'filter' }],
      ['subscribe', { topic: 'room/lobby', type: 'Ann' }],
      ['subscribe', { topic: 'room/secret' }],
    ]) assert.equal((await mallory.request(action, params)).status, 'fail', JSON.stringify(params));
    mallory.send({ action: 'publish', params: { topic: 'room/lobby', type: 'Mallory', payload: 'x'.repeat(5000) } });
    assert.equal(await mallory.close_code(), 1009);
    const nobody = await WebSocketPeer.open(http, 'pusher.v1');
    assert.equal((await nobody.request('subscribe', { topic: 'room/lobby' })).status, 'fail');
    assert.equal((await nobody.request('auth', { token: '<b>:secret' })).status, 'fail');
    assert.equal(await ann.getAttribute('#text', 'maxlength'), '1000');
    await say(ann, '\u{1F600}"'.repeat(333)); // the longest in bytes fit
  }],

  ['a lost connection is made again: nothing is missing, and nothing there twice', async () => {
    way.cut();
    await ann.waitForSelector('#state:not([data-state="connected"])');
    for (let i = 1; i <= 10; ++i) await say(bob, `meanwhile ${i}`);
    await connected(ann, 15000);
    await said(ann, 'Bob', 'meanwhile 10');
    await say(bob, 'and afterwards');
    await said(ann, 'Bob', 'and afterwards');
    assert.deepEqual(await offsets(ann), from_to(1, 15));
    for (const page of [ann, bob]) await people(page, 'Ann', 'Bob');
  }, 30000],

  ['a page that is loaded again goes on where it was', async () => {
    await ann.goto('about:blank');
    await people(bob, 'Bob');
    const carl = await sign_in('Carl');
    for (let i = 1; i <= 60; ++i) await carl.ask('publish', { topic: 'room/lobby', type: 'Carl', payload: `gone ${i}` });
    await ann.goto(`${way.http}/`);
    await connected(ann);
    await said(ann, 'Carl', 'gone 60'); // more than who enters would see
    await say(ann, 'I am back');
    await said(bob, 'Ann', 'I am back');
    for (const page of [ann, bob]) assert.deepEqual(await offsets(page), from_to(1, 76));
    await ann.reload();
    await connected(ann);
    await say(ann, 'and again');
    assert.deepEqual(await offsets(ann), from_to(1, 77));
    assert.deepEqual(await wire.take(77), from_to(1, 77)); // nor did anything come twice, and was not shown
    await ann.screenshot({ path: join(artifacts, 'chat-again.png') });
    carl.ws.close();
  }, 30000],

  ['what is not answered for before the connection breaks is there once in the end', async () => {
    await ann.fill('#text', 'was it sent?');
    await ann.click('#send');
    way.cut();
    await connected(ann, 15000);
    // Perhaps it was: then it comes back by itself, perhaps while it is being sent once more.
    await ann.waitForFunction(() => {
      const open = document.querySelector('#text').value !== '' && !document.querySelector('#send').disabled;
      if (open) document.querySelector('#send').click();
      return document.querySelector('#text').value === '';
    }, undefined, { timeout: 15000 });
    await say(bob, 'it was');
    await said(ann, 'Bob', 'it was');
    assert.equal(await ann.locator('#log .said', { hasText: 'was it sent?' }).count(), 1);
    assert.equal(await bob.locator('#log .said', { hasText: 'was it sent?' }).count(), 1);
  }, 40000],

  ['one page closes, and the other sees it leave', async () => {
    await bob.context().close();
    await people(ann, 'Ann');
    await note(ann, 'Bob left');
  }],

  ['who vanishes without a word leaves too', async () => {
    assert.equal((await within(vanished.closed, 25000, 'the end of who has vanished')).code, 1001);
    await ann.click('nav a[href="#support"]');
    await people(ann, 'Ann');
  }, 40000],

  ['on a phone nothing is wider than the screen', async () => {
    const phone = await open(http, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
    await come(phone, 'Phone');
    await said(phone, 'Bob', 'it was');
    await people(phone, 'Phone');
    assert.ok((await phone.evaluate(() => document.documentElement.scrollWidth)) <= 390);
    await phone.screenshot({ path: join(artifacts, 'chat-phone.png') });
    await phone.context().close();
  }],

  ['no exception, and nothing against the content security policy', () => {
    assert.deepEqual(complaints, []);
  }],
], async (failed) => {
  if (failed) await ann.screenshot({ path: join(artifacts, 'chat-failed.png') });
  await close();
});
