// What people read, from the same files as the program: a test presses the button that says what the
// page says, in the page's language, and follows a change of wording by itself.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './platform.mjs';

const folders = { platform: 'src/platform', identity: 'src/core/identity', account: 'src/core/account', accounts: 'src/core/accounts', exchange: 'src/core/exchange', procedures: 'src/commons/procedures', contracts: 'src/core/contracts', catalogue: 'src/core/catalogue', safety: 'src/core/safety', partners: 'src/core/partners', trust: 'src/core/trust' };
const cache = new Map();

export function text(module, key, lang = 'fr') {
  const file = join(root, folders[module], 'text', `${lang}.json`);
  if (!cache.has(file)) cache.set(file, JSON.parse(readFileSync(file, 'utf8')));
  const t = cache.get(file)[key];
  if (t === undefined) throw new Error(`no text ${key} in ${file}`);
  return t;
}

// For texts that hold values: what stands for a value matches anything.
export function pattern(module, key, lang = 'fr') {
  const plain = text(module, key, lang).replace(/\{\{[#^][^}]*\}\}.*?\{\{\/[^}]*\}\}/g, '\u0000').replace(/\{\{[^}]*\}\}/g, '\u0000');
  return new RegExp(plain.split('\u0000').map((s) => s.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/\s/g, '\\s')).join('.*?'));
}
