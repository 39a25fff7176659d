import type { Format } from "../../formats.js";
import type { Site } from "../criterion.js";

/** A site in one of the formats that it may take. */
export interface Choice {
  readonly site: Site;
  readonly format: Format;
}

/** All choices, in the order of the sites and of each site's formats: the order of interaction matrices. */
export function choicesOf(sites: readonly Site[]): Choice[] {
  return sites.flatMap((site) => [...site.quantizers.keys()].map((format) => ({ site, format })));
}
