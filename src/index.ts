export { doctor, type Finding } from "./backend/doctor-node.js";
export { type BackendName, loadBackend } from "./backend/load-node.js";
export * from "./edge.js";
