// Makes communes.ndjson.gz from the official geographic code, as packaged by Etalab:
//   npm install @etalab/decoupage-administratif@5 && node demo/data/make-communes.mjs
// One line a commune that exists today, sorted by code. Licence of the data: Licence Ouverte 2.0.
import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import { writeFileSync } from 'node:fs';
const require = createRequire(process.cwd() + '/');
const read = (name) => require(`@etalab/decoupage-administratif/data/${name}.json`);
const names = new Map(read('departements').map((d) => [d.code, d.nom]));
const lines = read('communes')
  .filter((c) => c.type === 'commune-actuelle')
  .sort((a, b) => (a.code < b.code ? -1 : 1))
  .map((c) => JSON.stringify({
    code: c.code, nom: c.nom, departement: c.departement,
    departement_nom: names.get(c.departement) ?? '', region: c.region,
    codes_postaux: c.codesPostaux ?? [], population: c.population ?? 0,
  }));
writeFileSync(new URL('communes.ndjson.gz', import.meta.url), gzipSync(lines.join('\n') + '\n', { level: 9 }));
console.log(`${lines.length} communes`);
