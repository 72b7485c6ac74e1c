// Changes the model store behind Minnow's back, in a page: bytes that go bad, entries that get lost, stores of earlier versions.

/** Bytes of a stored chunk, as `loader::record::CHUNK_SIZE` has it. */
export const CHUNK = 128 << 10;

/**
 * Runs `change` in the page with `{ table, done, chunk }`: a table by name, the result of a request, and a chunk by model, part
 * and index, wherever its bytes are, as `{ get(), put(bytes) }`. @returns what `change` does
 */
export function tamper(page, change, ...args) {
  return page.evaluate(
    async ({ change, args, size }) => {
      const done = (request) =>
        new Promise((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: () => reject(request.error) }));
      const database = await done(indexedDB.open("minnow"));
      const table = (name) => database.transaction(name, "readwrite").objectStore(name);
      const chunk = async (id, part, index) => {
        const { place } = await done(table("models").get(id));
        if (place !== "files") {
          const key = [id, part, index];
          return { get: () => done(table("chunks").get(key)), put: (bytes) => done(table("chunks").put(bytes, key)) };
        }
        const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(id)));
        const folder = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
        const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("minnow");
        const file = await (await root.getDirectoryHandle(folder)).getFileHandle(String(part));
        return {
          get: async () => new Uint8Array(await (await file.getFile()).slice(index * size, (index + 1) * size).arrayBuffer()),
          put: async (bytes) => {
            const stream = await file.createWritable({ keepExistingData: true });
            await stream.write({ type: "write", position: index * size, data: bytes });
            await stream.close();
          },
        };
      };
      try {
        return await new Function(`return (${change})`)()({ table, done, chunk }, ...args);
      } finally {
        database.close();
      }
    },
    { change: String(change), args, size: CHUNK },
  );
}

/** Turns over one bit of a chunk of a model's first part. */
export const flipBit = (page, id, index, offset) =>
  tamper(
    page,
    async ({ chunk }, id, index, offset) => {
      const stored = await chunk(id, 0, index);
      const bytes = await stored.get();
      bytes[offset] ^= 1;
      await stored.put(bytes);
    },
    id,
    index,
    offset,
  );

/** Makes a chunk's bytes those of a file that was never written. */
export const blank = (page, id, index) =>
  tamper(
    page,
    async ({ chunk }, id, index) => {
      const stored = await chunk(id, 0, index);
      await stored.put((await stored.get()).fill(0));
    },
    id,
    index,
  );

/** Loses what was noted of a chunk. */
export const forget = (page, id, index) => tamper(page, ({ table, done }, id, index) => done(table("journal").delete([id, 0, index])), id, index);
