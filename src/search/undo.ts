/**
 * The fewest of `total` steps that have to be taken back, from the end, until `holds`: gallops to a number that does, then bisects below it. All
 * of them when none do. At most 2 log2(total) + 2 calls.
 */
export async function fewestUndone(total: number, holds: (undone: number) => Promise<boolean>): Promise<number> {
  let fails = -1;
  let works = 0;
  while (works < total && !(await holds(works))) {
    fails = works;
    works = Math.min(total, Math.max(1, works * 2));
  }
  while (works - fails > 1) {
    const middle = Math.floor((fails + works) / 2);
    if (await holds(middle)) works = middle;
    else fails = middle;
  }
  return works;
}
