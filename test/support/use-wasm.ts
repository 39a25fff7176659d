process.env.BITWRIGHT_BACKEND = "wasm";
