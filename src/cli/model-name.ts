import { BitwrightError } from "../errors.js";

/**
 * Keeps a slip of the hand from replacing pictures or labels with a model.
 * @throws BitwrightError `invalid-option`.
 */
export function checkModelName(path: string): void {
  if (/\.onnx$/i.test(path)) return;
  throw new BitwrightError("invalid-option", "a model has another kind of name", {
    where: path,
    expected: "a name that ends in .onnx",
  });
}
