/** Bytes of a .npy file, version 1, with the elements of `data` as they lie in memory. */
export function npyBytes(
  type: string,
  dims: readonly number[],
  data: ArrayBufferView,
  fortran = false,
): Uint8Array<ArrayBuffer> {
  const shape = dims.length === 1 ? `${dims[0]},` : dims.join(", ");
  return npyWithHeader(
    `{'descr': '${type}', 'fortran_order': ${fortran ? "True" : "False"}, 'shape': (${shape}), }`,
    data,
  );
}

export function npyWithHeader(header: string, data: ArrayBufferView): Uint8Array<ArrayBuffer> {
  const padded = `${header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11)}\n`;
  const lead = [0x93, ...Buffer.from("NUMPY"), 1, 0, padded.length & 255, padded.length >> 8];
  const elements = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return Uint8Array.from(Buffer.concat([Buffer.from(lead), Buffer.from(padded, "latin1"), elements]));
}
