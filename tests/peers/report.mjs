// Medians of the repetitions, ratios to the faster peer and to native llama.cpp, as a table and a chart.

const MIB = 2 ** 20;

/** name: [value of one repetition, unit, whether higher is better] */
export const METRICS = {
  decode: [(run) => run.decode?.tg_tps, 'tokens/s', true],
  decode_after_prompt: [(run) => run.prompt?.tg_tps, 'tokens/s', true],
  prefill: [(run) => run.prompt?.pp_tps, 'tokens/s', true],
  first_token: [(run) => run.prompt && run.prompt.ttft_ms / 1e3, 's', false],
  cold_load: [(run) => run.cold && run.cold.ms / 1e3, 's', false],
  warm_load: [(run) => run.warm && run.warm.ms / 1e3, 's', false],
  renderer_peak: [(run) => run.memory && run.memory.renderer_peak / MIB, 'MiB', false],
};

function median(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (!sorted.length) return null;
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** Medians by model, threads and engine. */
export function summarize(runs) {
  return Object.values(runs).map(({ engine, model, threads, repetitions }) => {
    const good = repetitions.filter((run) => !run.error);
    const medians = Object.entries(METRICS).map(([name, [get]]) => [name, median(good.map(get))]);
    return { engine, model, threads, repetitions: good.length, ...Object.fromEntries(medians) };
  }).filter((row) => row.repetitions > 0);
}

/**
 * Adds to each row how it compares: `vs_peer[metric]` to the better of the other engines (above 1 is better for
 * every metric), `vs_native` to llama-bench's figures (`{model: {threads: {pp, tg}}}`).
 */
export function compare(rows, native = {}) {
  return rows.map((row) => {
    const peers = rows.filter((other) => other.model === row.model && other.threads === row.threads && other.engine !== row.engine);
    const vsPeer = {};
    for (const [name, [, , higher]] of Object.entries(METRICS)) {
      const values = peers.map((peer) => peer[name]).filter(Number.isFinite);
      if (!values.length || !Number.isFinite(row[name])) continue;
      vsPeer[name] = higher ? row[name] / Math.max(...values) : Math.min(...values) / row[name];
    }
    const measured = native[row.model]?.[row.threads];
    const vsNative = measured && { decode: row.decode / measured.tg, prefill: row.prefill / measured.pp };
    return { ...row, vs_peer: vsPeer, vs_native: vsNative };
  });
}

const shown = (value) => (Number.isFinite(value) ? (value >= 100 ? value.toFixed(0) : value.toFixed(value < 10 ? 2 : 1)) : '–');
const ratio = (value) => (Number.isFinite(value) ? ` (${value.toFixed(2)} ×)` : '');

/** A Markdown table; behind Minnow's figures stands the ratio to the better peer. */
export function table(rows) {
  const names = Object.keys(METRICS);
  const lines = [
    `| model | threads | engine | ${names.map((name) => `${name.replaceAll('_', ' ')}, ${METRICS[name][1]}`).join(' | ')} | decode, prefill vs native |`,
    `|${'---|'.repeat(names.length + 4)}`,
  ];
  for (const row of rows) {
    const cells = names.map((name) => shown(row[name]) + (row.engine === 'minnow' ? ratio(row.vs_peer[name]) : ''));
    const vsNative = row.vs_native ? `${row.vs_native.decode.toFixed(2)} ×, ${row.vs_native.prefill.toFixed(2)} ×` : '';
    lines.push(`| ${row.model} | ${row.threads} | ${row.engine} | ${cells.join(' | ')} | ${vsNative} |`);
  }
  return lines.join('\n');
}

const COLORS = ['#0e7490', '#94a3b8', '#cbd5e1', '#e2e8f0'];

/** A bar chart (SVG) of one metric for every model, thread count and engine. */
export function chart(rows, metric) {
  const engines = [...new Set(rows.map((row) => row.engine))];
  const groups = [...new Set(rows.map((row) => `${row.model}, ${row.threads} thread${row.threads > 1 ? 's' : ''}`))];
  const largest = Math.max(...rows.map((row) => row[metric] ?? 0));
  const [bar, gap, left, width, top] = [14, 14, 290, 420, 44];
  const groupHeight = engines.length * bar + gap;
  const parts = [];
  groups.forEach((group, g) => {
    const y = top + g * groupHeight;
    parts.push(`<text x="${left - 8}" y="${y + (engines.length * bar) / 2 + 4}" text-anchor="end">${group}</text>`);
    engines.forEach((engine, e) => {
      const row = rows.find((r) => r.engine === engine && group.startsWith(`${r.model}, ${r.threads} `));
      if (!Number.isFinite(row?.[metric])) return;
      const length = (width * row[metric]) / largest;
      parts.push(`<rect x="${left}" y="${y + e * bar}" width="${length.toFixed(1)}" height="${bar - 2}" fill="${COLORS[e % COLORS.length]}"/>`);
      parts.push(`<text x="${(left + length + 5).toFixed(1)}" y="${y + e * bar + bar - 4}">${shown(row[metric])}</text>`);
    });
  });
  const legend = engines.map((engine, e) => `<rect x="${left + e * 130}" y="22" width="10" height="10" fill="${COLORS[e % COLORS.length]}"/><text x="${left + e * 130 + 15}" y="31">${engine}</text>`);
  const height = top + groups.length * groupHeight;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${left + width + 70}" height="${height}" font-family="system-ui, sans-serif" font-size="11">
<rect width="100%" height="100%" fill="#fff"/>
<text x="${left}" y="14" font-weight="600">${metric.replaceAll('_', ' ')}, ${METRICS[metric][1]}</text>
${legend.join('\n')}
${parts.join('\n')}
</svg>
`;
}
