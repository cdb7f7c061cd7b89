// A list that is loaded page by page, newest first, while its first page is asked for again and again.

interface Dated {
  id: string;
  created_at: string;
}

/** What is known, with a newer first page in place of the part that it covers: what is gone from there goes. */
export function mergeFirstPage<T extends Dated>(known: readonly T[], first: readonly T[], isAll: boolean): T[] {
  const last = first.at(-1);
  if (isAll || !last) return [...first];
  const fresh = new Set(first.map((item) => item.id));
  return [...first, ...known.filter((item) => !fresh.has(item.id) && isOlder(item, last))];
}

/** The same with a further page at its end. */
export function appendPage<T extends Dated>(known: readonly T[], page: readonly T[]): T[] {
  const ids = new Set(known.map((item) => item.id));
  return [...known, ...page.filter((item) => !ids.has(item.id))];
}

function isOlder(item: Dated, other: Dated): boolean {
  return item.created_at === other.created_at ? item.id < other.id : item.created_at < other.created_at;
}
