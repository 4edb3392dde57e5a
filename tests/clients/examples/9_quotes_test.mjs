// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
// The page of live quotes in a real Chromium: on a fast line, on a slow one, and back.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { launch_chromium, options, reply_ms, run } from '../support.mjs';

const { http, artifacts } = options();
mkdirSync(artifacts, { recursive: true });
const { open, complaints, close } = await launch_chromium();
const page = await open(http, { colorScheme: 'light' });

const symbols = 200;
const state = (text) => page.locator('#state', { hasText: text }).waitFor();
/** What the page shows of a symbol: its newest quote's number. */
const numbers = () => page.evaluate(() =>
  Object.fromEntries([...document.querySelectorAll('#quotes li')].map((item) => [item.dataset.symbol, Number(item.dataset.number)])));
/** Waits until the page shows a newer quote of every symbol than `before` has. */
const all_moved = (before, ms = reply_ms) => page.waitForFunction((old) =>
  [...document.querySelectorAll('#quotes li')].every((item) => Number(item.dataset.number) > old[item.dataset.symbol]),
before, { timeout: ms });
const figure = (name) => page.evaluate((id) => Number(document.getElementById(id).textContent.replaceAll(',', '')), name);
const figure_over = (name, least) => page.waitForFunction(([id, n]) =>
  Number(document.getElementById(id).textContent.replaceAll(',', '')) > n, [name, least]);

run([
  ['every symbol is there, and moves', async () => {
    await state(/^Connected$/);
    await page.waitForFunction((n) => document.querySelectorAll('#quotes li').length === n, symbols);
    await all_moved(await numbers());
    const shown = await page.evaluate(() => [...document.querySelectorAll('#quotes li')].map((item) => item.dataset.symbol));
    assert.deepEqual(shown, [...shown].sort());
    assert.match(await page.locator('#quotes li b').first().textContent(), /^\d+\.\d\d$/);
    await page.screenshot({ path: join(artifacts, 'quotes-fast.png') });
  }],

  ['on a fast line nothing is left out', async () => {
    await figure_over('received', 5000);
    assert.equal(await figure('missed'), 0);
  }],

  ['on a slow line more and more are left out, and still every symbol moves', async () => {
    await page.click('#slow');
    await state('Connected by a slow line');
    await figure_over('missed', 1000);
    await figure_over('missed', await figure('missed') + 1000);
    await all_moved(await numbers(), 30000); // each is as likely as any other to be sent next: some wait long
    await page.locator('#quotes li small', { hasText: /^–\d+$/ }).first().waitFor();
    assert.ok((await figure('received')) < (await figure('missed')), 'most are left out');
    await page.screenshot({ path: join(artifacts, 'quotes-slow.png') });
  }, 45000],

  ['while it is slow, others are not', async () => {
    const other = await open(http, { colorScheme: 'dark', viewport: { width: 390, height: 844 } });
    await other.waitForFunction(() => Number(document.querySelector('#received').textContent.replaceAll(',', '')) > 5000);
    assert.equal(await other.textContent('#missed'), '0');
    assert.ok((await other.evaluate(() => document.documentElement.scrollWidth)) <= 390);
    await other.screenshot({ path: join(artifacts, 'quotes-phone.png') });
    await other.context().close();
  }],

  ['and fast again: the newest of each, and nothing is left out', async () => {
    const slow = await numbers();
    await page.click('#slow');
    await state(/^Connected$/);
    await all_moved(slow);
    await figure_over('received', 5000);
    assert.equal(await figure('missed'), 0);
  }],

  ['no exception, and nothing against the content security policy', () => {
    assert.deepEqual(complaints, []);
  }],
], async (failed) => {
  if (failed) await page.screenshot({ path: join(artifacts, 'quotes-failed.png') });
  await close();
});
