import type { Metric } from "./metric.js";
import { topk } from "./topk.js";

/** Share of samples whose highest score is their label's. */
export const top1: Metric = topk(1);
