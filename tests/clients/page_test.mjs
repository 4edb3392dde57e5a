// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
// The hub's page in a real Chromium (CHROMIUM, or /usr/bin/chromium).

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { breakable, fresh, launch_chromium, options, post, reply_ms, run } from './support.mjs';

const { http, history, artifacts, deflate } = options();
mkdirSync(artifacts, { recursive: true });

// The page is reached through a way that can be cut, so that its reconnecting can be seen.
const way = await breakable(http);
const { open: open_page, complaints, close } = await launch_chromium();
const open = (settings) => open_page(way.http, settings);

const connected = (page, ms = reply_ms) => page.waitForSelector('#state[data-state="connected"]', { timeout: ms });
const row = (page, ...texts) =>
  texts.reduce((found, text) => found.filter({ hasText: text }), page.locator('#messages tr')).first().waitFor();
async function subscribe(page, topic, { filter = false, type = '', last = '' } = {}) {
  await page.fill('#sub-topic', topic);
  await page.fill('#sub-type', type);
  await page.locator('label', { has: page.locator(filter ? '#match-filter' : '#match-exact') }).click();
  if (!filter) await page.fill('#sub-history', last);
  await page.click('#subscribe');
  await page.locator('#subs li[data-state="active"]').filter({ hasText: topic }).first().waitFor();
}
async function publish(page, topic, payload, type = '') {
  await page.fill('#pub-topic', topic);
  await page.fill('#pub-type', type);
  await page.fill('#pub-payload', payload);
  await page.click('#publish');
}
/** Pixels of the chart in the colour of a style variable. */
const pixels = (page, variable) => page.evaluate((name) => {
  const canvas = document.querySelector('#rate'), probe = document.createElement('canvas').getContext('2d');
  probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name);
  probe.fillRect(0, 0, 1, 1);
  const wanted = probe.getImageData(0, 0, 1, 1).data;
  const all = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let found = 0;
  for (let i = 0; i < all.length; i += 4) found += [0, 1, 2].every((c) => Math.abs(all[i + c] - wanted[c]) < 3) && all[i + 3] > 250;
  return found;
}, variable);

const page = await open({ colorScheme: 'light' });
const topic = fresh('news'), markup = '<b>bold?</b> & "quotes" <img src=x onerror="document.title=\'broken\'"> äöü';

run([
  ['it opens, not connected, and connects', async () => {
    assert.match(await page.textContent('#state'), /Not connected/);
    await page.click('#connect');
    await connected(page);
    assert.equal(await page.textContent('#connect'), 'Disconnect');
  }],

  ['Chromium compresses if the hub does', async () => {
    const topic = fresh('compressed'), payload = 'price 1.0, name somebody; '.repeat(400);
    const got = await page.evaluate(([topic, payload]) => new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://${location.host}/ws`);
      const say = (action, params) => socket.send(JSON.stringify({ action, params }));
      socket.onopen = () => {
        say('subscribe', { topic });
        say('publish', { topic, payload });
      };
      socket.onmessage = ({ data }) => {
        const m = JSON.parse(data);
        if (m.status === 'fail') reject(new Error(data));
        if (m.topic) resolve({ payload: m.payload, extensions: socket.extensions });
      };
      socket.onclose = ({ code, reason }) => reject(new Error(`closed: ${code} ${reason}`));
    }), [topic, payload]);
    assert.equal(got.payload, payload);
    assert.equal(/^permessage-deflate/.test(got.extensions), deflate, got.extensions);
  }],

  ['subscribe, publish from the page: the message appears, its text as text', async () => {
    await subscribe(page, topic);
    await publish(page, topic, markup, 'headline');
    await row(page, topic, markup);
    await row(page, 'headline');
    await page.locator('#receipt.ok', { hasText: 'Reached 1 subscriber' }).waitFor();
    assert.equal(await page.locator('#messages img, #messages b:not(.what b)').count(), 0);
    assert.equal(await page.title(), 'pusher hub');
  }],

  ['POST /publish appears too, for an exact topic and for a filter', async () => {
    const r = await post(http, { topic, payload: 'by curl' });
    assert.equal(r.body.matched, 1);
    await row(page, topic, 'by curl');
    const tree = fresh('tree');
    await subscribe(page, `${tree}/+`, { filter: true });
    await post(http, { topic: `${tree}/leaf`, payload: 'seen by filter' });
    await row(page, `${tree}/leaf`, 'seen by filter');
  }],

  ['the page publishes by POST as well', async () => {
    await page.locator('label', { has: page.locator('#via-http') }).click();
    await publish(page, topic, 'posted by the page');
    await row(page, 'posted by the page');
    await page.locator('label', { has: page.locator('#via-ws') }).click();
  }],

  ['a failure is shown where it was asked for, and in the table', async () => {
    await publish(page, topic, 'x', 'pusher.reserved');
    await page.locator('#receipt.bad').waitFor();
    await page.locator('#messages tr.fail').first().waitFor();
  }],

  ['the chart is drawn', async () => {
    await page.waitForTimeout(300); // it is drawn four times a second
    assert.ok((await pixels(page, '--bar')) > 50, 'bars are there');
  }],

  ['the figures of /stats are there', async () => {
    await page.waitForFunction(() => document.querySelectorAll('#stats dd').length > 0);
    await page.screenshot({ path: join(artifacts, 'page-light.png') });
  }],

  ['a lost connection is made again by itself; with history nothing is missing', async () => {
    way.cut();
    await page.waitForSelector('#state[data-state="waiting"], #state[data-state="connecting"]');
    await post(http, { topic, payload: 'published meanwhile' });
    await connected(page, 15000);
    await page.locator('#subs li[data-state="active"]').filter({ hasText: topic }).waitFor();
    if (history) await row(page, 'published meanwhile');
    await post(http, { topic, payload: 'and afterwards' });
    await row(page, 'and afterwards');
  }, 30000],

  ['a flood: the page stays usable, and received + missed = published', async () => {
    const load = fresh('load'), batches = 100, each = 200;
    await page.click('#clear');
    await subscribe(page, `${load}/#`, { filter: true });
    const before = await page.evaluate(() => ({ ...document.querySelector('#totals').dataset }));
    await page.evaluate(() => {
      window.slowest = 0;
      let last = performance.now();
      const step = (now) => {
        window.slowest = Math.max(window.slowest, now - last);
        last = now;
        requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    });
    for (let i = 0; i < batches; ++i) {
      const r = await post(http, Array.from({ length: each }, (_, j) => ({ topic: `${load}/${j % 5}`, type: 'tick', payload: `{"n":${i * each + j}}` })));
      assert.equal(r.status, 200, JSON.stringify(r.body));
    }
    await post(http, { topic: `${load}/end`, payload: 'end of the flood' });
    const wanted = Number(before.received) + Number(before.missed) + batches * each + 1;
    await page.waitForFunction((n) => {
      const { received, missed } = document.querySelector('#totals').dataset;
      return Number(received) + Number(missed) >= n;
    }, wanted, { timeout: 20000 });
    await row(page, 'end of the flood');
    const after = await page.evaluate(() => ({ ...document.querySelector('#totals').dataset, slowest: window.slowest, rows: document.querySelectorAll('#messages tr').length }));
    console.log(`  ${after.received - before.received} received, ${after.missed - before.missed} missed, slowest frame ${Math.round(after.slowest)} ms`);
    assert.equal(Number(after.received) + Number(after.missed), wanted, 'every message received or told of, none twice');
    assert.ok(after.rows <= 300, 'the table is bounded');
    assert.ok(after.slowest < 1000, 'the page never froze');
    await page.screenshot({ path: join(artifacts, 'page-flood.png') });
  }, 60000],

  ['unsubscribe: nothing comes any more', async () => {
    const other = fresh('other');
    await subscribe(page, other);
    await page.getByRole('button', { name: `Unsubscribe from ${topic}` }).click();
    await page.locator('#subs li').filter({ hasText: topic }).waitFor({ state: 'detached' });
    // A session's requests are handled in order: when this publish is back, the unsubscribe is done.
    await publish(page, other, 'in order');
    await row(page, other, 'in order');
    await post(http, { topic, payload: 'not for the page' });
    await post(http, { topic: other, payload: 'fence' });
    await row(page, 'fence');
    assert.equal(await page.locator('#messages tr').filter({ hasText: 'not for the page' }).count(), 0);
  }],

  ['dark, and by server-sent events', async () => {
    const dark = await open({ colorScheme: 'dark' });
    await dark.locator('label', { has: dark.locator('#transport-sse') }).click();
    await dark.click('#connect');
    await connected(dark);
    const a = fresh('sse/a'), b = fresh('sse/b');
    await subscribe(dark, a);
    await subscribe(dark, b);
    await connected(dark);
    await publish(dark, a, 'over the stream', 'note');
    await row(dark, a, 'over the stream');
    await post(http, { topic: b, payload: 'and the second topic' });
    await row(dark, b, 'and the second topic');
    await dark.screenshot({ path: join(artifacts, 'page-dark.png') });
    await dark.context().close();
  }],

  ['on a phone nothing is wider than the screen', async () => {
    const phone = await open({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true });
    const name = fresh('phone');
    await subscribe(phone, name); // connects by itself
    await publish(phone, name, 'from a phone '.repeat(20));
    await row(phone, name, 'from a phone');
    assert.ok((await phone.evaluate(() => document.documentElement.scrollWidth)) <= 390);
    await phone.screenshot({ path: join(artifacts, 'page-phone.png'), fullPage: true });
    await phone.context().close();
  }],

  ['no exception, and nothing against the content security policy', () => {
    assert.deepEqual(complaints, []);
  }],
], async (failed) => {
  if (failed) await page.screenshot({ path: join(artifacts, 'page-failed.png') });
  await close();
});
