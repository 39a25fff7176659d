/** The id of a layer's weight as a site. */
export function weightSite(node: string): string {
  return `${node}/weight`;
}

/** The ids that the activations which a layer multiplies have as sites, the first one's first. A layer with a weight has but the first. */
export function activationSites(node: string): readonly [first: string, second: string] {
  return [`${node}/activation`, `${node}/second activation`];
}
