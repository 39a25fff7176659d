import { loadBackend } from "../../src/backend/load-node.js";

/** The backend under test: the one that the project's setup file chose. */
export const backend = await loadBackend();
