// Memory of the browser's processes, read from /proc (Linux).
import fs from 'node:fs';

const read = (file) => {
  try {
    return fs.readFileSync(file, 'latin1');
  } catch {
    return ''; // the process has ended meanwhile
  }
};

function fieldBytes(text, name) {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text);
  return match ? Number(match[1]) * 1024 : 0;
}

/** Ids of all processes that descend from this one. */
function descendants() {
  const children = new Map();
  for (const name of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = read(`/proc/${name}/stat`);
    if (!stat) continue;
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [];
  const open = [process.pid];
  while (open.length) {
    for (const child of children.get(open.pop()) ?? []) {
      found.push(child);
      open.push(child);
    }
  }
  return found;
}

/**
 * Bytes of the browser below this process: resident in all, proportional share (`pss`, only if
 * `full`: reading it is slow), and the largest renderer's peak.
 */
export function browserMemory(full) {
  const sum = { rss: 0, pss: 0, renderer_peak: 0 };
  for (const pid of descendants()) {
    const command = read(`/proc/${pid}/cmdline`);
    if (!command.includes('chrom')) continue;
    const status = read(`/proc/${pid}/status`);
    sum.rss += fieldBytes(status, 'VmRSS');
    if (full) sum.pss += fieldBytes(read(`/proc/${pid}/smaps_rollup`), 'Pss');
    if (command.includes('--type=renderer')) {
      sum.renderer_peak = Math.max(sum.renderer_peak, fieldBytes(status, 'VmHWM'));
    }
  }
  return sum;
}
