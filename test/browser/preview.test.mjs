// Every page, with its example data, in a real browser: no accessibility fault that axe-core can see,
// in light and dark, in French and in English; no sideways scrolling at 320 pixels; no script needed.
// The pages are in build/preview, made by the unit test src/platform/preview_test.c.
//   SHOTS=folder node --test test/browser/preview.test.mjs    also takes pictures; ONLY=name limits it
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { mkdtempSync, readFileSync, readdirSync, existsSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = join(root, 'build/preview');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const names = existsSync(folder)
  ? readdirSync(folder).filter((n) => n.endsWith('.html') && n.includes(process.env.ONLY ?? '')) : [];
let server, browser, base, profile;

before(async () => {
  server = createServer((req, res) => {
    const name = decodeURIComponent(req.url.split('?')[0]).replace(/^\/(static\/)?/, '');
    const file = join(folder, name);
    if (!/^[\w.-]+$/.test(name) || !existsSync(file)) return res.writeHead(404).end();
    const type = name.endsWith('.css') ? 'text/css' : name.endsWith('.svg') ? 'image/svg+xml' : 'text/html; charset=utf-8';
    res.writeHead(200, { 'content-type': type,
      'content-security-policy': "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'" });
    res.end(readFileSync(file));
  }).listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  base = `http://127.0.0.1:${server.address().port}`;
  profile = mkdtempSync(join(tmpdir(), 'socle-preview-'));
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'] });
});
after(async () => {
  await browser?.close();
  server?.close();
  if (profile) rmSync(profile, { recursive: true, force: true });
});

// Light has every rule; dark differs in colours alone.
const colours = ['color-contrast', 'color-contrast-enhanced', 'link-in-text-block'];
async function faults(page, rules) {
  return page.evaluate(async (only) => {
    const r = await globalThis.axe.run(document, { resultTypes: ['violations'], ...(only ? { runOnly: only } : {}), rules: { 'color-contrast-enhanced': { enabled: true } } });
    return r.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ')}`);
  }, rules);
}

// One page a scheme, used for all.
const pages = {};
async function pageOf(scheme) {
  if (!pages[scheme]) {
    const context = await browser.newContext({ colorScheme: scheme, viewport: { width: 1280, height: 900 }, bypassCSP: true });
    pages[scheme] = await context.newPage();
  }
  return pages[scheme];
}

test('there are pages to look at', { skip: names.length === 0 && process.env.CI !== 'true' }, () => {
  assert.ok(names.length > 0, 'run build/unit/src/platform/preview_test first');
});

for (const name of names) {
  test(`${name}: accessible, and fits 320 pixels`, async () => {
    for (const scheme of ['light', 'dark']) {
      const page = await pageOf(scheme);
      await page.setViewportSize({ width: 1280, height: 900 });
      await page.goto(`${base}/${name}`);
      await page.addScriptTag({ content: axe });
      assert.deepEqual(await faults(page, scheme === 'dark' ? colours : null), [], `${scheme}`);
      if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${name}-${scheme}-1280.png`), fullPage: true });
      if (scheme === 'dark' && !process.env.SHOTS) continue;
      await page.setViewportSize({ width: 320, height: 700 });
      const wide = await page.evaluate(() => [...document.querySelectorAll('body *')]
        .filter((e) => !e.closest('.scroll, .skip, .hidden, pre') && e.getBoundingClientRect().right > 320.5)
        .map((e) => `${e.tagName}.${e.className}`).slice(0, 5));
      assert.deepEqual(wide, [], 'nothing reaches out of a screen of 320 pixels');
      if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${name}-${scheme}-320.png`), fullPage: true });
      assert.equal(await page.locator('h1').count(), 1, 'one main title');
      assert.equal(await page.locator('text=/\\[[a-z_.]+\\]/').count(), 0, 'no missing text');
    }
  });
}
