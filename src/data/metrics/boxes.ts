/** A rectangle that a detector found, in pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly label: number;
  readonly score: number;
}

/** Area that two boxes share over the area that they cover (Jaccard index). */
export function overlap(a: Box, b: Box): number {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  if (!(width > 0 && height > 0)) return 0;
  const shared = width * height;
  return shared / (area(a) + area(b) - shared);
}

function area({ left, top, right, bottom }: Box): number {
  return (right - left) * (bottom - top);
}

/** Non-maximum suppression within each class: keeps a box unless one that scores higher overlaps it by more than `limit`. */
export function suppress(boxes: readonly Box[], limit: number): Box[] {
  const kept: Box[] = [];
  for (const box of [...boxes].sort((a, b) => b.score - a.score)) {
    if (kept.every((other) => other.label !== box.label || overlap(other, box) <= limit)) kept.push(box);
  }
  return kept;
}
