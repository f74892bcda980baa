// Chromium as people have it, and stricter: no script runs on the pages, and each state that is seen
// is looked at (axe-core, sideways scrolling, titles, missing texts) and photographed.
import { createRequire } from 'node:module';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { engine, root } from './platform.mjs';

const require = createRequire(import.meta.url);
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
export const shots = join(root, 'build/shots', engine);

export async function launch() {
  const { chromium } = await import('playwright-core');
  mkdirSync(shots, { recursive: true });
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, timeout: 120000,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--force-color-profile=srgb'],
  });
}

// A person at a browser.
export class Visit {
  static async open(browser, { name, lang = 'fr', width = 1280, height = 900 }) {
    const v = new Visit();
    Object.assign(v, { name, lang, width, faults: [], seen: [] });
    v.context = await browser.newContext({ javaScriptEnabled: false, locale: lang === 'fr' ? 'fr-FR' : 'en-GB', viewport: { width, height }, acceptDownloads: true });
    v.page = await v.context.newPage();
    v.page.setDefaultTimeout(20000);
    v.page.on('console', (m) => { if (['error', 'warning'].includes(m.type()) && !/status of 4\d\d/.test(m.text())) v.faults.push(`console on ${v.page.url()}: ${m.text()}`); });
    v.page.on('pageerror', (e) => v.faults.push(`script on ${v.page.url()}: ${e.message}`));
    // The same document with scripts on, for axe-core: it cannot run where scripts are off.
    v.mirrors = await browser.newContext({ locale: 'fr-FR', viewport: { width, height }, bypassCSP: true });
    v.mirror = await v.mirrors.newPage();
    return v;
  }

  async close() { await this.context.close(); await this.mirrors.close(); }

  // Looks at the page as it stands and keeps its picture.
  async see(state) {
    const page = this.page, where = `${state} (${page.url()})`;
    const html = await page.content();
    const look = await page.evaluate((width) => ({
      h1: document.querySelectorAll('h1').length,
      lang: document.documentElement.lang,
      title: document.title,
      scripts: document.scripts.length,
      passkey: document.querySelector('form[data-passkey]') !== null,
      inline: document.querySelectorAll('[style]:not([style=""])').length,
      holes: (document.body.innerText.match(/\[[a-z_.]+\]|\{\{/g) ?? []),
      wide: [...document.querySelectorAll('body *')].filter((e) => !e.closest('.scroll, .skip, .hidden, pre') && e.getBoundingClientRect().right > width + 0.5).map((e) => `${e.tagName}.${e.className}`).slice(0, 5),
    }), this.width);
    const path = join(shots, `${this.name}-${String(this.seen.length + 1).padStart(2, '0')}-${state}.png`);
    const [faults] = await Promise.all([this.axe(page.url(), html), page.screenshot({ path, fullPage: true })]); // a page each
    this.seen.push(state);
    assert.equal(look.h1, 1, `one main title: ${where}`);
    assert.ok(look.title.length > 3, `a title: ${where}`);
    assert.equal(look.scripts, look.passkey ? 1 : 0, `no script but that of passkeys: ${where}`);
    assert.equal(look.inline, 0, `no inline style: ${where}`);
    assert.deepEqual(look.holes, [], `no missing text: ${where}`);
    assert.deepEqual(look.wide, [], `nothing reaches out of ${this.width} pixels: ${where}`);
    assert.deepEqual(faults, [], `no accessibility fault: ${where}`);
    assert.deepEqual(this.faults, [], `nothing was complained of: ${where}`);
    return look;
  }

  // The mirror stays on one page a site, which has axe-core once, and takes each document's words: a
  // load for each of them costs as much as the look.
  async axe(url, html) {
    const m = this.mirror, at = url.split('#')[0], { origin } = new URL(url);
    if (this.mirrored === origin) {
      await m.setContent(html);
    } else {
      await m.route((u) => u.href.split('#')[0] === at, (r) => (r.request().isNavigationRequest() ? r.fulfill({ contentType: 'text/html; charset=utf-8', body: html }) : r.fallback()));
      await m.goto(at);
      await m.unrouteAll();
      await m.addScriptTag({ content: axe });
      this.mirrored = origin;
    }
    return m.evaluate(async () => {
      const r = await globalThis.axe.run(document, { resultTypes: ['violations'] });
      return r.violations.map((x) => `${x.id}: ${x.help}: ${x.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ')}`);
    });
  }

  async words() { return (await this.page.locator('main').innerText()).replace(/\s+/g, ' '); }

  async has(what, why) {
    const w = await this.words();
    const good = what instanceof RegExp ? what.test(w) : w.includes(what);
    assert.ok(good, `${why ?? 'the page says'}: ${what}\non ${this.page.url()}:\n${w.slice(0, 2000)}`);
  }

  button(name) { return this.page.getByRole('button', { name }).first(); }
  link(name) { return this.page.getByRole('link', { name }).first(); }
  async press(name) { await this.button(name).click(); await this.page.waitForLoadState(); }
  async follow(name) { await this.link(name).click(); await this.page.waitForLoadState(); }

  // ---- keyboard only ----
  // Tab until the element has the focus, which must be visible there.
  async tabTo(locator, { max = 120 } = {}) {
    const target = await locator.elementHandle();
    for (let i = 0; i < max; i++) {
      await this.page.keyboard.press('Tab');
      const at = await this.page.evaluate((e) => {
        const a = document.activeElement;
        const s = getComputedStyle(a);
        return { here: a === e, outline: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2, box: s.boxShadow !== 'none' };
      }, target);
      if (!at.here) continue;
      assert.ok(at.outline || at.box, `the focus can be seen on ${await locator.innerText().catch(() => 'a field')}`);
      return;
    }
    assert.fail(`the keyboard does not reach ${locator}`);
  }

  async keyPress(locator) {
    await this.tabTo(locator);
    await Promise.all([this.page.waitForNavigation(), this.page.keyboard.press('Enter')]);
    await this.page.waitForLoadState();
  }

  async keyType(locator, value) { await this.tabTo(locator); await this.page.keyboard.press('Control+A'); await this.page.keyboard.type(value); }
}
