// The gateway beside nginx proxy_pass, which checks nothing.
import { beside, benches, note, round, stand } from '../kit.mjs';
import { machineToken, tokensFor } from '../../test/lib/story.mjs';
import { send } from '../../test/lib/http.mjs';

async function gateway(name, path, tail, token) {
  const s = await stand(), { platform, ports } = s;
  const ours = async () => ({ url: `http://127.0.0.1:${platform.port}${path}${tail}`, headers: { Host: `localhost:${platform.port}`, Authorization: `Bearer ${await token(s)}` } });
  const theirs = async () => ({ url: `http://127.0.0.1:${ports.PROXY}${tail}`, headers: {} });
  const first = await ours();
  const answer = await send(first.url, { headers: Object.fromEntries(Object.entries(first.headers).map(([k, v]) => [k.toLowerCase(), v])) });
  if (answer.status !== 200 || !answer.headers['socle-entry']) throw new Error(`${name}: ${answer.status} ${answer.text.slice(0, 300)}`);
  const peak = await beside(ours, theirs);
  // Latency: both at half of what Socle can do, by the clock.
  const rate = Math.floor(Math.min(peak.ours.rate, peak.theirs.rate) / 2);
  const at = await beside(ours, theirs, { rate });
  note({ name, value: round(peak.ours.rate, 0), unit: 'req/s', comparator: 'nginx proxy_pass, keepalive', comparator_value: round(peak.theirs.rate, 0), cpu_us: round(peak.ours.cpu_us), comparator_cpu_us: round(peak.theirs.cpu_us), at_rate: rate, p99_us: at.ours.p99_us, comparator_p99_us: at.theirs.p99_us, p99_added_us: round(at.ours.p99_us - at.theirs.p99_us, 0) });
}

const machine = ({ world, client }) => machineToken(world, { client, scope: 'passe_lire filtre_lire' });
const person = async ({ world, client }) => (await tokensFor(world, world.citizen, { client, scope: 'openid filtre_lire' })).access_token;

benches.gateway_passthrough = () => gateway('gateway_passthrough', '/gw/passe/v1', '/small', machine);
benches.gateway_filtered = () => gateway('gateway_filtered', '/gw/filtre/v1', '/document', machine);
// The same about a person: her copy of each exchange is sealed and kept too.
benches.gateway_person = () => gateway('gateway_person', '/gw/filtre/v1', '/document', person);
