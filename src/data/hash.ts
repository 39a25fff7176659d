/**
 * A hash of `parts` of which each comes in blocks: h <- SHA-256(h || SHA-256(block)), with an empty block between parts.
 * Chained, because Web Crypto hashes only what is in memory at once and data may be larger than that.
 */
export async function hashParts(parts: Iterable<AsyncIterable<Uint8Array>>): Promise<string> {
  let state = new Uint8Array(32);
  const add = async (block: Uint8Array) => {
    const link = new Uint8Array(64);
    link.set(state);
    link.set(await sha256(block), 32);
    state = await sha256(link);
  };
  for (const part of parts) {
    for await (const block of part) await add(block);
    await add(new Uint8Array());
  }
  return Array.from(state, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
}

/** JSON with sorted keys, so that documents that say the same have the same bytes. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
