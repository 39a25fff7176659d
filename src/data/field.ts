import { BitwrightError } from "../errors.js";

/**
 * A value out of a JSON document together with the way to it, so that every check can say in which file, at which field,
 * what was expected and what came. All failures are `invalid-data`.
 */
export class Field {
  constructor(
    /** Name of the document, for messages. */
    readonly document: string,
    /** Dotted path from its root; "" is the root. */
    readonly path: string,
    readonly value: unknown,
  ) {}

  get present(): boolean {
    return this.value !== undefined;
  }

  fail(expected: string, remedy?: string): never {
    throw new BitwrightError("invalid-data", this.present ? "not a usable value" : "missing", {
      where: this.path === "" ? this.document : `${this.document}, ${this.path}`,
      expected,
      ...(this.present && { received: describe(this.value) }),
      ...(remedy !== undefined && { remedy }),
    });
  }

  /**
   * The members `names`, present or not. Members outside `allowed` are refused, because a misspelt option must not be
   * ignored.
   */
  object<K extends string>(names: readonly K[], allowed: readonly K[] = names): Record<K, Field> {
    for (const [name, member] of this.entries()) {
      if (!allowed.includes(name as K)) member.fail(`one of the fields ${allowed.join(", ")}`);
    }
    return Object.fromEntries(names.map((name) => [name, this.at(name)])) as Record<K, Field>;
  }

  /** One member of an object, present or not. */
  at(key: string): Field {
    const member = this.entries().find(([name]) => name === key);
    return member?.[1] ?? new Field(this.document, this.join(key), undefined);
  }

  entries(): [string, Field][] {
    if (typeof this.value !== "object" || this.value === null || Array.isArray(this.value)) this.fail("an object");
    return Object.entries(this.value).map(([key, value]) => [key, new Field(this.document, this.join(key), value)]);
  }

  list(): Field[] {
    if (!Array.isArray(this.value)) this.fail("a list");
    return this.value.map((value, i) => new Field(this.document, `${this.path}[${i}]`, value));
  }

  /** A list, or a single value that stands for a list of one. */
  oneOrMore(): Field[] {
    const items = Array.isArray(this.value) ? this.list() : [this];
    return items.length > 0 ? items : this.fail("at least one entry");
  }

  text(): string {
    return typeof this.value === "string" && this.value !== "" ? this.value : this.fail("a non-empty string");
  }

  /** A string that may be empty. */
  textOrEmpty(): string {
    return typeof this.value === "string" ? this.value : this.fail("a string");
  }

  choice<T extends string>(choices: readonly T[]): T {
    return choices.find((c) => c === this.value) ?? this.fail(`one of ${choices.map((c) => `"${c}"`).join(", ")}`);
  }

  boolean(): boolean {
    return typeof this.value === "boolean" ? this.value : this.fail("true or false");
  }

  number(): number {
    return typeof this.value === "number" && Number.isFinite(this.value) ? this.value : this.fail("a finite number");
  }

  integer(min: number, max = Number.MAX_SAFE_INTEGER): number {
    const fits = Number.isSafeInteger(this.value) && (this.value as number) >= min && (this.value as number) <= max;
    if (!fits) this.fail(max === Number.MAX_SAFE_INTEGER ? `an integer from ${min}` : `an integer in [${min}, ${max}]`);
    return this.value as number;
  }

  private join(key: string): string {
    return this.path === "" ? key : `${this.path}.${key}`;
  }
}

function describe(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
