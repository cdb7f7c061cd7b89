// A chat's tokens as its turns: who speaks, and what is control and what is text.

export interface TokenLike {
  id: number;
  text: string;
  emotion: readonly number[];
  is_target: boolean;
}

export interface ShownToken<T extends TokenLike> {
  token: T;
  /** Its place among the example's tokens. */
  index: number;
  isControl: boolean;
}

export interface Turn<T extends TokenLike> {
  /** `user`, `model`, or null where no mark tells. */
  role: string | null;
  tokens: ShownToken<T>[];
}

const START = "<start_of_turn>";
const CONTROL =
  /^<(?:bos|eos|pad|unk|mask|start_of_turn|end_of_turn|start_of_image|end_of_image|image_soft_token|unused\d+|\|[\w]+\|)>$/;

/** The turns in their order; all tokens together are the example's. A template without Gemma's marks is one turn. */
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

/** What stands alone before the first turn is `<bos>`: it is shown with that turn. */
function joinBeginning<T extends TokenLike>(turns: Turn<T>[]): Turn<T>[] {
  const [first, second, ...rest] = turns;
  if (!first || !second || first.role !== null || !first.tokens.every((each) => each.isControl)) return turns;
  return [{ role: second.role, tokens: [...first.tokens, ...second.tokens] }, ...rest];
}

/** Text as it can be seen: line breaks and tabs have signs of their own, and a line break also breaks the line. */
export function makeVisible(text: string): string {
  return text.replace(/\r/g, "␍").replace(/\n/g, "↵\n").replace(/\t/g, "⇥\t");
}

/** In one line, with blanks that can be seen, for the details of a token. */
export function nameToken(text: string): string {
  return text === ""
    ? "(continues a character)"
    : text.replace(/\r/g, "␍").replace(/\n/g, "↵").replace(/\t/g, "⇥").replace(/ /g, "␣");
}
