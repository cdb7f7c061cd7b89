// Splits the tokens of a chat into turns, with the role of each and whether a token is text or a control token.

export interface TokenLike {
  id: number;
  text: string;
  emotion: readonly number[];
  is_target: boolean;
}

export interface ShownToken<T extends TokenLike> {
  token: T;
  /** The token's index in the example. */
  index: number;
  isControl: boolean;
}

export interface Turn<T extends TokenLike> {
  /** The role is `user` or `model`; null if no mark gives it. */
  role: string | null;
  tokens: ShownToken<T>[];
}

const START = "<start_of_turn>";
const CONTROL =
  /^<(?:bos|eos|pad|unk|mask|start_of_turn|end_of_turn|start_of_image|end_of_image|image_soft_token|unused\d+|\|[\w]+\|)>$/;

/**
 * Returns the turns in order; together they hold all tokens of the example. A template without Gemma's marks makes one
 * turn.
 */
export function splitTurns<T extends TokenLike>(tokens: readonly T[]): Turn<T>[] {
  const turns: Turn<T>[] = [];
  let current: Turn<T> = { role: null, tokens: [] };
  // The role is the text from the mark to the end of its line, in as many tokens as the tokenizer needs.
  let role: string | null = null;
  tokens.forEach((token, index) => {
    if (token.text === START) {
      if (current.tokens.length) turns.push(current);
      current = { role: null, tokens: [] };
      role = "";
    }
    const isRole: boolean = role !== null;
    if (role !== null && token.text !== START) {
      role += token.text;
      const end = role.indexOf("\n");
      if (end !== -1) {
        current.role = role.slice(0, end).trim() || null;
        role = null;
      }
    }
    current.tokens.push({ token, index, isControl: isRole || CONTROL.test(token.text) });
  });
  if (current.tokens.length) turns.push(current);
  return joinBeginning(turns);
}

/** Only `<bos>` stands before the first turn, so it is shown with that turn. */
function joinBeginning<T extends TokenLike>(turns: Turn<T>[]): Turn<T>[] {
  const [first, second, ...rest] = turns;
  if (!first || !second || first.role !== null || !first.tokens.every((each) => each.isControl)) return turns;
  return [{ role: second.role, tokens: [...first.tokens, ...second.tokens] }, ...rest];
}

/** Makes line breaks and tabs visible with symbols; a line break also breaks the line. */
export function makeVisible(text: string): string {
  return text.replace(/\r/g, "␍").replace(/\n/g, "↵\n").replace(/\t/g, "⇥\t");
}

/** Makes a token visible in one line, including its spaces, for the token's details. */
export function nameToken(text: string): string {
  return text === ""
    ? "(continues a character)"
    : text.replace(/\r/g, "␍").replace(/\n/g, "↵").replace(/\t/g, "⇥").replace(/ /g, "␣");
}
