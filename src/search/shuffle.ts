import { uniformNumbers } from "../random.js";
import type { Order } from "./levels.js";

/** An order drawn from a seed (Fisher-Yates), each time it is asked for a new one. */
export function shuffled(seed: number): Order {
  const uniform = uniformNumbers(seed);
  return (_problem, _assignment, lowerings) => {
    const order = [...lowerings];
    for (let last = order.length - 1; last > 0; last--) {
      const other = Math.floor(uniform() * (last + 1));
      [order[last], order[other]] = [order[other]!, order[last]!];
    }
    return order;
  };
}
