// Takes GGUF files apart and puts them together differently: split sets, foreign architectures, types nobody computes.
// For tests only; it trusts its input. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

const MAGIC = "GGUF";
const VERSION = 3;
const ALIGNMENT = 32;
const U16 = 2;
const U32 = 4;
const I32 = 5;
const STRING = 8;
const ARRAY = 9;
/** Bytes of a value of each type of fixed size. */
const SIZES = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };

/** @param {Buffer} file @returns {{ entries: { key, type, bytes }[], tensors: { name, dims, type, offset, bytes }[], data: number }} `offset` from `data` on */
export function parse(file) {
  let at = 8;
  const u32 = () => file.readUInt32LE((at += 4) - 4);
  const u64 = () => Number(file.readBigUInt64LE((at += 8) - 8));
  const text = () => {
    const length = u64();
    return file.toString("utf8", at, (at += length));
  };
  const skip = (type) => {
    if (type === STRING) text();
    else if (type === ARRAY) for (let inner = u32(), n = u64(); n > 0; n--) skip(inner);
    else at += SIZES[type];
  };
  const [tensorCount, entryCount] = [u64(), u64()];
  const entries = Array.from({ length: entryCount }, () => {
    const [key, type, start] = [text(), u32(), at];
    skip(type);
    return { key, type, bytes: file.subarray(start, at) };
  });
  const directory = Array.from({ length: tensorCount }, () => {
    const [name, count] = [text(), u32()];
    const dims = Array.from({ length: count }, u64);
    return { name, dims, type: u32(), offset: u64() };
  });
  const data = align(at);
  const tensors = directory.map((tensor, i) => {
    const end = directory[i + 1]?.offset ?? file.length - data;
    return { ...tensor, bytes: file.subarray(data + tensor.offset, data + end) };
  });
  return { entries, tensors, data };
}

/** Where in a file each tensor begins, by name. */
export function layout(file) {
  const { tensors, data } = parse(file);
  return new Map(tensors.map(({ name, offset }) => [name, data + offset]));
}

/** @returns {Buffer} */
export function write({ entries, tensors }) {
  const parts = [Buffer.from(MAGIC), u32(VERSION), u64(tensors.length), u64(entries.length)];
  for (const { key, type, bytes } of entries) parts.push(string(key), u32(type), bytes);
  let offset = 0;
  for (const { name, dims, type, bytes } of tensors) {
    parts.push(string(name), u32(dims.length), ...dims.map(u64), u32(type), u64(offset));
    offset += align(bytes.length);
  }
  const header = Buffer.concat(parts);
  return Buffer.concat([header, padding(header), ...tensors.flatMap(({ bytes }) => [bytes, padding(bytes)])]);
}

/** The same model with another value for a string key. */
export function withString(file, key, value) {
  const { entries, tensors } = parse(file);
  return write({ entries: entries.map((entry) => (entry.key === key ? { key, type: STRING, bytes: string(value) } : entry)), tensors });
}

/** The same model with another value for a number's key. */
export function withU32(file, key, value) {
  const { entries, tensors } = parse(file);
  return write({ entries: entries.map((entry) => (entry.key === key ? { key, type: U32, bytes: u32(value) } : entry)), tensors });
}

/** The same model with tensors of one type labelled as another. */
export function withType(file, from, to) {
  const { entries, tensors } = parse(file);
  return write({ entries, tensors: tensors.map((tensor) => (tensor.type === from ? { ...tensor, type: to } : tensor)) });
}

/** The model as a split set of `count` files. */
export function split(file, count) {
  const { entries, tensors } = parse(file);
  const share = Math.ceil(tensors.length / count);
  return Array.from({ length: count }, (_, no) => {
    const keys = [
      { key: "split.no", type: U16, bytes: u16(no) },
      { key: "split.count", type: U16, bytes: u16(count) },
      { key: "split.tensors.count", type: I32, bytes: u32(tensors.length) },
    ];
    return write({ entries: no === 0 ? [...entries, ...keys] : keys, tensors: tensors.slice(no * share, (no + 1) * share) });
  });
}

const align = (n) => Math.ceil(n / ALIGNMENT) * ALIGNMENT;
const padding = (bytes) => Buffer.alloc(align(bytes.length) - bytes.length);
const string = (text) => Buffer.concat([u64(Buffer.byteLength(text)), Buffer.from(text)]);
const u16 = (n) => number(2, (buffer) => buffer.writeUInt16LE(n));
const u32 = (n) => number(4, (buffer) => buffer.writeUInt32LE(n));
const u64 = (n) => number(8, (buffer) => buffer.writeBigUInt64LE(BigInt(n)));

function number(size, put) {
  const buffer = Buffer.alloc(size);
  put(buffer);
  return buffer;
}
