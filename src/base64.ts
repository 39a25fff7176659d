/** Bytes as text for JSON: base64 with padding. */
export function encodeBytes(bytes: Uint8Array): string {
  let text = "";
  // More arguments than this at once overflow the stack.
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

/**
 * The inverse of {@link encodeBytes}.
 * @throws DOMException when the text is not base64.
 */
export function decodeBytes(text: string): Uint8Array {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

/** float32 numbers, little endian on every machine. */
export function encodeFloats(values: Float32Array): string {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setFloat32(4 * i, value, true);
  return encodeBytes(bytes);
}

/**
 * The inverse of {@link encodeFloats}.
 * @throws DOMException when the text is not base64.
 */
export function decodeFloats(text: string): Float32Array {
  const bytes = decodeBytes(text);
  const view = new DataView(bytes.buffer);
  const values = new Float32Array(Math.floor(bytes.length / 4));
  for (let i = 0; i < values.length; i++) values[i] = view.getFloat32(4 * i, true);
  return values;
}
