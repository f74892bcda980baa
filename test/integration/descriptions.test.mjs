// Descriptions as large as public ones are, and as hostile as one can be: cyclic, pointing outside,
// lying. Each ends soon, with the line at fault, and publishes nothing half.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform } from '../lib/platform.mjs';
import { send } from '../lib/http.mjs';

let platform, outside, asked = 0;
before(async () => {
  platform = await Platform.start();
  outside = createServer((rq, rs) => { asked++; rs.end('{}'); });
  await new Promise((done) => outside.listen(platform.ownPort(0), '127.0.0.1', done));
}, { timeout: 180000 });
after(async () => { outside?.close(); await platform?.destroy(); }, { timeout: 60000 });

const imported = (body) => {
  const file = join(platform.folder, 'description');
  writeFileSync(file, body);
  const at = Date.now(), r = platform.command(['api', 'import', file, '--org', 'ville-de-nantes-demo', '--origin', 'http://127.0.0.1:9', '--json']);
  return { took: Date.now() - at, code: r.code, ...JSON.parse(r.stdout || '{}') };
};
// The shape of a large public description: hundreds of operations, deep shared schemas, cycles.
function large({ paths = 400, schemas = 900, mend = (d) => d } = {}) {
  const d = { openapi: '3.0.3', info: { title: 'Grande interface publique', version: '1.0.0', 'x-socle-id': 'publique', contact: { email: 'a@b.example' }, license: { name: 'MIT' } }, security: [], paths: {}, components: { schemas: {}, parameters: { Page: { name: 'page', in: 'query', description: 'Page', schema: { type: 'integer', example: 1 } } } } };
  for (let i = 0; i < schemas; i++) {
    const to = (k) => ({ $ref: `#/components/schemas/S${(i * 7 + k) % schemas}` });
    d.components.schemas[`S${i}`] = { type: 'object', required: ['id'], properties: { id: { type: 'string', title: `Identifiant ${i}`, description: 'x'.repeat(60) }, parent: to(1), enfants: { type: 'array', items: to(2) }, variante: { oneOf: [to(3), to(4), { type: 'string' }] }, tout: { allOf: [to(5), { type: 'object', properties: { extra: { type: 'string', description: 'y'.repeat(60) } } }] } } };
  }
  for (let i = 0; i < paths; i++)
    d.paths[`/ressources-${i}/{id}`] = Object.fromEntries(['get', 'put', 'delete'].map((m) => [m, { operationId: `${m}-${i}`, summary: `${m} ${i}`, description: 'z'.repeat(200), parameters: [{ $ref: '#/components/parameters/Page' }, { name: 'id', in: 'path', required: true, description: 'Lequel', schema: { type: 'string', example: 'A' } }], responses: { 200: { description: 'Oui', content: { 'application/json': { schema: { $ref: `#/components/schemas/S${i}` } } } }, default: { description: 'Non', content: { 'application/problem+json': { schema: { type: 'object' } } } } } }]));
  return JSON.stringify(mend(d), null, 1);
}

test('[2.1.1.c2] a description of over a megabyte with cycles in every schema is imported, listed and tried', { timeout: 120000 }, async () => {
  const body = large();
  assert.ok(body.length > 1_000_000, `${body.length} bytes`);
  const r = imported(body);
  assert.equal(r.published, true, JSON.stringify(r).slice(0, 800));
  assert.equal(r.operations, 1200);
  console.log(`figure: ${Math.round(body.length / 1024)} KB, 1,200 operations, imported in ${r.took} ms`);
  assert.equal((await send(`${platform.base}/catalogue/publique/v1`)).status, 200);
  assert.equal((await send(`${platform.base}/sandbox/publique/v1/ressources-7/A`)).status, 200);
});

test('[2.1.1.c2] what points outside is refused with its line, and nobody is asked', { timeout: 120000 }, async () => {
  for (const ref of [`http://127.0.0.1:${platform.ownPort(0)}/schema.json`, 'file:///etc/passwd', '../autre.yaml#/x', '//169.254.169.254/latest', '#/components/schemas/Absent', '#/components/schemas/S0/../../..']) {
    const r = imported(large({ paths: 3, schemas: 12, mend: (d) => { d.info['x-socle-id'] = 'dehors'; d.components.schemas.S3.properties.parent = { $ref: ref }; return d; } }));
    assert.equal(r.published, false, ref);
    const found = r.report.findings.find((f) => f.rule.startsWith('references'));
    assert.ok(found?.line > 1, `${ref}: ${JSON.stringify(r.report.findings.slice(0, 3))}`);
  }
  assert.equal(asked, 0);
  assert.equal((await send(`${platform.base}/catalogue/dehors`)).status, 404);
});

test('[2.1.1.c2] what lies about itself ends soon, and is refused or harmless', { timeout: 120000 }, async () => {
  const deep = (n) => { let s = { type: 'string' }; for (let i = 0; i < n; i++) s = { type: 'object', properties: { a: s } }; return s; };
  const lies = [
    large({ paths: 2, schemas: 8, mend: (d) => { d.components.schemas.S1 = { $ref: '#/components/schemas/S1' }; return d; } }),
    large({ paths: 2, schemas: 8, mend: (d) => { d.components.schemas.S1 = deep(40); return d; } }),
    large({ paths: 2, schemas: 8, mend: (d) => { d.paths['/ressources-0/{id}'] = []; return d; } }),
    large({ paths: 2, schemas: 8, mend: (d) => { d.components = 7; return d; } }),
    large({ paths: 2, schemas: 8, mend: (d) => { d.components.schemas.S1.properties = null; d.components.schemas.S2.type = ['object', 'null', 4]; return d; } }),
    large({ paths: 2, schemas: 8, mend: (d) => { d.paths = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`/p${i}`, d.paths['/ressources-0/{id}']])); return d; } }),
    `{"openapi": "3.0.3", "info": {"title": "x", "version": "1.0.0"}, "paths": ${'{"a":'.repeat(500)}1${'}'.repeat(500)}}`,
    '\uFEFFopenapi: 3.0.3', 'openapi: 3.0.3\u0000', 'a'.repeat(7 * 1024 * 1024),
  ];
  const before = (await send(`${platform.base}/api/catalogue/apis`)).json.items.length;
  for (const [i, body] of lies.entries()) {
    const r = imported(body.replace('"publique"', '"menteuse"'));
    assert.ok([0, 1].includes(r.code), `lie ${i} ended with ${r.code}`);
    if (r.published) assert.equal((await send(`${platform.base}/catalogue/menteuse/v1`)).status, 200, `lie ${i}: what is published is shown`);
  }
  assert.ok((await send(`${platform.base}/api/catalogue/apis`)).json.items.length <= before + 1);
});
