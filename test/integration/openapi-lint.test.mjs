// Our own description of the API, judged by Spectral's rules for OpenAPI: the linter its readers use.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import spectral from '@stoplight/spectral-core';
import rulesets from '@stoplight/spectral-rulesets';
import { Platform } from '../lib/platform.mjs';
import { World } from '../lib/story.mjs';
import { send } from '../lib/http.mjs';

let platform, world;
before(async () => { platform = await Platform.start(); world = new World(platform); }, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

test('/openapi.json of the portal and of a body’s site: no error by Spectral’s OpenAPI rules', { timeout: 120000 }, async () => {
  const linter = new spectral.Spectral();
  linter.setRuleset({ extends: [[rulesets.oas, 'recommended']], rules: {} });
  for (const base of [platform.base, world.townUrl]) {
    const r = await send(`${base}/openapi.json`);
    assert.equal(r.status, 200);
    const found = await linter.run(r.json);
    const count = {};
    for (const f of found) count[f.code] = (count[f.code] ?? 0) + 1;
    console.log(`figure: ${base}: ${Object.keys(r.json.paths).length} paths, ${found.length} findings ${JSON.stringify(count)}`);
    assert.deepEqual(found.filter((f) => f.severity === 0).map((f) => `${f.code} ${f.path.join('.')}: ${f.message}`).slice(0, 20), []);
    assert.deepEqual(found.filter((f) => f.severity === 1).map((f) => `${f.code} ${f.path.join('.')}: ${f.message}`).slice(0, 20), [], 'nor a warning');
  }
});
