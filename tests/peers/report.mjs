// Medians of the repetitions, ratios to the faster peer and to native llama.cpp, as a table and a chart.

const MIB = 2 ** 20;

/** The engine that runs outside the browser: ratios to it are given apart. */
export const NATIVE = 'llama.cpp, native';

/** name: [value of one repetition, unit, whether higher is better] */
export const METRICS = {
  decode: [(run) => run.decode?.tg_tps, 'tokens/s', true],
  decode_after_prompt: [(run) => run.prompt?.tg_tps, 'tokens/s', true],
  prefill: [(run) => run.prompt?.pp_tps, 'tokens/s', true],
  first_token: [(run) => run.prompt?.ttft_ms && run.prompt.ttft_ms / 1e3, 's', false],
  cold_load: [(run) => run.cold && run.cold.ms / 1e3, 's', false],
  warm_load: [(run) => run.warm && run.warm.ms / 1e3, 's', false],
  renderer_peak: [(run) => run.memory && run.memory.renderer_peak / MIB, 'MiB', false],
};

/** The middle of the finite values, the mean of the two in the middle where their number is even; null without any. */
export function median(values) {
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
 * Adds to each row how it compares, above 1 being better for every metric: `vs_peer[metric]` to the better of the other
 * engines in the browser, `vs_native[metric]` to llama.cpp outside it.
 */
export function compare(rows) {
  return rows.map((row) => {
    const alike = rows.filter((other) => other.model === row.model && other.threads === row.threads && other.engine !== row.engine);
    const peers = alike.filter((other) => other.engine !== NATIVE);
    const vsPeer = {};
    for (const [name, [, , higher]] of Object.entries(METRICS)) {
      const values = peers.map((peer) => peer[name]).filter(Number.isFinite);
      if (!values.length || !Number.isFinite(row[name])) continue;
      vsPeer[name] = higher ? row[name] / Math.max(...values) : Math.min(...values) / row[name];
    }
    const native = alike.find((other) => other.engine === NATIVE);
    const vsNative = native && { decode: row.decode / native.decode, prefill: row.prefill / native.prefill };
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
    const vsNative = row.vs_native && row.engine === 'minnow' ? `${row.vs_native.decode.toFixed(2)} ×, ${row.vs_native.prefill.toFixed(2)} ×` : '';
    lines.push(`| ${row.model} | ${row.threads} | ${row.engine} | ${cells.join(' | ')} | ${vsNative} |`);
  }
  return lines.join('\n');
}

const COLORS = ['#0e7490', '#94a3b8', '#cbd5e1', '#78716c', '#b45309', '#4d7c0f', '#7c3aed', '#be123c'];

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

/** A line chart (SVG) of `series` (`{name, points: [[x, y]]}`), x on a logarithmic axis, y from 0. */
export function lines(series, title) {
  const [left, top, width, height] = [52, 30, 480, 260];
  const xs = [...new Set(series.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
  const most = Math.max(...series.flatMap(({ points }) => points.map(([, y]) => y ?? 0)));
  const span = Math.log(xs.at(-1) / xs[0]) || 1;
  const at = ([x, y]) => [left + (width * Math.log(x / xs[0])) / span, top + height - (height * y) / most].map((v) => v.toFixed(1));
  const parts = xs.map((x) => `<text x="${at([x, 0])[0]}" y="${top + height + 16}" text-anchor="middle">${x}</text>`);
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const [, y] = at([xs[0], most * share]);
    parts.push(`<line x1="${left}" x2="${left + width}" y1="${y}" y2="${y}" stroke="#e5e7eb"/>`, `<text x="${left - 6}" y="${Number(y) + 4}" text-anchor="end">${shown(most * share)}</text>`);
  }
  series.forEach(({ name, points }, index) => {
    const color = COLORS[index % COLORS.length];
    parts.push(`<polyline fill="none" stroke="${color}" stroke-width="2" points="${points.map((point) => at(point).join(',')).join(' ')}"/>`);
    const y = top + height + 40 + index * 16;
    parts.push(`<rect x="${left}" y="${y - 9}" width="10" height="10" fill="${color}"/><text x="${left + 16}" y="${y}">${name}</text>`);
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${left + width + 30}" height="${top + height + 50 + series.length * 16}" font-family="system-ui, sans-serif" font-size="11">
<rect width="100%" height="100%" fill="#fff"/>
<text x="${left}" y="16" font-weight="600">${title}</text>
${parts.join('\n')}
</svg>
`;
}
